"""Which calculations a tree of files holds, for one format or for whichever there is."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ingest.confined import known
from ingest.confined.archives import printable

_JUNK = ("__MACOSX", ".DS_Store", "._*", "Thumbs.db", ".git")
_SHOWN_NAMES = 6


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the catalogue."""

    name: str
    reads: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Calculation:
    """One thing for dpdata to load: `path` as the contributor knows it, `files` relative to the tree."""

    path: str
    format: str
    files: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)


class Tree:
    """The extracted archive, walked once; content is sniffed once a file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: dict[Path, set[str]] = {}
        self.files: list[Path] = []
        self._content: dict[Path, str | None] = {}
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not known.named(name, _JUNK))
            kept = sorted(name for name in names if not known.named(name, _JUNK))
            self.folders[Path(folder)] = {*kept, *folders}
            self.files.extend(Path(folder) / name for name in kept)

    def content(self, path: Path) -> str | None:
        if path not in self._content:
            self._content[path] = known.content(path)
        return self._content[path]

    def shown(self, path: Path) -> str:
        return printable(str(path.relative_to(self.root)))

    def summary(self) -> str:
        """What is there, in words: '12 files, such as a/b.txt, c.png'."""
        if not self.files:
            return "no files at all"
        ends = Counter(path.suffix.lower() or path.name for path in self.files)
        examples = {path.suffix.lower() or path.name: path for path in reversed(self.files)}
        shown = ", ".join(self.shown(examples[end]) for end, _ in ends.most_common(_SHOWN_NAMES))
        count = len(self.files)
        return f"{count} file{'s' if count > 1 else ''}, such as {shown}"


def find(tree: Tree, wanted: Format) -> list[Calculation]:
    """Every calculation of that format: by usual names first, else by content, else every file."""
    found = list(_find(tree, wanted))
    return sorted(found, key=lambda calculation: calculation.path)


def _find(tree: Tree, wanted: Format) -> Iterator[Calculation]:
    if wanted.name == "qe/pw/scf":
        yield from _pw_pairs(tree)
    elif wanted.reads == "folder":
        yield from _folders(tree, wanted)
    elif wanted.reads == "files":
        yield from _prefixes(tree, wanted)
    else:
        for path in _single_files(tree, wanted):
            yield Calculation(tree.shown(path), wanted.name, (str(path.relative_to(tree.root)),))


def _single_files(tree: Tree, wanted: Format) -> list[Path]:
    speaks = known.SAME_CONTENT.get(wanted.name, wanted.name)
    telling = tuple(pattern for pattern in wanted.names if pattern not in known.EVERYBODYS_NAMES)
    if speaks not in known.RECOGNISED:
        return [path for path in tree.files if not wanted.names or known.named(path.name, wanted.names)]
    found = [
        path
        for path in tree.files
        if tree.content(path) == speaks or (known.named(path.name, telling) and tree.content(path) is None)
    ]
    if found:
        return found
    return [path for path in tree.files if known.named(path.name, wanted.names) and tree.content(path) is None]


def _folders(tree: Tree, wanted: Format) -> Iterator[Calculation]:
    marked = known.FOLDERS.get(wanted.name)
    for folder, names in tree.folders.items():
        by_name = any(known.named(name, wanted.names) for name in names)
        fits = marked(folder, names) if marked is not None else by_name
        if not fits:
            continue
        options = {}
        if wanted.name == "cp2kdata/md":
            options["cp2k_output_name"] = known.cp2k_log(folder, names) or ""
        shown = tree.shown(folder) if folder != tree.root else "."
        yield Calculation(shown, wanted.name, (str(folder.relative_to(tree.root)),), options)


def _pw_pairs(tree: Tree) -> Iterator[Calculation]:
    """A pw.x output with its input: the reader takes cell and elements from the input."""
    for path in tree.files:
        if tree.content(path) != "qe/pw/scf":
            continue
        partner = _pw_input(tree, path)
        files = [str(one.relative_to(tree.root)) for one in (partner, path) if one is not None]
        yield Calculation(tree.shown(path), "qe/pw/scf", tuple(files))


def _pw_input(tree: Tree, output: Path) -> Path | None:
    names = tree.folders[output.parent]
    guesses = [
        output.name.replace("out", "in"),
        f"{output.stem}.in",
        f"{output.stem}.pwi",
        f"{output.stem}.inp",
        output.stem,
    ]
    guesses += sorted(name for name in names if known.named(name, ("*.in", "*.pwi", "*.inp")))
    for guess in dict.fromkeys(guesses):
        path = output.parent / guess
        if guess in names and path != output and path.is_file() and b"&control" in known.head(path).lower():
            return path
    return None


def _prefixes(tree: Tree, wanted: Format) -> Iterator[Calculation]:
    """Formats of several files with one stem ('run.pos', 'run.evp', …), given to dpdata by the stem."""
    if wanted.name == "dftbplus":
        for folder, names in tree.folders.items():
            inputs = sorted(name for name in names if known.named(name, ("*.hsd",)))
            if inputs and "detailed.out" in names:
                files = tuple(str((folder / name).relative_to(tree.root)) for name in (inputs[0], "detailed.out"))
                yield Calculation(tree.shown(folder / "detailed.out"), wanted.name, files)
        return
    ends = tuple(pattern.removeprefix("*") for pattern in wanted.names)
    stems: dict[Path, set[str]] = {}
    for path in tree.files:
        for end in ends:
            if path.name.endswith(end):
                stems.setdefault(path.with_name(path.name.removesuffix(end)), set()).add(end)
    # The first name is the one without which nothing can be read; one more tells it from a stray file.
    for stem, present in sorted(stems.items()):
        if ends and ends[0] in present and len(present) > 1:
            yield Calculation(tree.shown(stem), wanted.name, (str(stem.relative_to(tree.root)),))


def detect(tree: Tree, catalogue: list[Format]) -> dict[str, list[Calculation]]:
    """Every format that the tree speaks for, with its calculations; the one with most comes first.

    Folder formats claim their files, then names, then content. Of two formats with equally many calculations
    the one that stands first in `known` wins (OUTCAR over the vasprun.xml next to it).
    """
    by_name = {one.name: one for one in catalogue}
    order = [name for name in known.KNOWN if name in by_name and name not in known.SAME_CONTENT]
    found: dict[str, list[Calculation]] = {}
    for name in order:
        if by_name[name].reads != "file" and (calculations := find(tree, by_name[name])):
            found[name] = calculations
    claimed = {tree.root / file for calculations in found.values() for one in calculations for file in one.files}
    tree.files = [path for path in tree.files if not any(one in claimed for one in (path, *path.parents))]
    for name in order:
        if by_name[name].reads == "file" and (calculations := _sure(tree, by_name[name])):
            found[name] = calculations
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), order.index(item[0]))))


def _sure(tree: Tree, one: Format) -> list[Calculation]:
    """Calculations whose name or content speaks for that format, not merely allows it."""
    telling = tuple(pattern for pattern in one.names if pattern not in known.EVERYBODYS_NAMES)
    if one.name not in known.RECOGNISED and not telling:
        return []
    return find(tree, Format(one.name, one.reads, telling))


def as_json(calculations: list[Calculation]) -> list[dict[str, Any]]:
    return [asdict(one) for one in calculations]

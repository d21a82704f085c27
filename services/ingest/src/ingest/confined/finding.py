"""Which calculations a tree of files holds, for one format or for whichever there is."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.confined import known
from ingest.confined.archives import printable
from ingest.confined.programs.spec import Calculation, FormatSpec, named

_JUNK = ("__MACOSX", ".DS_Store", "._*", "Thumbs.db", ".git")
_SHOWN_NAMES = 6
_LOOKED_AT = 100


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the catalogue."""

    name: str
    reads: str
    names: tuple[str, ...]


class Tree:
    """The extracted archive, walked once; content is sniffed once a file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: dict[Path, set[str]] = {}
        self.files: list[Path] = []
        self._content: dict[Path, str | None] = {}
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not named(name, _JUNK))
            kept = sorted(name for name in names if not named(name, _JUNK))
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
    spec = known.FORMATS.get(wanted.name)
    if spec is not None and spec.find is not None:
        yield from spec.find(tree)
    elif wanted.reads == "folder":
        yield from _folders(tree, wanted)
    else:
        for path in _single_files(tree, wanted):
            yield _single(tree, wanted.name, path)


def _single(tree: Tree, name: str, path: Path) -> Calculation:
    return Calculation(tree.shown(path), name, (str(path.relative_to(tree.root)),))


def _single_files(tree: Tree, wanted: Format) -> list[Path]:
    if not known.recognised(wanted.name):
        return [path for path in tree.files if not wanted.names or named(path.name, wanted.names)]
    speaks, telling = known.takes(wanted.name), known.telling(wanted.names)
    found = [
        path
        for path in tree.files
        if tree.content(path) in speaks or (named(path.name, telling) and tree.content(path) is None)
    ]
    if found:
        return found
    return [path for path in tree.files if named(path.name, wanted.names) and tree.content(path) is None]


def _folders(tree: Tree, wanted: Format) -> Iterator[Calculation]:
    spec = known.FORMATS.get(wanted.name)
    for folder, names in tree.folders.items():
        if spec is not None and spec.marks is not None:
            fits = spec.marks(folder, names)
        else:
            fits = any(named(name, wanted.names) for name in names)
        if fits:
            shown = tree.shown(folder) if folder != tree.root else "."
            yield Calculation(shown, wanted.name, (str(folder.relative_to(tree.root)),))


def detect(tree: Tree, catalogue: list[Format]) -> dict[str, list[Calculation]]:
    """Every format that the tree speaks for, with its calculations; the one with most comes first.

    Folder formats claim their files, then names, then content. Of two formats with equally many calculations
    the one that stands first in `known` wins. What one calculation left behind twice (a vasprun.xml next to its
    OUTCAR) counts once.
    """
    by_name = {one.name: one for one in catalogue}
    order = [name for name in known.FORMATS if name in by_name]
    found: dict[str, list[Calculation]] = {}
    for name in order:
        if by_name[name].reads != "file" and (calculations := find(tree, by_name[name])):
            found[name] = calculations
    claimed = {tree.root / file for calculations in found.values() for one in calculations for file in one.files}
    unclaimed = [path for path in tree.files if not any(one in claimed for one in (path, *path.parents))]
    for name in order:
        if by_name[name].reads == "file":
            calculations = [_single(tree, name, path) for path in _sure(tree, by_name[name], unclaimed)]
            if calculations := _without_twins(name, calculations, found):
                found[name] = sorted(calculations, key=lambda one: one.path)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), order.index(item[0]))))


def _sure(tree: Tree, one: Format, paths: list[Path]) -> list[Path]:
    """Files whose content speaks for that format, or whose name does and whose content says nothing."""
    telling = known.telling(one.names)
    return [
        path
        for path in paths
        if tree.content(path) == one.name or (named(path.name, telling) and tree.content(path) is None)
    ]


def _without_twins(
    name: str, calculations: list[Calculation], found: dict[str, list[Calculation]]
) -> list[Calculation]:
    """Without those next to which the same calculation lies in a format that tells more."""
    twins = {str(Path(one.path).parent) for other in known.FORMATS[name].twins for one in found.get(other, ())}
    return [one for one in calculations if str(Path(one.path).parent) not in twins]


def detection(
    tree: Tree, wanted: str, read: list[Calculation], found: dict[str, list[Calculation]]
) -> dict[str, str] | None:
    """What the files look like and how sure that is, whatever was chosen; None when nothing speaks for anything."""
    name, calculations = wanted, read
    if not read or _confidence(tree, wanted, read) == "guess":
        if found:
            name, calculations = next(iter(found.items()))
        elif not read:
            return None
    sure = _confidence(tree, name, calculations)
    sentence = f"{looks_like(name, len(calculations))}: {_because(name, sure, len(calculations))}."
    for other, others in found.items():
        if other != name and known.program(other) != known.program(name):
            sentence += f" {looks_like(other, len(others))}, too."
            break
    return {"format": name, "confidence": sure, "sentence": sentence}


def looks_like(name: str, count: int) -> str:
    """E.g. '48 calculations look like Quantum ESPRESSO pw.x output (qe/pw/scf)'."""
    spec = known.FORMATS.get(name)
    shown = f"{spec.title} ({name})" if spec else name
    return f"{count:,} calculations look like {shown}" if count > 1 else f"1 calculation looks like {shown}"


def _because(name: str, sure: str, count: int) -> str:
    spec = known.FORMATS.get(name)
    if spec is None or sure == "guess":
        return (
            "by their names alone, which many programs use" if spec else "the format was chosen, and is not known here"
        )
    if sure == "likely" and spec.content is not None:
        return f"by the name alone, usually {' or '.join(known.telling(spec.names))}"
    subject = "each" if count > 1 else "it"
    return f"{subject} {'names' if spec.content is not None else 'is'} {spec.told_by}"


def _confidence(tree: Tree, name: str, calculations: list[Calculation]) -> str:
    """certain: the content of all (of the first some, when there are many) says so."""
    spec = known.FORMATS.get(name)
    if spec is None:
        return "guess"
    step = max(1, len(calculations) // _LOOKED_AT)
    if all(_content_says(tree, spec, one) for one in calculations[::step]):
        return "certain"
    by_structure = spec.marks is not None or spec.find is not None
    return "likely" if by_structure or _named_tellingly(tree, spec, calculations) else "guess"


def _content_says(tree: Tree, spec: FormatSpec, one: Calculation) -> bool:
    paths = [tree.root / file for file in one.files]
    texts = {path for each in paths for path in (each, *spec.texts(each)) if path.is_file()}
    program = known.program(spec.name)
    return any((content := tree.content(path)) is not None and known.program(content) == program for path in texts)


def _named_tellingly(tree: Tree, spec: FormatSpec, calculations: list[Calculation]) -> bool:
    telling = known.telling(spec.names)
    return all(named((tree.root / one.files[0]).name, telling) for one in calculations)


def as_json(calculations: list[Calculation]) -> list[dict[str, Any]]:
    return [asdict(one) for one in calculations]

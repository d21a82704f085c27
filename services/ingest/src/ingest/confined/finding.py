"""Which calculations a tree of files holds, for one format or for whichever there is."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.confined import known
from ingest.confined.archives import printable
from ingest.confined.programs.spec import Calculation, named

_JUNK = ("__MACOSX", ".DS_Store", "._*", "Thumbs.db", ".git")
_SHOWN_NAMES = 6


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
            yield Calculation(tree.shown(path), wanted.name, (str(path.relative_to(tree.root)),))


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
    the one that stands first in `known` wins (OUTCAR over the vasprun.xml next to it).
    """
    by_name = {one.name: one for one in catalogue}
    order = [name for name in known.FORMATS if name in by_name]
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
    spec, telling = known.FORMATS[one.name], known.telling(one.names)
    if spec.content is None and not telling:
        return []
    return find(tree, Format(one.name, one.reads, telling))


def as_json(calculations: list[Calculation]) -> list[dict[str, Any]]:
    return [asdict(one) for one in calculations]

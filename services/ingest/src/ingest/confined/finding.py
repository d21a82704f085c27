"""Which calculations a tree of files holds, for one format or for whichever there is."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from types import MappingProxyType
from typing import Any

from ingest.confined import known
from ingest.confined.archives import SUFFIXES, kind_of, printable
from ingest.confined.noticed import Noticed
from ingest.confined.programs.spec import Calculation, FormatSpec, joined, looked_at, named, split

_JUNK = ("__MACOSX", ".DS_Store", "._*", "Thumbs.db", ".git")
_SHOWN_NAMES = 6
_LOOKED_AT = 100
# An input is sniffed, and looked at again when the output next to it is.
_HEADS_KEPT = 8


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the catalogue."""

    name: str
    reads: str
    names: tuple[str, ...]


class Tree:
    """The extracted archive, walked once; content is sniffed once a file. Paths are text relative to the root.

    `noticed`: what is known of the files already.
    """

    def __init__(self, root: Path, noticed: Noticed | None = None) -> None:
        self.root = root
        noticed = noticed or Noticed(complete=False)
        self.folders: dict[str, set[str]] = {}
        self.files: list[str] = []
        self.head = lru_cache(maxsize=_HEADS_KEPT)(self._head)
        self._content: dict[str, str | None] = {**noticed.contents}
        self._sizes = noticed.sizes
        self._heads = noticed.heads
        self._beginning = f"{root}/"
        look = noticed.folder if noticed.complete else self._names
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            names, inner = (_without_junk(found) for found in look(folder))
            self.folders[folder] = {*names, *inner}
            self.files.extend([f"{folder}/{name}" for name in names] if folder else names)
            waiting.extend(joined(folder, name) for name in reversed(inner))

    def _names(self, folder: str) -> tuple[list[str], list[str]]:
        """Of files and of folders. At half the cost of os.walk, which looks for links."""
        names: list[str] = []
        folders: list[str] = []
        with os.scandir(self.whole(folder)) as entries:
            for entry in entries:
                (folders if entry.is_dir(follow_symlinks=False) else names).append(entry.name)
        return names, folders

    def whole(self, path: str) -> str:
        """The path on this machine."""
        return self._beginning + path

    def inside(self, path: Path) -> str:
        return str(path)[len(self._beginning) :]

    def content(self, path: str) -> str | None:
        if path not in self._content:
            self._content[path] = known.content(self.whole(path), self.head(path))
        return self._content[path]

    def speaks(self, path: str, name: str, word: bytes) -> bool:
        if path not in self._content and word not in self.head(path):
            return False
        return self.content(path) == name

    def shown(self, path: str) -> str:
        return printable(path) or "."

    def size(self, path: str) -> int:
        """Bytes in a file; 0 for what is none, such as a stem."""
        if path not in self._sizes:
            try:
                about = os.stat(self.whole(path))  # noqa: PTH116 - a million Paths take a minute
            except OSError:
                return 0
            return about.st_size if S_ISREG(about.st_mode) else 0
        return self._sizes[path]

    def _head(self, path: str) -> bytes:
        if (noticed := self._heads.get(path)) is not None:
            return noticed
        start, self._sizes[path] = looked_at(self.whole(path))
        return start

    def summary(self) -> str:
        """What is there, in words: '12 files, such as a/b.txt, c.png'."""
        if not self.files:
            return "no files at all"
        if len(self.files) == 1:
            return self._only(self.files[0])
        ends = Counter(map(_ending, self.files))
        examples = {_ending(path): path for path in reversed(self.files)}
        shown = ", ".join(self.shown(examples[end]) for end, _ in ends.most_common(_SHOWN_NAMES))
        return f"{len(self.files)} files, such as {shown}"

    def _only(self, path: str) -> str:
        """A single file; often it was meant to be an archive, as when a download was saved under its name."""
        shown, head = self.shown(path), self.head(path)
        if not head:
            return f"nothing but {shown}, and that is empty"
        if kind_of(head[:512]) is not None:
            return f"nothing but {shown}, an archive that was not opened"
        if path.lower().endswith(SUFFIXES):
            return f"nothing but {shown}, which is named like an archive and is none"
        return f"nothing but {shown}"


def _without_junk(names: list[str]) -> list[str]:
    return sorted(name for name in names if not named(name, _JUNK))


def _ending(path: str) -> str:
    """'.out', or the whole name where it has none."""
    name = split(path)[1]
    return os.path.splitext(name)[1].lower() or name  # noqa: PTH122 - see Tree


def find(tree: Tree, wanted: Format) -> list[Calculation]:
    """Every calculation of that format: by usual names first, else by content, else every file."""
    return sorted(each(tree, wanted), key=lambda calculation: calculation.path)


def each(tree: Tree, wanted: Format) -> Iterator[Calculation]:
    """As `find`, one after another while it looks, in the order in which they lie in the tree."""
    spec = known.FORMATS.get(wanted.name)
    if spec is not None and spec.find is not None:
        yield from spec.find(tree)
    elif wanted.reads == "folder":
        yield from _folders(tree, wanted)
    else:
        for path in _single_files(tree, wanted):
            yield _single(tree, wanted.name, path)


def _single(tree: Tree, name: str, path: str) -> Calculation:
    return Calculation(tree.shown(path), name, (path,))


def _single_files(tree: Tree, wanted: Format) -> list[str]:
    if not known.recognised(wanted.name):
        return [path for path in tree.files if not wanted.names or named(split(path)[1], wanted.names)]
    speaks, telling = known.takes(wanted.name), known.telling(wanted.names)
    return _speaking(tree, tree.files, speaks, telling) or _speaking(tree, tree.files, (), wanted.names)


def _speaking(tree: Tree, paths: list[str], formats: tuple[str, ...], names: tuple[str, ...]) -> list[str]:
    """Files whose content speaks for one of the formats, or whose name does and whose content says nothing."""
    return [
        path
        for path in paths
        if (content := tree.content(path)) in formats or (content is None and named(split(path)[1], names))
    ]


def _folders(tree: Tree, wanted: Format) -> Iterator[Calculation]:
    spec = known.FORMATS.get(wanted.name)
    for folder, names in tree.folders.items():
        if spec is not None and spec.marks is not None:
            fits = spec.marks(tree.whole(folder), names)
        else:
            fits = any(named(name, wanted.names) for name in names)
        if fits:
            yield Calculation(tree.shown(folder), wanted.name, (folder or ".",))


def detect(
    tree: Tree, catalogue: list[Format], read: Mapping[str, list[Calculation]] = MappingProxyType({})
) -> dict[str, list[Calculation]]:
    """Every format that the tree speaks for, with its calculations; the one with most comes first.

    `read`: calculations of formats that have been found already.

    Folder formats claim their files, then names, then content. Of two formats with equally many calculations
    the one that stands first in `known` wins. What one calculation left behind twice (a vasprun.xml next to its
    OUTCAR) counts once.
    """
    by_name = {one.name: one for one in catalogue}
    order = [name for name in known.FORMATS if name in by_name]
    found: dict[str, list[Calculation]] = {}
    for name in order:
        if by_name[name].reads != "file":
            calculations = read[name] if name in read else find(tree, by_name[name])
            found |= {name: calculations} if calculations else {}
    claimed = {file for calculations in found.values() for one in calculations for file in one.files}
    unclaimed = [path for path in tree.files if not _lies_in(path, claimed)]
    for name in order:
        if by_name[name].reads == "file":
            sure = _speaking(tree, unclaimed, (name,), known.telling(by_name[name].names))
            calculations = [_single(tree, name, path) for path in sure]
            if calculations := _without_twins(name, calculations, found):
                found[name] = sorted(calculations, key=lambda one: one.path)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), order.index(item[0]))))


def _lies_in(path: str, claimed: set[str]) -> bool:
    """Whether the file, or a folder around it, is among these."""
    while path and path not in claimed:
        path = split(path)[0]
    return bool(path) or "." in claimed


def _without_twins(
    name: str, calculations: list[Calculation], found: dict[str, list[Calculation]]
) -> list[Calculation]:
    """Without those next to which the same calculation lies in a format that tells more."""
    twins = {split(one.path)[0] for other in known.FORMATS[name].twins for one in found.get(other, ())}
    return [one for one in calculations if split(one.path)[0] not in twins]


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
    if not spec.told_by or (sure == "likely" and spec.content is not None):
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
    program = known.program(spec.name)
    # Outputs, which mostly say it, stand behind their inputs.
    contents = (tree.content(text) for file in reversed(one.files) for text in _texts(tree, spec, file))
    return any(content is not None and known.program(content) == program for content in contents)


def _texts(tree: Tree, spec: FormatSpec, file: str) -> Iterator[str]:
    """The file, and what else tells of its calculation."""
    for path in dict.fromkeys((file, *(tree.inside(text) for text in spec.texts(tree.root / file)))):
        if os.path.isfile(tree.whole(path)):  # noqa: PTH113 - see Tree
            yield path


def _named_tellingly(tree: Tree, spec: FormatSpec, calculations: list[Calculation]) -> bool:
    telling = known.telling(spec.names)
    return all(named(split(one.files[0])[1], telling) for one in calculations)


def as_json(tree: Tree, calculations: list[Calculation]) -> list[dict[str, Any]]:
    return [
        {"path": one.path, "files": one.files, "options": one.options, "size": sum(_size(tree, one.files))}
        for one in calculations
    ]


def _size(tree: Tree, files: tuple[str, ...]) -> Iterator[int]:
    """Bytes to parse; of a folder, its own files."""
    for path in files:
        folder = "" if path == "." else path
        inside = [joined(folder, name) for name in tree.folders[folder]] if folder in tree.folders else [path]
        yield from map(tree.size, inside)

"""What is noticed of an archive's files while they are written, so that finding need not open each of them again."""

import os
from dataclasses import dataclass, field

from ingest.confined import known
from ingest.confined.programs.spec import split
from ingest.confined.text import marked

# Beyond that many files the tree is walked: memory holds no more.
_MOST_FILES = 1 << 17
_SMALL_FILE, _SMALL_FILES = 1 << 12, 1 << 25


@dataclass
class Noticed:
    """Of one archive. Paths are text relative to the tree's root, '' is the root.

    complete  names are those of the tree, and nothing else is in it
    sizes     bytes in each file
    contents  the format that a file's first lines speak for, where they leave no doubt
    heads     small files
    """

    complete: bool = True
    sizes: dict[str, int] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    heads: dict[str, bytes] = field(default_factory=dict)
    _inside: dict[str, tuple[list[str], list[str]]] = field(default_factory=lambda: {"": ([], [])})
    _kept: int = 0

    def folder(self, path: str) -> tuple[list[str], list[str]]:
        """Note that it is there; the names of files and of folders in it."""
        inside = self._inside.get(path)
        if inside is None:
            inside = self._inside[path] = ([], [])
            if path:
                above, name = split(path)
                self.folder(above)[1].append(name)
        return inside

    def file(self, path: str, start: bytes, size: int) -> None:
        """A new file, and the bytes that it begins with: of a small one all."""
        if not self.complete:
            return
        # Names in two encodings at once are not what the system gives back.
        if len(self.sizes) == _MOST_FILES or not (path.isascii() or os.fsdecode(os.fsencode(path)) == path):
            self.give_up()
            return
        folder, name = split(path)
        self.folder(folder)[0].append(name)
        self.sizes[path] = size
        if marked(start):
            return
        if size <= _SMALL_FILE and len(start) == size and self._kept + size <= _SMALL_FILES:
            self.heads[path] = start
            self._kept += size
        elif (content := known.at_first_sight(start)) is not None:
            self.contents[path] = content

    def give_up(self) -> None:
        """Something else than a new file: the tree must be looked at."""
        self.complete = False
        for kept in (self.sizes, self.contents, self.heads, self._inside):
            kept.clear()

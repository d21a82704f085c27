"""What we know about one of dpdata's formats beyond what dpdata tells: see FormatSpec.

Nothing heavy is imported here or in the programs' modules: the child that opens archives needs them too.
"""

import mmap
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

from ingest.confined.text import marked

HEAD_BYTES = 1 << 16
RYDBERG_EV = 13.605693122990
HARTREE_EV = 2 * RYDBERG_EV
Reads = Literal["file", "folder", "files"]
Theory = dict[str, str | float]
Refusal = tuple[str, str, str]
# Frame by frame; or one word for all of them; or the output does not tell.
Convergence = Sequence[bool | None] | bool | None


@dataclass(frozen=True, slots=True)
class Calculation:
    """One thing for dpdata to load: `path` as the contributor knows it, `files` relative to the tree."""

    path: str
    format: str
    files: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)


class Tree(Protocol):
    """The extracted archive, walked once. Paths are text relative to its root, '' is the root: there may be millions.

    folders  the names in each folder
    """

    root: Path
    folders: dict[str, set[str]]
    files: list[str]

    def content(self, path: str) -> str | None:
        """The format that the head of a file speaks for."""
        ...

    def speaks(self, path: str, name: str, word: bytes) -> bool:
        """Whether `content` is that format. `word`, which is in all such files, is looked for before anything else."""
        ...

    def head(self, path: str) -> bytes:
        """As `head` below."""
        ...

    def shown(self, path: str) -> str:
        """The path as the contributor knows it."""
        ...


@dataclass(frozen=True, slots=True)
class Signs:
    """What an output's last 256 KiB say about why it cannot be read; regular expressions."""

    finished: bytes
    forces: bytes
    unconverged: bytes = rb"(?!)"
    remedy: str = "Compute forces and keep them in the output."


def itself(path: Path) -> list[Path]:
    return [path] if path.is_file() else []


def _says_nothing(_text: str) -> Theory:
    return {}


def _tells_nothing(_files: Sequence[Path]) -> Convergence:
    return None


def split(path: str) -> tuple[str, str]:
    """Folder, '' at the root of a tree, and name."""
    folder, _, name = path.rpartition("/")
    return folder, name


def joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


@dataclass(frozen=True, slots=True)
class FormatSpec:
    """One labeled format of dpdata.

    name       as dpdata names it, e.g. 'qe/pw/scf'
    title      for people, e.g. 'Quantum ESPRESSO pw.x output'
    example    what one calculation looks like on disk, e.g. 'scf.in and scf.out in one folder'
    reads      what one calculation is
    names      usual names; in a folder format, of files that mark the folder
    content    what the head of its main file says; None: nothing that tells it from others
    words      of which one is in whatever `content` matches: looking for a word takes microseconds, searching for a
               pattern up to a hundred times as long, and archives have hundreds of thousands of files
    told_by    what gives it away: after 'each names' where there is `content`, else after 'each is'
    only_if    tells formats of one program apart: whether a file with that content is of this format
    also       formats whose files this one's reader takes as well
    twins      formats in which the same calculation, in the same folder, tells more
    marks      whether a folder (its whole path) with these names is one calculation; None: any of `names` is there
    find       how calculations lie in a tree, where that is more than one file or folder
    options    keyword arguments for dpdata's reader: (name, value)
    texts      the text files that tell level of theory, convergence and signs, for one of a calculation's paths
    theory     level of theory from the heads of these texts; what they do not say is left out
    converged  whether the self-consistency converged, from these texts: by frame as dpdata gives them (let
               `options` keep it from leaving out unconverged ones), one word for all, None: they do not tell
    refuses    why dpdata's reader would misread these texts: (rule, reason, remedy), or None
    signs      what the end of its output says
    """

    name: str
    title: str
    example: str
    reads: Reads
    names: tuple[str, ...]
    content: re.Pattern[bytes] | None = None
    words: tuple[bytes, ...] = ()
    told_by: str = ""
    only_if: Callable[[str, bytes], bool] | None = None
    also: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    marks: Callable[[str, set[str]], bool] | None = None
    find: Callable[[Tree], Iterator[Calculation]] | None = None
    options: tuple[tuple[str, Any], ...] = ()
    texts: Callable[[Path], list[Path]] = itself
    theory: Callable[[str], Theory] = _says_nothing
    converged: Callable[[Sequence[Path]], Convergence] = _tells_nothing
    refuses: Callable[[Sequence[Path]], Refusal | None] | None = None
    signs: Signs | None = None


def head(path: str | Path) -> bytes:
    """The first 64 KiB; of text that is marked as UTF-16 or so, in UTF-8."""
    return looked_at(path)[0]


def looked_at(path: str | Path) -> tuple[bytes, int]:
    """The head of a file, and its bytes."""
    # Half the time of a file object: there may be a million files.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        start, size = os.read(descriptor, HEAD_BYTES), os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    encoding = marked(start)
    return start.decode(encoding, "replace").encode() if encoding else start, size


def holds(path: str, word: bytes) -> bool:
    """Whether these bytes are anywhere in a file, however large."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        return whole.find(word) >= 0


def named(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether one of these patterns, such as '*.out', fits the name, whatever its case."""
    return _any_of(patterns).match(name.lower()) is not None


@lru_cache(maxsize=256)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns) or r"(?!)")


def matching_lines(path: Path, pattern: bytes) -> Iterator[re.Match[bytes]]:
    """Matches line by line: outputs may be larger than memory."""
    compiled = re.compile(pattern)
    with path.open("rb") as file:
        for line in file:
            if match := compiled.search(line):
                yield match


def start_of(paths: Sequence[Path]) -> str:
    """The heads of these files, one after another."""
    return "\n".join(head(path).decode("utf-8", "replace") for path in paths)


def first(pattern: str, text: str) -> str | None:
    """The first group, white space folded; ignores case, ^ and $ are those of lines."""
    match = re.search(pattern, text, re.MULTILINE | re.IGNORECASE)
    return " ".join(match[1].split()) if match else None


def said(**fields: str | float | None) -> Theory:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def code(name: str, version: str | None) -> str:
    return f"{name} {version}" if version else name


def energy_ev(number: str | None, unit_ev: float) -> float | None:
    """A printed cutoff in eV, to the meV."""
    return None if number is None else round(float(number) * unit_ev, 3)


def listed(values: Sequence[str]) -> str | None:
    """Different values in order of appearance, e.g. 'a, b'."""
    return ", ".join(dict.fromkeys(" ".join(value.split()) for value in values)) or None


def by_stem(spec_name: str, ends: tuple[str, ...]) -> Callable[[Tree], Iterator[Calculation]]:
    """Formats of several files with one stem ('run.pos', 'run.evp', …), given to dpdata by the stem.

    The first ending is the one without which nothing can be read; one more tells it from a stray file.
    """

    def find(tree: Tree) -> Iterator[Calculation]:
        stems: dict[str, set[str]] = {}
        for path in tree.files:
            if not path.endswith(ends):
                continue
            for end in ends:
                if path.endswith(end) and not path.endswith(f"/{end}"):
                    stems.setdefault(path.removesuffix(end), set()).add(end)
        for stem, present in sorted(stems.items()):
            if ends[0] in present and len(present) > 1:
                yield Calculation(tree.shown(stem), spec_name, (stem,))

    return find

"""Reads what confined children report, a line at a time while they work, believing only what fits."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from contracts.base import SetAside
from frames.hashing import HASH_BYTES
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from ingest.domain import Calculation, Spooled, note

_LARGEST_LINE = 16 << 20
_LONGEST_THEORY = 300
Count = Annotated[int, Field(ge=0, le=1 << 53)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    frame: Count | None
    rule: str
    reason: str
    remedy: str


class _At(BaseModel):
    model_config = ConfigDict(strict=True)

    at: int
    frames: Count
    failed: Count
    bytes: Count


class _End(BaseModel):
    model_config = ConfigDict(strict=True)

    end: int
    theory: dict[str, str | float]
    frames: Count
    frames_failed: Count
    unconverged: Count
    failed: bool
    largest_force: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    first: Count
    spool: Annotated[list[Count], Field(min_length=2, max_length=2)]
    set_aside: list[_Entry]


def from_child(data: bytes) -> Any:
    """JSON that a child wrote, without the NULs of strangers' files: PostgreSQL takes none. Raises ValueError."""
    said = from_json(data)
    return _without_nul(said) if rb"\u0000" in data else said


def _without_nul(said: Any) -> Any:
    if isinstance(said, str):
        return said.replace("\0", "\ufffd")
    if isinstance(said, list):
        return [_without_nul(one) for one in said]
    if isinstance(said, dict):
        return {_without_nul(name): _without_nul(one) for name, one in said.items()}
    return said


@dataclass
class Lines:
    """The lines of a growing file, each with the byte at which it begins."""

    path: Path
    _read: int = 0

    @property
    def unread(self) -> int:
        return self.path.stat().st_size - self._read if self.path.exists() else 0

    def new(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """What has come since the last time; a line without its end is left for the next time."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            while line := file.readline(_LARGEST_LINE):
                if len(line) < _LARGEST_LINE and not line.endswith(b"\n"):
                    return
                at, self._read = self._read, self._read + len(line)
                try:
                    said = from_child(line)
                except ValueError:
                    continue
                if isinstance(said, dict):
                    yield at, said


@dataclass
class Report:
    """What one parsing child says about the calculations that it was given.

    at           the calculation that it has begun and not ended
    at_frames, at_failed, at_bytes   how far it is in that one
    """

    path: Path
    spool: int
    spooled: tuple[Path, Path]
    at: int | None = None
    at_frames: int = 0
    at_failed: int = 0
    at_bytes: int = 0
    _lines: Lines = field(init=False)
    _sizes: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self._lines = Lines(self.path)

    @property
    def unread(self) -> int:
        """Bytes that were said since the last time."""
        return self._lines.unread

    def read(self, calculations: Mapping[int, Calculation]) -> list[Calculation]:
        """Note in `calculations` what was said since the last time; returns those that ended."""
        ended: list[Calculation] = []
        for at, said in self._lines.new():
            try:
                if "begin" in said:
                    self.at = int(said["begin"])
                    self.at_frames = self.at_failed = self.at_bytes = 0
                elif "at" in said:
                    self._further(_At.model_validate(said))
                elif "end" in said:
                    self._end(_End.model_validate(said), at, calculations, ended)
            except (ValueError, TypeError, ValidationError):
                continue
        return ended

    def _further(self, said: _At) -> None:
        if said.at == self.at:
            self.at_frames, self.at_failed, self.at_bytes = said.frames, said.failed, said.bytes

    def _end(self, end: _End, at: int, calculations: Mapping[int, Calculation], ended: list[Calculation]) -> None:
        one = calculations.get(end.end)
        if one is None or one.done or not self._is_there(end):
            return
        self.at = None
        self.at_frames = self.at_failed = self.at_bytes = 0
        one.done = True
        one.failed = end.failed
        one.frames, one.frames_failed, one.unconverged = end.frames, end.frames_failed, end.unconverged
        one.largest_force = end.largest_force
        one.spool = Spooled(self.spool, end.spool[0], end.spool[1], end.first)
        one.theory = {
            name: value if isinstance(value, float) else value[:_LONGEST_THEORY] for name, value in end.theory.items()
        }
        one.listed = len(end.set_aside)
        one.said = (self.spool, at)
        ended.append(one)

    def _is_there(self, end: _End) -> bool:
        """Whether the frames that it speaks of can be in its files."""
        least = end.spool[1], HASH_BYTES * (end.first + end.frames)
        if least[0] > self._sizes[0] or least[1] > self._sizes[1]:
            self._sizes = self.spooled[0].stat().st_size, self.spooled[1].stat().st_size
        return end.spool[0] <= least[0] <= self._sizes[0] and least[1] <= self._sizes[1]


def listed(calculations: Iterable[Calculation], reports: Mapping[int, Path], most: int) -> list[SetAside]:
    """The first `most` entries of what was set aside, in the order of the calculations: read again from the reports.

    A hundred thousand calculations may set aside millions of frames, which nobody needs in memory.
    """
    entries: list[SetAside] = []
    for one in calculations:
        if one.failure is not None:
            entries.append(one.failure)
        elif one.said is not None and one.listed:
            spool, at = one.said
            with reports[spool].open("rb") as file:
                file.seek(at)
                end = _End.model_validate(from_child(file.readline(_LARGEST_LINE)))
            entries += [note(one.path, each.frame, each.rule, each.reason, each.remedy) for each in end.set_aside]
        if len(entries) >= most:
            break
    return entries[:most]

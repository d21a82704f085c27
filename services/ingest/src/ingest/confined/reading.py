"""Parses calculations with dpdata, one after another, into a spool and a report.

Batches of calculations come on standard input, a line of JSON each, for as long as there are any; a line on standard
output, whatever is in it, says that one is done. The report is
one JSON object a line: {"begin": i} before calculation i, {"at": …} while it is long, {"end": i, …} after it. If
this process dies, the parent knows at which calculation, and what was done before it stands.
"""

import json
import os
import re
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import IO, Any

import numpy as np
from frames.frame import Frame

from ingest.confined import readers, spool, theory
from ingest.confined.diagnosis import diagnose, signs
from ingest.confined.judging import Candidate, Unfit, atomic_numbers, frames
from ingest.confined.outputs import call, write
from ingest.confined.programs.spec import Theory

_MAX_LISTED = 200
_TELL_SECONDS = 0.5
_FLUSH_SECONDS = 0.05
# Frames, and atoms in them, that wait to be judged.
_TOGETHER, _ATOMS_TOGETHER = 256, 1 << 14
_UNCONVERGED = "unconverged"
_NO_NUMBERS = atomic_numbers([])
# A calculation without these has not come to its end, or was not asked for them.
_MISSING = frozenset({"no-energy", "no-forces", "wrong-shape"})
# What dpdata says in warnings when it leaves frames out.
_LEFT_OUT = re.compile(r"unconverged|incomplete labels|no energy found in frame|cannot find labels")


def parse(arguments: dict[str, Any], _inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; outputs: report, spool, hashes."""
    warnings.simplefilter("ignore")
    parser = Parser(arguments, outputs)
    while line := sys.stdin.buffer.readline():
        parser.read(json.loads(line))
        call()


class Parser:
    """Reads calculations below arguments["tree"]; those with "theory" are asked for their level of theory, too.

    outputs: report, spool, hashes.

    Frames are judged, packed and hashed many at a time, which takes a fraction of the time; a calculation has ended
    when its last frame is.
    """

    def __init__(self, arguments: dict[str, Any], outputs: list[IO[bytes]]) -> None:
        self._root = Path(arguments["tree"])
        self._report = outputs[0]
        self._spooler = spool.Spooler(outputs[1], outputs[2])
        self._waiting: list[tuple[_Result, Candidate | Unfit]] = []
        self._atoms = 0
        self._read_through: list[_Result] = []
        self._symbols: list[str] | None = None
        self._numbers = _NO_NUMBERS
        self._flushed = time.monotonic()

    def read(self, calculations: list[dict[str, Any]]) -> None:
        """All that was read is in the files afterwards. Whatever a calculation does costs itself alone."""
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", UserWarning)
            for calculation in calculations:
                self._read(calculation, warned)
        self._flush()

    def _read(self, calculation: dict[str, Any], warned: list[warnings.WarningMessage]) -> None:
        number = calculation["number"]
        write(self._report, b'{"begin": %d}\n' % number)
        warned.clear()
        result = _Result(number, self._root, calculation)
        self._read_through.append(result)
        try:
            self._read_frames(result)
            result.note_warnings(warned)
        except Unfit as unfit:
            result.fail(result.signed(unfit))
        except MemoryError:
            remedy = "Split it into smaller files."
            result.fail(Unfit("too-much-memory", "reading it needs more memory than is allowed", remedy))
        except (Exception, SystemExit) as error:
            # Whatever a parser throws at a stranger's file costs this calculation, no more.
            result.fail(diagnose(calculation["format"], readers.paths(self._root, calculation), error))
        if calculation["theory"]:
            result.theory = _theory(self._root, calculation)
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._flush()

    def _read_frames(self, result: "_Result") -> None:
        told = time.monotonic()
        place: _Place | None = None
        for index, raw in enumerate(readers.frames(self._root, result.calculation)):
            one: Candidate | Unfit
            try:
                if isinstance(raw, Unfit):
                    raise raw
                if raw.symbols is not self._symbols:
                    # Readers give one list for a trajectory's frames, or those of inputs that are alike.
                    self._numbers = atomic_numbers(raw.symbols)
                    self._symbols = raw.symbols
                one = Candidate(raw, self._numbers, index)
                self._atoms += len(self._numbers)
            except Unfit as unfit:
                one = unfit
            self._waiting.append((result, one))
            if len(self._waiting) >= _TOGETHER or self._atoms >= _ATOMS_TOGETHER:
                self._judge()
            now = time.monotonic()
            if now - told > _TELL_SECONDS:
                told = now
                place = place or _Place(self._root, result.calculation)
                self._judge()
                _say(self._report, {**result.so_far(), "bytes": place.bytes()})

    def _judge(self) -> None:
        """Of all frames that wait."""
        waiting, self._waiting, self._atoms = self._waiting, [], 0
        start, first = self._spooler.offset, self._spooler.count
        try:
            judged = iter(frames([one for _, one in waiting if isinstance(one, Candidate)]))
            results = [(result, next(judged) if isinstance(one, Candidate) else one) for result, one in waiting]
            good = [one for _, one in results if isinstance(one, Frame)]
            kept = zip(_largest_forces(good), self._spooler.put(good), strict=True)
        except MemoryError:
            # Costs the calculation that is being read; when its reader has let go, there is room for these.
            self._waiting = waiting
            raise
        for result, one in results:
            if isinstance(one, Unfit):
                result.frame_fails(one)
            else:
                largest, end = next(kept)
                result.keeps(largest, start, end, first)
                start, first = end, first + 1

    def _flush(self) -> None:
        """Results after the frames of which they speak. What a child's death takes from here is read again."""
        self._judge()
        self._spooler.flush()
        write(self._report, b"".join([_line(result.ended()) for result in self._read_through]))
        self._read_through.clear()
        self._flushed = time.monotonic()


def _theory(root: Path, calculation: dict[str, Any]) -> Theory:
    try:
        return theory.of(calculation["format"], readers.paths(root, calculation))
    except (OSError, ValueError):
        return {}


def _say(report: IO[bytes], what: dict[str, Any]) -> None:
    write(report, _line(what))


def _line(what: dict[str, Any]) -> bytes:
    return json.dumps(what).encode() + b"\n"


class _Place:
    """How far into its file a reader is, from the descriptor that it reads with: none of them tells."""

    def __init__(self, root: Path, calculation: dict[str, Any]) -> None:
        self._size, self._file = 0, (0, 0)
        for path in readers.paths(root, calculation):
            if path.is_file() and path.stat().st_size > self._size:
                about = path.stat()
                self._size, self._file = about.st_size, (about.st_dev, about.st_ino)

    def bytes(self) -> int:
        for descriptor in range(3, 32):
            try:
                about = os.fstat(descriptor)
                if (about.st_dev, about.st_ino) == self._file:
                    return os.lseek(descriptor, 0, os.SEEK_CUR)
            except OSError:
                continue
        return 0


def _largest_forces(frames: list[Frame]) -> list[float]:
    """Of any component, eV/Å, for each."""
    if not frames:
        return []
    starts = np.cumsum([0, *(frame.natoms for frame in frames[:-1])])
    largest = np.abs(np.concatenate([frame.forces for frame in frames])).max(axis=1)
    found: list[float] = np.maximum.reduceat(largest, starts).tolist()
    return found


class _Result:
    """What came of one calculation."""

    def __init__(self, number: int, root: Path, calculation: dict[str, Any]) -> None:
        self.calculation = calculation
        self.theory: Theory = {}
        self._number, self._root = number, root
        self._spool = [0, 0]
        self._first = 0
        self._frames = self._frames_failed = 0
        self._set_aside: list[dict[str, Any]] = []
        self._left_out: list[dict[str, Any]] = []
        self._rules: Counter[str] = Counter()
        self._failure: Unfit | None = None
        self._largest_force = 0.0

    def keeps(self, largest_force: float, start: int, end: int, row: int) -> None:
        """A frame that lies there in the spool, its hash in that row."""
        if not self._frames:
            self._spool[0], self._first = start, row
        self._spool[1] = end
        self._frames += 1
        self._largest_force = max(self._largest_force, largest_force)

    def frame_fails(self, unfit: Unfit) -> None:
        self._rules[unfit.rule] += 1
        if len(self._set_aside) < _MAX_LISTED:
            entry = {"frame": self._frames + self._frames_failed, **_words(unfit)}
            self._set_aside.append(entry)
        self._frames_failed += 1

    def note_warnings(self, warned: list[warnings.WarningMessage]) -> None:
        """Frames that the parser itself left out: it only warns."""
        for words in dict.fromkeys(str(one.message) for one in warned if _LEFT_OUT.search(str(one.message))):
            rule = "unconverged" if "unconverged" in words else "incomplete"
            remedy = "Nothing, if you can do without; else repeat these steps of the calculation."
            self._left_out.append({"frame": None, **_words(Unfit(rule, " ".join(words.split()), remedy))})

    def fail(self, unfit: Unfit) -> None:
        """The rest of the calculation is lost; frames before that stand."""
        self._failure = unfit

    def so_far(self) -> dict[str, Any]:
        return {"at": self._number, "frames": self._frames, "failed": self._frames_failed}

    def ended(self) -> dict[str, Any]:
        """When all its frames are judged."""
        self._set_aside += self._left_out
        if self._failure is None and (nothing := self._nothing_left()) is not None:
            self._failure = self.signed(nothing)
        return {"end": self._number, "theory": self.theory, **self._summary(self._failure)}

    def _nothing_left(self) -> Unfit | None:
        if self._frames:
            return None
        if self._frames_failed == 0:
            if self._set_aside:
                only = self._set_aside.pop()
                return Unfit(only["rule"], only["reason"], only["remedy"])
            return Unfit("no-frames", "no complete frame is in it", "Check that the calculation ran to its end.")
        count = self._frames_failed
        if len(self._rules) == 1 and (count > 1 or self._rules.keys() & _MISSING):
            # Every frame for one reason: that is one thing to fix.
            first = self._set_aside[0]
            reason = first["reason"] if count == 1 else f"all {count} frames: {first['reason']}"
            return Unfit(first["rule"], reason, first["remedy"])
        return None

    def signed(self, failure: Unfit) -> Unfit:
        """What the output itself says of it, if anything. Where a file breaks off its reader knows better than its
        last lines.
        """
        told = signs(self.calculation["format"], readers.paths(self._root, self.calculation))
        return failure if told is None or told.rule == failure.rule == "truncated" else told

    def _summary(self, failure: Unfit | None) -> dict[str, Any]:
        listed = self._set_aside
        if failure is not None:
            at = self._frames + self._frames_failed if self._frames else None
            listed = [{"frame": at, **_words(failure)}, *(listed if self._frames else [])]
        return {
            "frames": self._frames,
            "frames_failed": self._frames_failed,
            "unconverged": self._rules[_UNCONVERGED] or sum(one["rule"] == _UNCONVERGED for one in listed),
            "failed": failure is not None,
            "largest_force": self._largest_force,
            "first": self._first,
            "spool": self._spool,
            "set_aside": listed,
        }


def _words(unfit: Unfit) -> dict[str, str]:
    return {"rule": unfit.rule, "reason": unfit.reason, "remedy": unfit.remedy}

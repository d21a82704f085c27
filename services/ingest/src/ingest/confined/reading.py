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

from ingest.confined import readers, spool, theory
from ingest.confined.diagnosis import diagnose, signs
from ingest.confined.judging import Unfit, atomic_numbers, frame
from ingest.confined.outputs import call, write
from ingest.confined.programs.spec import Theory

_MAX_LISTED = 200
_TELL_SECONDS = 0.5
_FLUSH_SECONDS = 0.05
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
    """Reads calculations below arguments["tree"]; every arguments["theory_every"]-th is asked for its level of theory.

    outputs: report, spool, hashes.
    """

    def __init__(self, arguments: dict[str, Any], outputs: list[IO[bytes]]) -> None:
        self._root = Path(arguments["tree"])
        self._theory_every: int = arguments["theory_every"]
        self._report = outputs[0]
        self._spooler = spool.Spooler(outputs[1], outputs[2])
        self._ends = bytearray()
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
        result = self._result(calculation, warned)
        said = _theory(self._root, calculation) if number % self._theory_every == 0 else {}
        self._ends += _line({"end": number, "theory": said, **result.summary()})
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        """Results after the frames of which they speak. What a child's death takes from here is read again."""
        self._spooler.flush()
        write(self._report, self._ends)
        self._ends.clear()
        self._flushed = time.monotonic()

    def _result(self, calculation: dict[str, Any], warned: list[warnings.WarningMessage]) -> "_Result":
        result = _Result(self._report, self._spooler)
        try:
            result.read(self._root, calculation, warned)
        except Unfit as unfit:
            result.fail(signs(calculation["format"], readers.paths(self._root, calculation)) or unfit)
        except MemoryError:
            remedy = "Split it into smaller files."
            result.fail(Unfit("too-much-memory", "reading it needs more memory than is allowed", remedy))
        except (Exception, SystemExit) as error:
            # Whatever a parser throws at a stranger's file costs this calculation, no more.
            result.fail(diagnose(calculation["format"], readers.paths(self._root, calculation), error))
        return result


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


class _Result:
    """What came of one calculation."""

    def __init__(self, report: IO[bytes], spooler: spool.Spooler) -> None:
        self._report, self._spooler = report, spooler
        self._start, self._first = spooler.offset, spooler.count
        self._set_aside: list[dict[str, Any]] = []
        self._rules: Counter[str] = Counter()
        self._failure: Unfit | None = None
        self._largest_force = 0.0
        self._told = time.monotonic()

    @property
    def _frames(self) -> int:
        return self._spooler.count - self._first

    def read(self, root: Path, calculation: dict[str, Any], warned: list[warnings.WarningMessage]) -> None:
        """`warned`: where warnings are recorded."""
        self._read(root, calculation)
        self._note_warnings(warned)
        self._check()

    def _read(self, root: Path, calculation: dict[str, Any]) -> None:
        place: _Place | None = None
        symbols, numbers = None, _NO_NUMBERS
        for index, raw in enumerate(readers.frames(root, calculation)):
            try:
                if isinstance(raw, Unfit):
                    raise raw
                if raw.symbols is not symbols:
                    # Readers give one list for a trajectory's frames.
                    numbers = atomic_numbers(raw.symbols)
                    symbols = raw.symbols
                one = frame(raw, numbers, index)
                self._spooler.put(one)
                self._largest_force = max(self._largest_force, float(np.abs(one.forces).max()))
            except Unfit as unfit:
                self._frame_fails(index, unfit)
            now = time.monotonic()
            if now - self._told > _TELL_SECONDS:
                self._told = now
                place = place or _Place(root, calculation)
                failed = sum(self._rules.values())
                said = {"at": calculation["number"], "frames": self._frames, "failed": failed, "bytes": place.bytes()}
                _say(self._report, said)

    def _note_warnings(self, warned: list[warnings.WarningMessage]) -> None:
        """Frames that the parser itself left out: it only warns."""
        for words in dict.fromkeys(str(one.message) for one in warned if _LEFT_OUT.search(str(one.message))):
            rule = "unconverged" if "unconverged" in words else "incomplete"
            remedy = "Nothing, if you can do without; else repeat these steps of the calculation."
            entry = {"frame": None, "rule": rule, "reason": " ".join(words.split()), "remedy": remedy}
            self._set_aside.append(entry)

    def _check(self) -> None:
        if self._frames + sum(self._rules.values()) == 0:
            if self._set_aside:
                only = self._set_aside.pop()
                raise Unfit(only["rule"], only["reason"], only["remedy"])
            raise Unfit("no-frames", "no complete frame is in it", "Check that the calculation ran to its end.")
        count = sum(self._rules.values())
        if self._frames == 0 and len(self._rules) == 1 and (count > 1 or self._rules.keys() & _MISSING):
            # Every frame for one reason: that is one thing to fix.
            first = self._set_aside[0]
            reason = first["reason"] if count == 1 else f"all {count} frames: {first['reason']}"
            raise Unfit(first["rule"], reason, first["remedy"])

    def _frame_fails(self, index: int, unfit: Unfit) -> None:
        self._rules[unfit.rule] += 1
        if len(self._set_aside) < _MAX_LISTED:
            self._set_aside.append({"frame": index, "rule": unfit.rule, "reason": unfit.reason, "remedy": unfit.remedy})

    def fail(self, unfit: Unfit) -> None:
        """The rest of the calculation is lost; frames before that stand."""
        self._failure = unfit

    def summary(self) -> dict[str, Any]:
        failed = sum(self._rules.values())
        if self._failure is None:
            listed = self._set_aside
        else:
            whole = {"rule": self._failure.rule, "reason": self._failure.reason, "remedy": self._failure.remedy}
            at = self._frames + failed if self._frames else None
            listed = [{"frame": at, **whole}, *(self._set_aside if self._frames else [])]
        return {
            "frames": self._frames,
            "frames_failed": failed,
            "unconverged": self._rules[_UNCONVERGED] or sum(one["rule"] == _UNCONVERGED for one in listed),
            "failed": self._failure is not None,
            "largest_force": self._largest_force,
            "first": self._first,
            "spool": [self._start, self._spooler.offset],
            "set_aside": listed,
        }

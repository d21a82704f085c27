"""Parses calculations with dpdata, one after another, into a spool and a report.

The report is one JSON object a line: {"begin": i} before calculation i, {"end": i, …} after it. If this
process dies, the parent knows at which calculation, and what was done before it stands.
"""

import json
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import IO, Any

from ingest.confined import readers, spool, theory
from ingest.confined.diagnosis import diagnose, signs
from ingest.confined.judging import Unfit, atomic_numbers, frame
from ingest.confined.programs.spec import Theory

_MAX_LISTED = 200
_PROGRESS_FRAMES = 500
# A calculation without these has not come to its end, or was not asked for them.
_MISSING = frozenset({"no-energy", "no-forces", "wrong-shape"})
# What dpdata says in warnings when it leaves frames out.
_LEFT_OUT = re.compile(r"unconverged|incomplete labels|no energy found in frame|cannot find labels")


def parse(arguments: dict[str, Any], _inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; outputs: report, spool."""
    warnings.simplefilter("ignore")
    report, spooled = outputs
    root = Path(arguments["tree"])
    for calculation in arguments["calculations"]:
        number = calculation["number"]
        _say(report, {"begin": number})
        result = _Result(report, spooled)
        try:
            result.read(root, calculation)
        except Unfit as unfit:
            result.fail(signs(calculation["format"], readers.paths(root, calculation)) or unfit)
        except MemoryError:
            remedy = "Split it into smaller files."
            result.fail(Unfit("too-much-memory", "reading it needs more memory than is allowed", remedy))
        except (Exception, SystemExit) as error:
            # Whatever a parser throws at a stranger's file costs this calculation, no more.
            result.fail(diagnose(calculation["format"], readers.paths(root, calculation), error))
        said = _theory(root, calculation) if number % arguments["theory_every"] == 0 else {}
        _say(report, {"end": number, "theory": said, **result.summary()})


def _theory(root: Path, calculation: dict[str, Any]) -> Theory:
    try:
        return theory.of(calculation["format"], readers.paths(root, calculation))
    except (OSError, ValueError):
        return {}


def _say(report: IO[bytes], what: dict[str, Any]) -> None:
    report.write(json.dumps(what).encode() + b"\n")


class _Result:
    """What came of one calculation."""

    def __init__(self, report: IO[bytes], spooled: IO[bytes]) -> None:
        self._report, self._spool = report, spooled
        self._start = spooled.tell()
        self._frames = 0
        self._set_aside: list[dict[str, Any]] = []
        self._rules: Counter[str] = Counter()
        self._failure: Unfit | None = None

    def read(self, root: Path, calculation: dict[str, Any]) -> None:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", UserWarning)
            self._read(root, calculation)
        self._note_warnings(warned)
        self._check()

    def _read(self, root: Path, calculation: dict[str, Any]) -> None:
        symbols, numbers = None, atomic_numbers([])
        for index, raw in enumerate(readers.frames(root, calculation)):
            if index and index % _PROGRESS_FRAMES == 0:
                _say(self._report, {"reading": calculation["number"], "frame": index})
            try:
                if isinstance(raw, Unfit):
                    raise raw
                if raw.symbols is not symbols:
                    # Readers give one list for a trajectory's frames.
                    numbers = atomic_numbers(raw.symbols)
                    symbols = raw.symbols
                spool.put(self._spool, frame(raw, numbers, index))
                self._frames += 1
            except Unfit as unfit:
                self._frame_fails(index, unfit)

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
            "failed": self._failure is not None,
            "set_aside": listed,
            "spool": [self._start, self._spool.tell()],
        }

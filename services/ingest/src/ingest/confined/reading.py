"""Parses calculations with dpdata, one after another, into a spool and a report.

The report is one JSON object a line: {"begin": i} before calculation i, {"end": i, …} after it. If this
process dies, the parent knows at which calculation, and what was done before it stands.
"""

import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import dpdata
from dpdata.data_type import DataError

from ingest.confined import extxyz, spool, theory
from ingest.confined.diagnosis import diagnose, signs
from ingest.confined.judging import Raw, Unfit, atomic_numbers, frame

EXTXYZ = "extxyz"
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
            result.fail(signs(calculation["format"], _paths(root, calculation)) or unfit)
        except MemoryError:
            remedy = "Split it into smaller files."
            result.fail(Unfit("too-much-memory", "reading it needs more memory than is allowed", remedy))
        except (Exception, SystemExit) as error:
            # Whatever a parser throws at a stranger's file costs this calculation, no more.
            result.fail(diagnose(calculation["format"], _paths(root, calculation), error))
        said = _theory(root, calculation) if number % arguments["theory_every"] == 0 else {}
        _say(report, {"end": number, "theory": said, **result.summary()})


def _theory(root: Path, calculation: dict[str, Any]) -> theory.Theory:
    try:
        return theory.of(calculation["format"], _paths(root, calculation), calculation["options"])
    except (OSError, ValueError):
        return {}


def _paths(root: Path, calculation: dict[str, Any]) -> list[Path]:
    return [root / file for file in calculation["files"]]


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
        for index, raw in enumerate(_frames(root, calculation)):
            if index % _PROGRESS_FRAMES == 0:
                _say(self._report, {"reading": calculation["number"], "frame": index})
            try:
                if isinstance(raw, Unfit):
                    raise raw
                spool.put(self._spool, frame(raw, atomic_numbers(raw.symbols), index))
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


def _frames(root: Path, calculation: dict[str, Any]) -> Iterator[Raw | Unfit]:
    if calculation["format"] == EXTXYZ:
        with _paths(root, calculation)[0].open(encoding="utf-8", errors="replace") as file:
            yield from extxyz.frames(file)
        return
    for system in _systems(root, calculation):
        yield from _of_system(system)


def _systems(root: Path, calculation: dict[str, Any]) -> list[Any]:
    """dpdata's systems of one calculation."""
    # Paths relative to the tree keep messages free of this machine's folders.
    os.chdir(root)
    files: list[str] = calculation["files"]
    source: Any = files[0] if len(files) == 1 else files
    name = calculation["format"]
    if calculation["multi"]:
        systems = dpdata.MultiSystems()
        try:
            systems.load_systems_from_file(source, fmt=name, **calculation["options"])
        except (KeyError, NotImplementedError):
            # An HDF5 file may also hold one system alone, at its root.
            return [dpdata.LabeledSystem(source, fmt=name, **calculation["options"])]
        return list(systems.systems.values())
    return [dpdata.LabeledSystem(source, fmt=name, **calculation["options"])]


def _of_system(system: Any) -> Iterator[Raw | Unfit]:
    data = system.data
    names = data["atom_names"]
    symbols = [str(names[kind]) for kind in data["atom_types"]]
    cells = None if data.get("nopbc") else data["cells"]
    labels = [data.get(name) for name in ("energies", "forces", "virials")]
    lengths = {len(one) for one in (data["coords"], *labels) if one is not None}
    if len(lengths) > 1:
        raise DataError(f"numbers of positions and labels differ: {sorted(lengths)}")
    for index in range(len(data["coords"])):
        # A parser that found no energy may give an array of None.
        energy, forces, virial = (None if one is None or one[index] is None else one[index] for one in labels)
        yield Raw(symbols, data["coords"][index], None if cells is None else cells[index], energy, forces, virial)

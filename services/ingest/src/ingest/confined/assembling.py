"""From spools to the canonical dataset: two LMDB files and statistics, in one pass over the frames.

Which frames are kept, and which of those are held out or known elsewhere, was decided before from their hashes.
"""

import json
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from frames import store
from frames.frame import SYMBOLS, FloatArray, Frame, IntArray, formula

from ingest.confined import spool
from ingest.confined.marks import HELD_OUT, KEPT, KNOWN

_BINS = 40
_PREVIEWS = 24
_PREVIEW_ATOMS = 400
_COMPOSITIONS_LISTED = 200
_FORCES_AT_ONCE = 1 << 16
_TELL_SECONDS = 0.5


def run(arguments: dict[str, Any], inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; inputs: marks, spools; outputs: report, the summary as JSON; LMDB folders in `folder`.

    `parts`: where each calculation's frames lie. The spools are read once, a frame at a time: memory holds numbers.
    """
    report, answer = outputs
    folder = Path(arguments["folder"])
    statistics = _Statistics(arguments["largest_force"])
    told, done = time.monotonic(), 0
    with ExitStack() as stack:
        writers: dict[bool, store.Writer] = {}
        for frame, mark in _frames(inputs[0], inputs[1:], arguments["parts"]):
            held_out = bool(mark & HELD_OUT)
            if held_out not in writers:
                path = folder / ("held-out.lmdb" if held_out else "train.lmdb")
                writers[held_out] = stack.enter_context(store.Writer(path))
            writers[held_out].add(frame)
            statistics.take(frame)
            done += 1
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                report.write(json.dumps({"frames": done}).encode() + b"\n")
        for writer in writers.values():
            writer.finish()
    answer.write(json.dumps(statistics.summary(), allow_nan=False).encode())


def _frames(marks: IO[bytes], spools: list[IO[bytes]], parts: list[dict[str, Any]]) -> Iterator[tuple[Frame, int]]:
    for part in parts:
        own = marks.read(part["frames"])
        wanted = [bool(mark & KEPT) for mark in own]
        kept = (mark for mark in own if mark & KEPT)
        found = spool.frames(spools[part["spool"]], part["start"], part["end"], part["path"], wanted)
        for frame, mark in zip(found, kept, strict=True):
            yield (replace(frame, known=True) if mark & KNOWN else frame), mark


@dataclass
class _Kind:
    """Frames in a row with the same atoms. `counts`: atoms by atomic number; `frames`: how many wait to be counted."""

    numbers: bytes
    formula: str
    counts: IntArray
    frames: int = 0


class _Statistics:
    """Counts, ranges and histograms. `largest_force`: of any component, eV/Å; where the histogram ends."""

    def __init__(self, largest_force: float) -> None:
        self._atoms = 0
        self._compositions: Counter[str] = Counter()
        self._elements: set[int] = set()
        self._pairs: set[tuple[int, int]] = set()
        self._alike: set[tuple[str, bool]] = set()
        self._last = _Kind(b"", "", np.zeros(0, dtype=np.int64))
        self._virials = 0
        self._converged = 0
        self._energy = array("d")
        self._element_atoms = np.zeros(len(SYMBOLS) + 1, dtype=np.int64)
        self._element_frames = np.zeros(len(SYMBOLS) + 1, dtype=np.int64)
        self._previews: list[tuple[int, Frame]] = []
        self._preview_every = 1
        self._force = max(largest_force, 1e-3)
        self._force_counts = np.zeros(_BINS, dtype=np.int64)
        self._forces: list[FloatArray] = []
        self._force_numbers = 0

    def take(self, frame: Frame) -> None:
        self._take_preview(frame, len(self._energy))
        self._atoms += frame.natoms
        name = self._kind(frame).formula
        self._virials += frame.virial is not None
        self._converged += frame.converged is True
        self._energy.append(frame.energy / frame.natoms)
        self._forces.append(frame.forces)
        self._force_numbers += frame.forces.size
        if self._force_numbers >= _FORCES_AT_ONCE:
            self._count_forces()
        if (name, frame.cell is None) not in self._alike:
            self._alike.add((name, frame.cell is None))
            self._take_elements(frame)

    def _take_preview(self, frame: Frame, place: int) -> None:
        """Frames that are spread evenly over the dataset, whose size is not known before its end."""
        if place % self._preview_every or frame.natoms > _PREVIEW_ATOMS:
            return
        if len(self._previews) == _PREVIEWS:
            self._preview_every *= 2
            self._previews = [one for one in self._previews if one[0] % self._preview_every == 0]
            if place % self._preview_every:
                return
        self._previews.append((place, frame))

    def _kind(self, frame: Frame) -> "_Kind":
        """That of the last frame where this one has the same atoms, as most have."""
        numbers = frame.numbers.tobytes()
        if self._last.numbers != numbers:
            self._count_kind()
            counts = np.bincount(frame.numbers, minlength=len(SYMBOLS) + 1)
            self._last = _Kind(numbers, formula(frame.numbers), counts)
        self._last.frames += 1
        return self._last

    def _count_kind(self) -> None:
        """The frames since the last one of other atoms."""
        kind = self._last
        if kind.frames:
            self._compositions[kind.formula] += kind.frames
            self._element_atoms += kind.frames * kind.counts
            self._element_frames += kind.frames * (kind.counts > 0)
            kind.frames = 0

    def _take_elements(self, frame: Frame) -> None:
        """An element is its own pair where there are two of it, or its periodic images."""
        numbers, counts = np.unique(frame.numbers, return_counts=True)
        self._elements.update(numbers.tolist())
        for first, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            self._pairs.update((first, second) for second in numbers.tolist() if second > first)
            if count > 1 or frame.cell is not None:
                self._pairs.add((first, first))

    def _count_forces(self) -> None:
        if self._forces:
            values = np.clip(np.concatenate([one.reshape(-1) for one in self._forces]), -self._force, self._force)
            self._force_counts += np.histogram(values, bins=_BINS, range=(-self._force, self._force))[0]
            self._forces.clear()
            self._force_numbers = 0

    def summary(self) -> dict[str, Any]:
        self._count_forces()
        self._count_kind()
        edges = np.linspace(-self._force, self._force, _BINS + 1)
        frames = len(self._energy)
        return {
            "atoms": self._atoms,
            "elements": [SYMBOLS[number - 1] for number in sorted(self._elements)],
            "element_pairs": [f"{SYMBOLS[one - 1]}-{SYMBOLS[other - 1]}" for one, other in sorted(self._pairs)],
            "compositions": [
                {"formula": name, "frames": count}
                for name, count in self._compositions.most_common(_COMPOSITIONS_LISTED)
            ],
            "virial_frames": self._virials,
            "converged_frames": self._converged,
            "unknown_frames": frames - self._converged,
            "energy_per_atom_ev": _histogram(np.array(self._energy)),
            "force_component_ev_per_angstrom": {"edges": edges.tolist(), "counts": self._force_counts.tolist()},
            "preview": [_preview(place, frame) for place, frame in self._previews],
            "element_counts": [
                {"symbol": SYMBOLS[number - 1], "atoms": int(self._element_atoms[number]), "frames": int(holding)}
                for number, holding in enumerate(self._element_frames)
                if holding
            ],
        }


def _preview(place: int, frame: Frame) -> dict[str, Any]:
    return {
        "symbols": frame.symbols,
        "positions": np.round(frame.coords, 4).tolist(),
        "cell": None if frame.cell is None else np.round(frame.cell, 4).tolist(),
        "frame": place,
    }


def _histogram(values: FloatArray) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    # One value is a bar of 1 meV, not of one electronvolt.
    same = high - low < 1e-6
    margin = 5e-4 if same else 0.0
    counts, edges = np.histogram(values, bins=1 if same else _BINS, range=(low - margin, high + margin))
    return {"edges": edges.tolist(), "counts": counts.tolist()}

"""From spools to the canonical dataset: duplicates dropped, split, two LMDB files, statistics."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from frames import hashing, split, store
from frames.frame import SYMBOLS, FloatArray, Frame, formula

from ingest.confined import spool

_BINS = 40
_PREVIEWS = 4
_PREVIEW_ATOMS = 400
_COMPOSITIONS_LISTED = 200


def run(arguments: dict[str, Any], inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; inputs: spools; output: the summary as JSON; LMDB folders in `folder`.

    The spools are read several times, a frame at a time: memory holds hashes, not frames.
    """
    parts = arguments["parts"]
    seen: dict[bytes, int] = {}
    kept: list[int] = []
    statistics = _Statistics()
    total = 0
    for position, frame in enumerate(_frames(inputs, parts)):
        total += 1
        digest = hashing.frame_hash(frame)
        if digest not in seen:
            seen[digest] = position
            kept.append(position)
            statistics.take(frame)
    if not kept:
        raise ValueError("no frame in the spools")
    hashes = list(seen)
    train, held_out = ({kept[index] for index in indices} for indices in split.split(hashes))
    folder = Path(arguments["folder"])
    if train:
        store.write(folder / "train.lmdb", _selected(inputs, parts, train))
    store.write(folder / "held-out.lmdb", _selected(inputs, parts, held_out))
    summary = {
        "content_sha256": hashing.content_sha256(hashes),
        "frames": len(kept),
        "train_frames": len(train),
        "held_out_frames": len(held_out),
        "duplicate_frames": total - len(kept),
        **statistics.summary(_selected(inputs, parts, set(kept))),
    }
    outputs[0].write(json.dumps(summary, allow_nan=False).encode())


def _frames(inputs: list[IO[bytes]], parts: list[dict[str, Any]]) -> Iterator[Frame]:
    for part in parts:
        yield from spool.frames(inputs[part["spool"]], part["start"], part["end"], part["path"])


def _selected(inputs: list[IO[bytes]], parts: list[dict[str, Any]], wanted: set[int]) -> Iterator[Frame]:
    return (frame for position, frame in enumerate(_frames(inputs, parts)) if position in wanted)


class _Statistics:
    """Counts and ranges in the first pass, histograms in the second."""

    def __init__(self) -> None:
        self._atoms = 0
        self._compositions: Counter[str] = Counter()
        self._elements: set[int] = set()
        self._virials = 0
        self._energy: list[float] = []
        self._largest_force = 0.0
        self._previews: dict[str, dict[str, Any]] = {}

    def take(self, frame: Frame) -> None:
        self._atoms += frame.natoms
        name = formula(frame.numbers)
        self._compositions[name] += 1
        self._elements.update(int(number) for number in np.unique(frame.numbers))
        self._virials += frame.virial is not None
        self._energy.append(frame.energy / frame.natoms)
        self._largest_force = max(self._largest_force, float(np.abs(frame.forces).max()))
        if name not in self._previews and len(self._previews) < _PREVIEWS and frame.natoms <= _PREVIEW_ATOMS:
            self._previews[name] = {
                "symbols": frame.symbols,
                "positions": np.round(frame.coords, 4).tolist(),
                "cell": None if frame.cell is None else np.round(frame.cell, 4).tolist(),
            }

    def summary(self, frames: Iterator[Frame]) -> dict[str, Any]:
        force = max(self._largest_force, 1e-3)
        edges = np.linspace(-force, force, _BINS + 1)
        counts = np.zeros(_BINS, dtype=np.int64)
        for frame in frames:
            counts += np.histogram(np.clip(frame.forces, -force, force), bins=edges)[0]
        return {
            "atoms": self._atoms,
            "elements": [SYMBOLS[number - 1] for number in sorted(self._elements)],
            "compositions": [
                {"formula": name, "frames": count}
                for name, count in self._compositions.most_common(_COMPOSITIONS_LISTED)
            ],
            "has_virial": self._virials > 0,
            "energy_per_atom_ev": _histogram(np.array(self._energy)),
            "force_component_ev_per_angstrom": {"edges": edges.tolist(), "counts": counts.tolist()},
            "preview": list(self._previews.values()),
        }


def _histogram(values: FloatArray) -> dict[str, Any]:
    low, high = float(values.min()), float(values.max())
    # One value is a bar of 1 meV, not of one electronvolt.
    same = high - low < 1e-6
    margin = 5e-4 if same else 0.0
    counts, edges = np.histogram(values, bins=1 if same else _BINS, range=(low - margin, high + margin))
    return {"edges": edges.tolist(), "counts": counts.tolist()}

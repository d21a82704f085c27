"""Memory does not grow with the number of frames, but for some bytes a frame: a file of gigabytes streams through."""

import io
import json
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from frames import store
from frames.hashing import HASH_BYTES
from ingest.confined import assembling, reading
from ingest.confined.marks import HELD_OUT, KEPT
from many_frames import extxyz

# Few fill a batch of each LMDB already.
FEW, MANY = 1_200, 3_600
# One frame of 24 atoms is 1.3 KB of numbers alone, and some 4 KB as objects.
BYTES_A_FRAME = 500


def peak(what: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        what()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def parse(folder: Path, frames: int) -> None:
    calculation = {"number": 0, "format": "extxyz", "files": ["x.extxyz"], "options": {}, "multi": True, "theory": True}
    with ExitStack() as stack:
        outputs = [stack.enter_context((folder / name).open("wb")) for name in ("report", "spool", "hashes")]
        reading.Parser({"tree": str(folder)}, list(outputs)).read([calculation])
    end = json.loads((folder / "report").read_text().splitlines()[-1])
    assert (end["frames"], end["failed"]) == (frames, False)
    assert (folder / "hashes").stat().st_size == HASH_BYTES * frames


def assemble(folder: Path, frames: int) -> None:
    marks = np.full(frames, KEPT, dtype=np.uint8)
    marks[::10] += HELD_OUT
    size = (folder / "spool").stat().st_size
    part = {"spool": 0, "start": 0, "end": size, "frames": frames, "path": "x.extxyz"}
    arguments = {"folder": str(folder / "dataset"), "largest_force": 5.0, "parts": [part]}
    with (folder / "spool").open("rb") as spool:
        outputs = [io.BytesIO(), io.BytesIO()]
        assembling.run(arguments, [io.BytesIO(marks.tobytes()), spool], list(outputs))
    summary = json.loads(outputs[1].getvalue())
    assert (summary["atoms"], summary["virial_frames"]) == (24 * frames, frames)
    assert sum(one["atoms"] for one in summary["element_counts"]) == 24 * frames
    assert {one["frames"] for one in summary["element_counts"]} == {frames}
    # However many frames there are, some spread evenly over all of them are kept to look at.
    shown = [one["frame"] for one in summary["preview"]]
    apart = shown[1] - shown[0]
    assert shown == list(range(0, frames, apart))
    assert 12 <= len(shown) <= 24


def iterate(folder: Path, frames: int) -> None:
    count = sum(1 for name in ("train", "held-out") for _ in store.iterate(folder / f"dataset/{name}.lmdb"))
    assert count == frames


def test_a_file_streams_through(tmp_path: Path) -> None:
    peaks: dict[str, list[int]] = {"parse": [], "assemble": [], "iterate": []}
    # The first round fills caches that stay.
    for round_, frames in enumerate((FEW // 4, FEW, MANY)):
        folder = tmp_path / str(round_)
        folder.mkdir()
        extxyz(folder / "x.extxyz", frames)
        peaks["parse"].append(peak(lambda at=folder, n=frames: parse(at, n)))  # type: ignore[misc]
        peaks["assemble"].append(peak(lambda at=folder, n=frames: assemble(at, n)))  # type: ignore[misc]
        peaks["iterate"].append(peak(lambda at=folder, n=frames: iterate(at, n)))  # type: ignore[misc]
    for name, (_, few, many) in peaks.items():
        allowed = BYTES_A_FRAME * (MANY - FEW)
        assert many - few < allowed, f"{name}: {few} bytes for {FEW} frames, {many} for {MANY}"

"""Ingest against dpdata loading the same data serially, in one run: speed as ratios, memory, and equal frames.

Ours: a whole reading (open, parse, assemble) by the engine with confined children that are ready, as between two
uploads, on as many parsers as the settings say. dpdata's: `LabeledSystem` for each calculation, `MultiSystems` for
extended XYZ, in a process of its own, without and with its imports. dpdata finds a tree unpacked; ours unpacks it,
so both the whole and the part from the unpacked tree on (finding, parsing, assembling) are told. Processor seconds are
those of all processes.

Larger inputs by POTLUCK_BENCH_INGEST_SCALE: 1 is what the ratios are asked for, 100 is the size of a full archive.
"""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames import store
from frames.frame import SYMBOLS, Frame
from many_frames import extxyz, outcar, pw_calculations

SCALE = float(os.environ.get("POTLUCK_BENCH_INGEST_SCALE", "1"))
CALCULATIONS, FRAMES, STEPS, ROUNDS = int(1_000 * SCALE), int(20_000 * SCALE), int(2_000 * SCALE), 3
SUPPORT = Path(__file__).parents[1] / "support"
# Labels agree to rounding: both read the same digits, and units differ by their last ones.
TOLERANCE = {"coords": 1e-7, "energy": 1e-5, "forces": 1e-5, "virial": 1e-4, "cell": 1e-7}


def run(script: str, *arguments: str | Path) -> dict[str, Any]:
    command = [sys.executable, str(SUPPORT / script), *(str(one) for one in arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def ours(archive: Path, format_: str, folder: Path) -> dict[str, Any]:
    """The median of some rounds; the dataset of the last one is in `folder`/last."""
    rounds = [run("read_archive.py", archive, format_, folder / f"{number}") for number in range(ROUNDS)]
    (folder / f"{ROUNDS - 1}").rename(folder / "last")
    assert len({one["content_sha256"] for one in rounds}) == 1
    return sorted(rounds, key=lambda one: float(one["seconds"]))[ROUNDS // 2]


def show(title: str, mine: dict[str, Any], peer: dict[str, Any]) -> None:
    whole, tree = mine["seconds"], mine["seconds"] - mine["steps"]["finding"]
    print(f"\n{title}: {mine['frames']:,} frames")
    print(f"  dpdata, serially    {peer['seconds']:8.2f} s ({peer['with_imports']:.2f} s with imports)")
    for what, seconds in (("whole", whole), ("from the tree", tree)):
        without, imports = peer["seconds"] / seconds, peer["with_imports"] / seconds
        print(f"  ours, {what:13s} {seconds:8.2f} s: {without:.1f} × as fast ({imports:.1f} × with imports)")
    print(
        f"  processor           {mine['cpu_seconds']:8.2f} s ours, {peer['cpu_seconds']:.2f} s dpdata without imports"
    )
    starts = sorted((at, step) for step, at in mine["steps"].items())
    ends = [at for at, _ in starts[1:]] + [whole]
    spent = ", ".join(f"{step} {end - at:.2f}" for (at, step), end in zip(starts, ends, strict=True))
    print(f"  where it went       {spent}")
    print(f"  memory              {mine['service_mib']} MiB service, {mine['child_mib']} MiB largest child, ", end="")
    print(f"{peer['mib']} MiB dpdata")


def check_equal(folder: Path, peer: Path, keyed: bool) -> None:
    """Frame by frame: ours by source or place in the file, dpdata's in the order in which it gives them."""
    frames = [frame for name in ("train", "held-out") for frame in store.iterate(folder / f"work/dataset/{name}.lmdb")]
    frames.sort(key=lambda frame: frame.source if keyed else frame.index)
    count = 0
    with np.load(peer) as arrays:
        systems = sorted({int(name.split(".", 1)[0]) for name in arrays.files})
        by_labels = {_labels(frame.energy, frame.forces): frame for frame in frames}
        for system in systems:
            data = {name: arrays[f"{system}.{name}"] for name in ("cells", "coords", "energies", "forces", "virials")}
            names = arrays[f"{system}.atom_names"][arrays[f"{system}.atom_types"]]
            numbers = np.array([SYMBOLS.index(name) + 1 for name in names])
            for place in range(len(data["energies"])):
                same = frames[count] if keyed else by_labels[_labels(data["energies"][place], data["forces"][place])]
                _check_frame(same, numbers, {name: values[place] for name, values in data.items()})
                count += 1
    assert count == len(frames)


def _labels(energy: float, forces: np.ndarray) -> tuple[float, float]:
    """What tells one random frame from another: of twenty thousand energies some agree to six digits."""
    return round(float(energy), 6), round(float(np.abs(forces).max()), 6)


def _check_frame(frame: Frame, numbers: np.ndarray, theirs: dict[str, np.ndarray]) -> None:
    order, their_order = _ordered(frame.numbers, frame.coords), _ordered(numbers, theirs["coords"])
    np.testing.assert_array_equal(frame.numbers[order], numbers[their_order])
    assert frame.cell is not None
    assert frame.virial is not None
    assert frame.energy == pytest.approx(float(theirs["energies"]), abs=TOLERANCE["energy"])
    for name, mine, other in (
        ("coords", frame.coords[order], theirs["coords"][their_order]),
        ("forces", frame.forces[order], theirs["forces"][their_order]),
        ("cell", frame.cell, theirs["cells"]),
        ("virial", frame.virial, theirs["virials"]),
    ):
        np.testing.assert_allclose(mine, other, atol=TOLERANCE[name], rtol=1e-6, err_msg=f"{frame.source} {name}")


def _ordered(numbers: np.ndarray, coords: np.ndarray) -> np.ndarray:
    return np.lexsort([*np.round(coords, 5).T, numbers])


def test_single_points(tmp_path: Path) -> None:
    pw_calculations(tmp_path / "tree", CALCULATIONS)
    # As GNU tar packs it.
    with tarfile.open(tmp_path / "tree.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.add(tmp_path / "tree", "tree")
    peer = run("read_with_dpdata.py", tmp_path / "tree", "qe/pw/scf", tmp_path / "peer.npz")
    mine = ours(tmp_path / "tree.tar", "qe/pw/scf", tmp_path / "ours")
    show(f"{CALCULATIONS:,} pw.x single points of 8 atoms", mine, peer)
    check_equal(tmp_path / "ours/last", tmp_path / "peer.npz", keyed=True)


def test_one_long_outcar(tmp_path: Path) -> None:
    outcar(tmp_path / "OUTCAR", STEPS)
    peer = run("read_with_dpdata.py", tmp_path / "OUTCAR", "vasp/outcar", tmp_path / "peer.npz")
    mine = ours(tmp_path / "OUTCAR", "vasp/outcar", tmp_path / "ours")
    show(f"one OUTCAR of {STEPS:,} steps of 32 atoms", mine, peer)
    check_equal(tmp_path / "ours/last", tmp_path / "peer.npz", keyed=False)


def test_one_long_extxyz(tmp_path: Path) -> None:
    extxyz(tmp_path / "long.extxyz", FRAMES)
    peer = run("read_with_dpdata.py", tmp_path / "long.extxyz", "extxyz", tmp_path / "peer.npz")
    mine = ours(tmp_path / "long.extxyz", "extxyz", tmp_path / "ours")
    show(f"one extended XYZ of {FRAMES:,} frames of 24 atoms", mine, peer)
    check_equal(tmp_path / "ours/last", tmp_path / "peer.npz", keyed=False)

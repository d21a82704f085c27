"""The real DFT data of deploy/demo as frames: what ingest would make of those archives, without a platform."""

import io
import lzma
import tarfile
import tempfile
from pathlib import Path

import ase.io
import dpdata
import numpy as np
from frames.frame import ATOMIC_NUMBERS, Frame
from frames.hashing import frame_hash
from frames.split import split

DEMO = Path(__file__).parents[2] / "deploy" / "demo"
SILICON, MORE_SILICON, SILICON_CARBIDE, WATER = "si-qe-pbe", "si-more-qe-pbe", "sic-qe-pbe", "water"


def load(name: str) -> list[Frame]:
    """All frames of one demo dataset in the order of its files."""
    return _water() if name == WATER else _single_points(name)


def parts(frames: list[Frame]) -> tuple[list[Frame], list[Frame]]:
    """(train, held-out): the platform's own split, by hash of the frame."""
    train, held_out = split([frame_hash(frame) for frame in frames])
    return [frames[index] for index in train], [frames[index] for index in held_out]


def _single_points(name: str) -> list[Frame]:
    """Folders of Quantum ESPRESSO's scf.in and scf.out."""
    frames = []
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(DEMO / f"{name}.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        for output in sorted(Path(folder).glob("*/*/scf.out")):
            data = dpdata.LabeledSystem([str(output.with_suffix(".in")), str(output)], fmt="qe/pw/scf").data
            symbols = [data["atom_names"][kind] for kind in data["atom_types"]]
            frames.append(
                Frame(
                    np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols]),
                    data["coords"][0],
                    data["cells"][0],
                    float(data["energies"][0]),
                    data["forces"][0],
                    data["virials"][0],
                    source=str(output.relative_to(folder)),
                )
            )
    return frames


def _water() -> list[Frame]:
    text = lzma.decompress((DEMO / f"{WATER}.extxyz.xz").read_bytes()).decode()
    frames = []
    for index, atoms in enumerate(ase.io.read(io.StringIO(text), index=":", format="extxyz")):
        frames.append(
            Frame(
                atoms.numbers.astype("int64"),
                atoms.positions,
                atoms.cell.array,
                float(atoms.get_potential_energy()),
                atoms.get_forces(),
                -atoms.get_volume() * atoms.get_stress(voigt=False),
                source=f"{WATER}.extxyz",
                index=index,
            )
        )
    return frames

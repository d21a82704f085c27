"""Large inputs for ingest, generated: pw.x single points after a real one, random extended XYZ and OUTCARs."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from frames.frame import Frame
from outputs import vasp

ROOT = Path(__file__).parents[2]
_TEMPLATE = ROOT / "deploy/demo/si-more-qe-pbe.tar.xz"
_BOHR_ANGSTROM = 0.529177210903
_FRAMES_AT_ONCE = 200


def pw_calculations(folder: Path, count: int, seed: int = 0) -> None:
    """`count` calculations of 8 Si atoms, each in a folder of its own with scf.in and scf.out (16 KB)."""
    with tarfile.open(_TEMPLATE) as archive:
        texts = {}
        for end in ("in", "out"):
            member = archive.extractfile(f"si-more-qe-pbe/frame.0048/scf.{end}")
            assert member is not None
            texts[end] = member.read().decode()
    rng = np.random.default_rng(seed)
    atoms = np.array(re.findall(r"^ Si ((?:-?[\d.]+ ?){3})$", texts["in"], re.M))
    positions = np.array([row.split() for row in atoms], dtype=float)
    lattice = re.search(r"lattice parameter \(alat\)  = +([\d.]+)", texts["out"])
    assert lattice is not None
    alat = float(lattice[1]) * _BOHR_ANGSTROM
    for number in range(count):
        target = folder / f"set.{number // 1000:03d}" / f"frame.{number:06d}"
        target.mkdir(parents=True)
        moved = positions + rng.normal(0, 0.05, positions.shape)
        _write_pw(target, texts, moved, alat, rng.normal(0, 0.05, positions.shape), -81.6 + rng.normal(0, 0.01))


def _write_pw(
    target: Path, texts: dict[str, str], positions: np.ndarray, alat: float, forces: np.ndarray, energy: float
) -> None:
    rows = iter(positions.round(9).tolist())
    text = re.sub(r"(?m)^ Si (?:-?[\d.]+ ?){3}$", lambda _: " Si {:.9f} {:.9f} {:.9f}".format(*next(rows)), texts["in"])
    (target / "scf.in").write_text(text)
    scaled, own = iter((positions / alat).tolist()), iter(forces.tolist())
    text = re.sub(
        r"(tau\( +\d+\) = \().*?\)", lambda m: m[1] + "{:12.7f}{:12.7f}{:12.7f}  )".format(*next(scaled)), texts["out"]
    )
    text = re.sub(
        r"(atom +\d+ type +\d+   force =).*",
        lambda m: m[1] + "{:14.8f}{:14.8f}{:14.8f}".format(*next(own)),
        text,
        count=8,
    )
    text = re.sub(r"(!    total energy +=) +-[\d.]+", lambda m: f"{m[1]}{energy:17.8f}", text)
    (target / "scf.out").write_text(text)


def extxyz(path: Path, frames: int, natoms: int = 24, seed: int = 0) -> None:
    """`frames` periodic structures of C, H and O with energy, forces and virial; about 80 bytes an atom."""
    rng = np.random.default_rng(seed)
    with path.open("w") as file:
        for start in range(0, frames, _FRAMES_AT_ONCE):
            file.writelines(_xyz_frames(rng, min(_FRAMES_AT_ONCE, frames - start), natoms))


def _xyz_frames(rng: np.random.Generator, frames: int, natoms: int) -> Iterator[str]:
    cells = 9 + rng.uniform(0, 1, (frames, 3))
    positions = rng.uniform(0, 9, (frames, natoms, 3)).round(8)
    forces = rng.normal(0, 1, (frames, natoms, 3)).round(8)
    energies = rng.normal(-400, 3, frames).round(8)
    symbols = (["O", "H", "H", "C"] * natoms)[:natoms]
    for cell, coords, force, energy in zip(cells, positions, forces, energies, strict=True):
        box = " ".join(f"{value:.6f}" for value in np.diag(cell).reshape(-1))
        keys = f'Lattice="{box}" Properties=species:S:1:pos:R:3:forces:R:3 energy={energy} virial="{box}" pbc="T T T"'
        yield f"{natoms}\n{keys}\n"
        rows = np.concatenate([coords, force], axis=1).tolist()
        yield "".join(
            "{} {:.8f} {:.8f} {:.8f} {:.8f} {:.8f} {:.8f}\n".format(symbol, *row)
            for symbol, row in zip(symbols, rows, strict=True)
        )


def outcar(path: Path, frames: int, natoms: int = 32, seed: int = 0) -> None:
    """Molecular dynamics of SiO2-like structures in a cell that changes, as VASP prints it; 20 KB a step."""
    with path.open("w") as file:
        file.writelines(vasp.outcar(_dynamics(np.random.default_rng(seed), frames, natoms)))


def _dynamics(rng: np.random.Generator, frames: int, natoms: int) -> Iterator[Frame]:
    numbers = np.array([8] * (2 * natoms // 3) + [14] * (natoms - 2 * natoms // 3))
    for index in range(frames):
        cell = np.diag(rng.uniform(8, 9, 3)) + np.tril(rng.normal(0, 0.1, (3, 3)), -1)
        yield Frame(
            numbers=numbers,
            coords=rng.uniform(0, 1, (natoms, 3)) @ cell,
            cell=cell,
            energy=float(rng.normal(-200, 3)),
            forces=rng.normal(0, 1, (natoms, 3)),
            virial=np.eye(3) + np.diag(rng.normal(0, 0.1, 3)),
            index=index,
        )

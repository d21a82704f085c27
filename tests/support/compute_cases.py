"""Compute tests/data/known-cases: `python tests/support/compute_cases.py PSEUDOPOTENTIALS WORK_FOLDER [SET…]`.

Real calculations of what the demo's data lacks: other pressures, temperatures, defects, compounds, another functional.
Needs pw.x 6.7 and the pseudopotentials of Debian's quantum-espresso-data; about 15 s a frame on one core. Structures
are drawn by seeded random numbers; the silicon of the demo was computed with the same program and settings.
"""

import lzma
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import ase.io
import demo_data
import dpdata
import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

FOLDER = Path(__file__).parents[1] / "data" / "known-cases"
FRAMES = 12
SEED = 2027
SILICON_ULTRASOFT = "Si.pbe-nl-rrkjus_psl.1.0.0.UPF"


@dataclass(frozen=True)
class Recipe:
    """How one set is made: `draw` gives a structure for its number, the rest is pw.x's input."""

    draw: Callable[[np.random.Generator, int], Atoms]
    pseudopotentials: dict[str, str]
    cutoff_ry: float = 24
    density_cutoff_ry: float = 192
    smearing: bool = False


def silicon(volume: tuple[float, float], displacement: float) -> Callable[[np.random.Generator, int], Atoms]:
    """Diamond cells of 8 atoms: volume factor drawn between the two, shear σ 0.01, displacements of σ Å."""

    def draw(random: np.random.Generator, _number: int) -> Atoms:
        return _shaken(bulk("Si", "diamond", a=5.47, cubic=True), random, volume, displacement)

    return draw


def vacancy(random: np.random.Generator, _number: int) -> Atoms:
    """The same cell with one atom less."""
    atoms = _shaken(bulk("Si", "diamond", a=5.47, cubic=True), random, (0.95, 1.05), 0.08)
    del atoms[int(random.integers(8))]
    return atoms


def quartz_like(random: np.random.Generator, _number: int) -> Atoms:
    """SiO2 in the ideal β-cristobalite structure, 6 atoms: both elements are known, their bond is not."""
    length = 7.13
    cell = length / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    sites = [[0, 0, 0], [0.25, 0.25, 0.25]]
    bridges = [[0.125, 0.125, 0.125], [0.125, 0.375, 0.375], [0.375, 0.125, 0.375], [0.375, 0.375, 0.125]]
    atoms = Atoms("Si2O4", positions=length * np.array([*sites, *bridges]), cell=cell, pbc=True)
    return _shaken(atoms, random, (0.95, 1.05), 0.06)


def as_in_the_demo(_random: np.random.Generator, number: int) -> Atoms:
    """The structures of the demo's second silicon dataset."""
    frame = demo_data.load(demo_data.MORE_SILICON)[number]
    return Atoms(frame.symbols, positions=frame.coords, cell=frame.cell, pbc=True)


def _shaken(atoms: Atoms, random: np.random.Generator, volume: tuple[float, float], displacement: float) -> Atoms:
    strain = np.eye(3) * random.uniform(*volume) ** (1 / 3) + random.normal(0, 0.01, (3, 3))
    atoms.set_cell(atoms.cell.array @ ((strain + strain.T) / 2), scale_atoms=True)
    atoms.positions += random.normal(0, displacement, atoms.positions.shape)
    return atoms


RECIPES = {
    "si-lda": Recipe(as_in_the_demo, {"Si": "Si.pz-vbc.UPF"}, 24, 96),
    "si-compressed": Recipe(silicon((0.62, 0.72), 0.08), {"Si": SILICON_ULTRASOFT}, smearing=True),
    "si-hot": Recipe(silicon((0.95, 1.05), 0.30), {"Si": SILICON_ULTRASOFT}, smearing=True),
    "si-vacancy": Recipe(vacancy, {"Si": SILICON_ULTRASOFT}, smearing=True),
    "sio2": Recipe(quartz_like, {"Si": SILICON_ULTRASOFT, "O": "O.pbe-rrkjus.UPF"}, 30, 240),
    "si-stretched": Recipe(silicon((1.35, 1.50), 0.08), {"Si": SILICON_ULTRASOFT}, smearing=True),
}

# One assignment a line: dpdata's reader takes no more.
_INPUT = """&control
 calculation='scf'
 tprnfor=.true.
 tstress=.true.
 disk_io='none'
 prefix='x'
 pseudo_dir='{folder}'
 outdir='./tmp'
/
&system
 ibrav=0
 nat={natoms}
 ntyp={ntypes}
 ecutwfc={cutoff}
 ecutrho={density_cutoff}
 nosym=.true.
{occupations}
/
&electrons
 conv_thr=1e-8
 mixing_beta=0.4
 electron_maxstep=150
/
ATOMIC_SPECIES
{species}
CELL_PARAMETERS angstrom
{cell}
ATOMIC_POSITIONS angstrom
{positions}
K_POINTS automatic
 2 2 2 0 0 0
"""
_FIXED = " occupations='fixed'"
_SMEARED = " occupations='smearing'\n smearing='mv'\n degauss=0.02"


def compute(name: str, pseudopotentials: Path, work: Path) -> None:
    """All frames of one set; what lies finished in the work folder is not computed again."""
    recipe = RECIPES[name]
    found = []
    for number in range(FRAMES):
        folder = work / name / f"frame.{number:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        output = folder / "scf.out"
        if not (output.is_file() and "JOB DONE" in output.read_text()):
            seed = [SEED, sum(map(ord, name)), number]
            atoms = recipe.draw(np.random.default_rng(seed), number)
            (folder / "scf.in").write_text(_input(atoms, recipe, pseudopotentials))
            with output.open("w") as file:
                subprocess.run(["pw.x", "-in", "scf.in"], cwd=folder, stdout=file, check=False)
        text = output.read_text()
        if "convergence has been achieved" in text:
            found.append(_labelled(folder))
        print(name, number, "converged" if found and "convergence has been" in text else "NOT CONVERGED", flush=True)
    written = StringIO()
    ase.io.write(written, found, format="extxyz")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.extxyz.xz").write_bytes(lzma.compress(written.getvalue().encode(), preset=9))


def _input(atoms: Atoms, recipe: Recipe, pseudopotentials: Path) -> str:
    symbols = sorted(set(atoms.get_chemical_symbols()))
    rows = zip(atoms.get_chemical_symbols(), atoms.positions, strict=True)
    return _INPUT.format(
        folder=pseudopotentials,
        natoms=len(atoms),
        ntypes=len(symbols),
        cutoff=recipe.cutoff_ry,
        density_cutoff=recipe.density_cutoff_ry,
        occupations=_SMEARED if recipe.smearing else _FIXED,
        species="\n".join(f"{symbol} 1.0 {recipe.pseudopotentials[symbol]}" for symbol in symbols),
        cell="\n".join(" ".join(f"{value:.9f}" for value in row) for row in atoms.cell.array),
        positions="\n".join(f"{symbol} " + " ".join(f"{value:.9f}" for value in at) for symbol, at in rows),
    )


def _labelled(folder: Path) -> Atoms:
    data = dpdata.LabeledSystem([str(folder / "scf.in"), str(folder / "scf.out")], fmt="qe/pw/scf").data
    symbols = [data["atom_names"][kind] for kind in data["atom_types"]]
    atoms = Atoms(symbols, positions=data["coords"][0], cell=data["cells"][0], pbc=True)
    labels = {
        "energy": float(data["energies"][0]),
        "forces": data["forces"][0],
        "stress": -data["virials"][0] / atoms.get_volume(),
    }
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


if __name__ == "__main__":
    for each in sys.argv[3:] or RECIPES:
        compute(each, Path(sys.argv[1]).resolve(), Path(sys.argv[2]))

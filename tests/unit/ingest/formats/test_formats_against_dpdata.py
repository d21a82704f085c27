"""Our own readers give dpdata's numbers, frame by frame, wherever dpdata reads the file rightly."""

import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import dpdata
import numpy as np
import pytest
from frames.frame import FloatArray, Frame
from ingest.confined import readers
from ingest.confined.judging import Raw, atomic_numbers, frame
from outputs import GENERATORS, quantum_espresso

DEMO = Path(__file__).parents[4] / "deploy/demo"
SAME = 1e-11
# Files of a calculation as dpdata wants them.
SOURCES = {
    "n2p2": ["input.data"],
    "openmx/md": ["run"],
    "orca/spout": ["molecule.out"],
    "psi4/out": ["output.dat"],
    "pwmat/movement": ["MOVEMENT"],
    "qe/cp/traj": ["run"],
    "qe/pw/scf": ["scf.in", "scf.out"],
    "siesta/aimd_output": ["siesta.out"],
    "vasp/outcar": ["OUTCAR"],
    "vasp/xml": ["vasprun.xml"],
}
# dpdata takes the last frame alone, or sorts atoms, or keeps one atom order only.
SINGLE = {"orca/spout", "psi4/out", "qe/pw/scf"}
# dpdata's own virial is another: see the docstrings of these readers.
OTHER_VIRIAL = {"pwmat/movement": 1 / 0.9998897, "siesta/aimd_output": -1.0}


def random_frames(seed: int, count: int) -> list[Frame]:
    """Right-handed cells in general directions, atoms of one element after another."""
    rng = np.random.default_rng(seed)
    natoms = int(rng.integers(2, 12))
    numbers = np.sort(rng.choice([1, 6, 8, 14], natoms))
    made = []
    for index in range(count):
        cell = rng.normal(0, 0.8, (3, 3)) + np.diag(rng.uniform(4, 12, 3))
        if np.linalg.det(cell) < 0:
            cell = cell[[1, 0, 2]]
        virial = rng.normal(0, 5, (3, 3))
        made.append(
            Frame(
                numbers=numbers,
                coords=rng.uniform(0.02, 0.98, (natoms, 3)) @ cell,
                cell=cell,
                energy=float(rng.normal(-500, 100)),
                forces=rng.normal(0, 2, (natoms, 3)),
                virial=virial + virial.T,
                index=index,
            )
        )
    return made


def ours(root: Path, name: str, files: list[str]) -> list[Frame]:
    """As they are kept: judged, and turned where dpdata turns."""
    raws = list(readers.frames(root, {"format": name, "files": files, "options": {}, "multi": False}))
    assert all(isinstance(raw, Raw) for raw in raws), raws
    return [frame(raw, atomic_numbers(raw.symbols), 0) for raw in raws if isinstance(raw, Raw)]


def theirs(root: Path, name: str, files: list[str]) -> dpdata.LabeledSystem:
    paths = [str(root / file) for file in files]
    return dpdata.LabeledSystem(paths[0] if len(paths) == 1 else paths, fmt=name)


def assert_same(kept: Sequence[Frame], system: dpdata.LabeledSystem, virial: float = 1.0) -> None:
    data = system.data
    assert len(kept) == len(data["coords"])
    for index, one in enumerate(kept):
        found, expected = _sorted(one.symbols, one.coords), None
        symbols = [data["atom_names"][kind] for kind in data["atom_types"]]
        expected = _sorted(symbols, data["coords"][index])
        assert [one.symbols[atom] for atom in found] == [symbols[atom] for atom in expected]
        assert abs(one.energy - data["energies"][index]) < 1e-9
        np.testing.assert_allclose(one.forces[found], data["forces"][index][expected], rtol=SAME, atol=SAME)
        shift = one.coords[found] - data["coords"][index][expected]
        if one.cell is not None:
            np.testing.assert_allclose(one.cell, data["cells"][index], rtol=SAME, atol=SAME)
            # dpdata moves the atoms of some formats into the cell.
            fractional = shift @ np.linalg.inv(one.cell)
            shift = (fractional - np.round(fractional)) @ one.cell
        np.testing.assert_allclose(shift, 0, atol=1e-10)
        if one.virial is not None:
            close = SAME if virial == 1 else 1e-6
            np.testing.assert_allclose(one.virial, virial * data["virials"][index], rtol=close, atol=close)


def _sorted(symbols: list[str], coords: FloatArray) -> list[int]:
    """Atoms by element; within one, as they stand."""
    return sorted(range(len(symbols)), key=lambda atom: symbols[atom])


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", SOURCES)
def test_generated_files(name: str, seed: int, tmp_path: Path) -> None:
    frames = random_frames(seed, 1 if name in SINGLE else 4)
    GENERATORS[name].write(tmp_path, frames)
    if name == "qe/pw/scf":
        # As dpdata wants it: one assignment a line.
        lines = "\n ibrav=0\n nat={nat}\n ntyp={ntyp}\n ecutwfc=60\n"
        (tmp_path / "scf.in").write_text(quantum_espresso.pw_input(frames[0], lines))
    files = SOURCES[name]
    assert_same(ours(tmp_path, name, files), theirs(tmp_path, name, files), OTHER_VIRIAL.get(name, 1.0))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    for archive in DEMO.glob("*-qe-pbe.tar.xz"):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    return folder


def test_real_outputs_of_pw(demo: Path) -> None:
    outputs = sorted(demo.glob("**/scf.out"))
    assert len(outputs) == 136
    for output in outputs:
        files = [str(output.with_name(name).relative_to(demo)) for name in ("scf.in", "scf.out")]
        raws = ours(demo, "qe/pw/scf", files)
        assert_same(raws, theirs(demo, "qe/pw/scf", files))
        assert raws[0].converged is True


def test_a_supercell_of_three_digits_is_the_same(tmp_path: Path, examples: Callable[..., list[Frame]]) -> None:
    """Numbers of different width, signs, and a table of many rows."""
    rng = np.random.default_rng(3)
    (frame,) = random_frames(11, 1)
    numbers = np.repeat(frame.numbers, 40)
    large = Frame(
        numbers=np.sort(numbers),
        coords=rng.uniform(-200, 200, (len(numbers), 3)),
        cell=frame.cell,
        energy=frame.energy,
        forces=rng.normal(0, 30, (len(numbers), 3)),
        virial=frame.virial,
    )
    GENERATORS["vasp/outcar"].write(tmp_path, [large, large])
    assert_same(ours(tmp_path, "vasp/outcar", ["OUTCAR"]), theirs(tmp_path, "vasp/outcar", ["OUTCAR"]))

"""What a version's page says to copy, run as it stands there against a real model."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import reference_model
from ase import Atoms
from ase.io import read, write
from contracts.base import BranchError
from deepmd.calculator import DP
from dpa.environment import environment
from gateway.pages.snippets import Snippets, snippets
from gateway.views.models import ModelFileView, ModelView

VERSION, BRANCH = "1.0", "silicon"


def snippets_of(public_url: str, with_frozen: bool = True) -> Snippets:
    error = BranchError(branch=BRANCH, energy_rmse_mev_per_atom=1, force_rmse_mev_per_angstrom=1)
    file = ModelFileView(
        name="model.pt", kind="checkpoint", branch=None, size=1, sha256="0" * 64, url="/files/model.pt"
    )
    frozen = ModelFileView(
        name=f"frozen/{BRANCH}.pth", kind="frozen", branch=BRANCH, size=1, sha256="0" * 64, url=f"/files/{BRANCH}.pth"
    )
    model = ModelView(
        version=VERSION,
        parent=None,
        published=datetime.now(UTC),
        preset="laptop",
        datasets=(),
        contributors=(),
        files=(file, frozen) if with_frozen else (file,),
        branches=(error,),
        rules=(),
        checks=(),
        standard_score=0.2,
        wall_seconds=1,
        aliases=(),
    )
    return snippets(model, public_url, BRANCH, ("Si",))


@pytest.fixture(scope="module")
def shown() -> Snippets:
    return snippets_of("http://127.0.0.1:8000")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a reader has it after "Install and download": the model, and a structure of their own."""
    made = tmp_path_factory.mktemp("reader")
    shutil.copy(reference_model.RELEASE, made / f"dpa-{VERSION}.pt")
    frame = reference_model.held_out_frames(BRANCH)[0]
    write(made / "structure.cif", Atoms(frame.symbols, positions=frame.coords, cell=frame.cell, pbc=True))
    return made


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def deepmd_system(folder: Path) -> None:
    """Four held-out frames of one composition, in deepmd's own folder format."""
    frames = [one for one in reference_model.held_out_frames(BRANCH) if one.cell is not None]
    frames = [one for one in frames if one.natoms == frames[0].natoms][:4]
    (folder / "set.000").mkdir(parents=True)
    (folder / "type_map.raw").write_text("Si\n")
    (folder / "type.raw").write_text("0\n" * frames[0].natoms)
    arrays = {
        "coord": [one.coords.ravel() for one in frames],
        "box": [one.cell.ravel() for one in frames if one.cell is not None],
        "energy": [one.energy for one in frames],
        "force": [one.forces.ravel() for one in frames],
    }
    for name, values in arrays.items():
        np.save(folder / "set.000" / f"{name}.npy", np.array(values))


def test_ase_and_deepmd_say_the_same_energy(shown: Snippets, folder: Path) -> None:
    by_ase = run([sys.executable, "-c", shown.ase], folder).stdout
    by_deepmd = run([sys.executable, "-c", shown.deepmd], folder).stdout
    assert by_ase.rstrip().endswith("eV/Å")
    energy = float(by_ase.split(" eV")[0].split()[-1])
    assert float(by_deepmd.partition("[[")[2].partition("]]")[0]) == pytest.approx(energy, abs=1e-4)


def test_a_structure_is_relaxed(shown: Snippets, folder: Path) -> None:
    said = run([sys.executable, "-c", shown.relax], folder).stdout
    before, after = read(folder / "structure.cif"), read(folder / "relaxed.cif")
    calculator = DP(model=str(folder / f"dpa-{VERSION}.pt"), head=BRANCH)
    before.calc = after.calc = calculator
    assert float(said.split(" eV")[0].split()[-1]) == pytest.approx(after.get_potential_energy(), abs=1e-3)
    assert after.get_potential_energy() < before.get_potential_energy()
    assert np.linalg.norm(after.get_forces(), axis=1).max() < 0.06


def shell(lines: str, folder: Path) -> str:
    """What a reader types. What is installed was installed before, and the programs of this environment are found."""
    programs = Path(sys.executable).parent
    typed = "\n".join(line for line in lines.splitlines() if not line.startswith("pip install "))
    command = f'set -e; export PATH="{programs}:$PATH"; {typed}'
    return run(["bash", "-c", command], folder).stdout


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[str]:
    """Gives out what is in folder/files, as a gateway would; the frozen branch is among it."""
    (folder / "files").mkdir()
    frozen = str(folder / "files" / f"{BRANCH}.pth")
    shell(f"dp --pt freeze -c dpa-{VERSION}.pt --head {BRANCH} -o {frozen}", folder)
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("with_frozen", [True, False])
def test_lammps_runs_and_keeps_the_energy(site: str, folder: Path, tmp_path: Path, with_frozen: bool) -> None:
    """With the frozen branch fetched, and where a version has none with one frozen by the reader."""
    shown = snippets_of(site, with_frozen)
    for name in (f"dpa-{VERSION}.pt", "structure.cif"):
        shutil.copy(folder / name, tmp_path)
    (tmp_path / "in.lammps").write_text(shown.lammps.replace("run          100", "run          20"))
    said = shell(shown.lammps_files, tmp_path)
    header, rows = "   Step          Temp", []
    for line in said.partition(header)[2].splitlines()[1:]:
        if line.startswith("Loop time"):
            break
        rows.append([float(number) for number in line.split()])
    total = [row[4] for row in rows]
    assert [row[0] for row in rows] == [0, 10, 20]
    # 8 atoms, 20 fs: what a wrong force would change is a hundred times this.
    assert max(total) - min(total) < 0.01
    atoms = read(folder / "structure.cif")
    atoms.calc = DP(model=str(folder / f"dpa-{VERSION}.pt"), head=BRANCH)
    assert rows[0][2] == pytest.approx(atoms.get_potential_energy(), abs=2e-3)


def test_dp_test_tells_the_error_on_a_system(shown: Snippets, folder: Path) -> None:
    deepmd_system(folder / "path/to/deepmd/system")
    command, *arguments = shown.test.split()
    said = run([str(Path(sys.executable).with_name(command)), *arguments], folder)
    assert "Force  RMSE" in said.stdout + said.stderr


def test_what_is_installed_and_fetched_has_the_names_that_the_code_opens(shown: Snippets) -> None:
    assert "deepmd-kit[torch]" in shown.install
    assert f"curl -fo dpa-{VERSION}.pt http://127.0.0.1:8000/files/model.pt" in shown.install
    for code in (shown.ase, shown.relax, shown.deepmd, shown.test):
        assert f"dpa-{VERSION}.pt" in code

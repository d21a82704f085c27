"""How to use a version: code to copy, with its real numbers, branches and files.

All of them but `cli` are run by tests/integration/dpa/test_model_page_snippets.py against a real model.
"""

from dataclasses import dataclass

from gateway.pages.words import path
from gateway.views.models import ModelFileView, ModelView

# For a branch whose elements are not public: the reader puts in their own.
PLACEHOLDER_ELEMENTS = ("Si",)


@dataclass(frozen=True, slots=True)
class Snippets:
    """`lammps_files`: commands that put beside each other what `lammps`, the input file, reads."""

    branch: str
    install: str
    ase: str
    relax: str
    deepmd: str
    test: str
    lammps_files: str
    lammps: str
    cli: str


def snippets(model: ModelView, public_url: str, branch: str | None = None, elements: tuple[str, ...] = ()) -> Snippets:
    """For `branch`, or the one that this version brought. `elements` of the branch, if they are known."""
    branch = branch or example_branch(model)
    checkpoint = next((file for file in model.files if file.kind == "checkpoint"), None)
    frozen = next((file for file in model.files if file.kind == "frozen" and file.branch == branch), None)
    name = f"dpa-{model.version}.pt"
    plain_branch = frozen.name.rpartition("/")[2] if frozen else f"{branch}.pth"
    lammps_model = f"dpa-{model.version}-{plain_branch}"
    types = elements or PLACEHOLDER_ELEMENTS
    return Snippets(
        branch=branch,
        install=_install(name, checkpoint, public_url),
        ase=_ase(name, branch),
        relax=_relax(name, branch),
        deepmd=_deepmd(name, branch),
        test=f"dp --pt test -m {name} --head {branch} -s path/to/deepmd/system -n 100",
        lammps_files=_lammps_files(frozen, lammps_model, name, branch, public_url, types),
        lammps=_lammps(lammps_model, types),
        cli=f"potluck download {model.version} --server {public_url}",
    )


def example_branch(model: ModelView) -> str:
    """The branch that this version brought, what a reader of its page came for; rather one of which they may know
    what it was trained on, and that its contributor did not take back.
    """
    if not model.datasets:
        return model.branches[0].branch
    return max(model.datasets, key=lambda one: (not one.withdrawn, one.url is not None, one.new)).branch


def _install(name: str, checkpoint: ModelFileView | None, public_url: str) -> str:
    lines = ["pip install 'deepmd-kit[torch]' ase"]
    if checkpoint is not None:
        lines.append(f"curl -fo {name} {public_url}{path(checkpoint.url)}")
    return "\n".join(lines)


def _ase(name: str, branch: str) -> str:
    """Reads a structure file and prints energy (eV) and forces (eV/Å)."""
    return (
        "from ase.io import read\n"
        "from deepmd.calculator import DP\n"
        "\n"
        'atoms = read("structure.cif")\n'
        f'atoms.calc = DP(model="{name}", head="{branch}")\n'
        'print(atoms.get_potential_energy(), "eV")\n'
        'print(atoms.get_forces(), "eV/Å")'
    )


def _deepmd(name: str, branch: str) -> str:
    """The same without ASE's calculator: batches of frames of one composition."""
    return (
        "from ase.io import read\n"
        "from deepmd.infer import DeepPot\n"
        "\n"
        f'model = DeepPot("{name}", head="{branch}")\n'
        'atoms = read("structure.cif")\n'
        "types = [model.get_type_map().index(symbol) for symbol in atoms.symbols]\n"
        "energy, force, virial = model.eval(atoms.positions.reshape(1, -1), atoms.cell.array.reshape(1, 9), types)\n"
        'print(energy, "eV", force, "eV/Å", virial, "eV")'
    )


def _relax(name: str, branch: str) -> str:
    """Moves atoms and cell until no force is above 0.05 eV/Å and no stress above what that means."""
    return (
        "from ase.filters import FrechetCellFilter\n"
        "from ase.io import read\n"
        "from ase.optimize import BFGS\n"
        "from deepmd.calculator import DP\n"
        "\n"
        'atoms = read("structure.cif")\n'
        f'atoms.calc = DP(model="{name}", head="{branch}")\n'
        'BFGS(FrechetCellFilter(atoms), logfile="relax.log").run(fmax=0.05, steps=200)\n'
        'print(atoms.get_potential_energy(), "eV", atoms.get_volume(), "Å³")\n'
        'atoms.write("relaxed.cif")'
    )


def _lammps_files(
    frozen: ModelFileView | None, lammps_model: str, name: str, branch: str, public_url: str, types: tuple[str, ...]
) -> str:
    """The plugin of deepmd-kit's wheel loads CUDA 12's runtime when it starts, on a machine without a GPU too."""
    fetched = (
        f"curl -fo {lammps_model} {public_url}{path(frozen.url)}"
        if frozen
        else f"dp --pt freeze -c {name} --head {branch} -o {lammps_model}"
    )
    order = ", ".join(f"'{symbol}'" for symbol in types)
    return (
        "pip install 'deepmd-kit[torch,lmp]' nvidia-cuda-runtime-cu12 ase\n"
        f"{fetched}\n"
        'python -c "from ase.io import read, write; write('
        f"'structure.lmp', read('structure.cif'), format='lammps-data', masses=True, specorder=[{order}])\"\n"
        "lmp -in in.lammps"
    )


def _lammps(lammps_model: str, types: tuple[str, ...]) -> str:
    """in.lammps: a hundred steps of 1 fs from 300 K."""
    return (
        "units        metal\n"
        "atom_style   atomic\n"
        "atom_modify  map yes\n"
        "read_data    structure.lmp\n"
        f"pair_style   deepmd {lammps_model}\n"
        f"pair_coeff   * * {' '.join(types)}  # the elements of types 1, 2, …\n"
        "velocity     all create 300 1\n"
        "fix          1 all nve\n"
        "thermo       10\n"
        "run          100"
    )

"""How to use a version: code to copy, with its real numbers, branches and files.

The Python and `dp` snippets are run by tests/integration/dpa/test_model_page_snippets.py against a real model.
"""

from dataclasses import dataclass

from gateway.model_views import ModelFileView, ModelView
from gateway.pages.words import path


@dataclass(frozen=True, slots=True)
class Snippets:
    """`lammps` is none for a branch without a frozen file."""

    branch: str
    install: str
    ase: str
    deepmd: str
    test: str
    lammps: str | None
    cli: str


def snippets(model: ModelView, public_url: str, branch: str | None = None, elements: tuple[str, ...] = ()) -> Snippets:
    """For `branch`, or the one that this version brought. `elements` of the branch, if they are known."""
    branch = branch or example_branch(model)
    checkpoint = next((file for file in model.files if file.kind == "checkpoint"), None)
    frozen = next((file for file in model.files if file.kind == "frozen" and file.branch == branch), None)
    name = f"dpa-{model.version}.pt"
    return Snippets(
        branch=branch,
        install=_install(name, checkpoint, public_url),
        ase=_ase(name, branch),
        deepmd=_deepmd(name, branch),
        test=f"dp --pt test -m {name} --head {branch} -s path/to/deepmd/system -n 100",
        lammps=_lammps(frozen, model.version, public_url, elements) if frozen else None,
        cli=f"potluck download {model.version} --server {public_url}",
    )


def example_branch(model: ModelView) -> str:
    """The branch that this version brought: what a reader of its page came for."""
    return next((one.branch for one in model.datasets if one.new), model.branches[0].branch)


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


def _lammps(frozen: ModelFileView, version: str, public_url: str, elements: tuple[str, ...]) -> str:
    file = f"dpa-{version}-{frozen.name.rpartition('/')[2]}"
    return (
        f"# pip install 'deepmd-kit[torch,lmp]'; curl -fO --remote-header-name {public_url}{path(frozen.url)}\n"
        "units        metal\n"
        "atom_style   atomic\n"
        "atom_modify  map yes\n"
        "read_data    structure.lmp\n"
        f"pair_style   deepmd {file}\n"
        f"pair_coeff   * * {' '.join(elements) or 'Si'}  # the elements of types 1, 2, …\n"
        "fix          1 all nve\n"
        "run          100"
    )


_TEX = str.maketrans({character: f"\\{character}" for character in "&%$#_{}"} | {"\\": "\\textbackslash{}"})


def bibtex(model: ModelView, url: str) -> str:
    """One entry; the contributors are its authors, in the order of arrival."""
    names = [name.translate(_TEX) for name in model.contributors] or ["Potluck contributors"]
    authors = " and ".join(f"{{{name}}}" for name in names)
    return (
        f"@misc{{potluck-dpa-{model.version},\n"
        f"  title  = {{DPA {model.version}}},\n"
        f"  author = {{{authors}}},\n"
        f"  year   = {{{model.published.year}}},\n"
        f"  url    = {{{url}}}\n"
        "}"
    )

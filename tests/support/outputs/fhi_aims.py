"""FHI-aims: one output file, with control.in and geometry.in repeated at its head."""

from collections.abc import Sequence
from pathlib import Path

from frames.frame import Frame

from outputs.generator import Generator
from outputs.layout import pressure_like, row

THEORY: dict[str, str | float] = {"code": "FHI-aims 221103", "functional": "pbe", "k_points": "2 2 2", "basis": "light"}


def head(frame: Frame, control: str) -> str:
    assert frame.cell is not None
    vectors = lattice(frame)
    text = (
        f"------------------------------------------------------------\n          Invoking FHI-aims ...\n\n"
        f"          Version 221103\n\n  Parsing control.in (first pass over file, find array dimensions only).\n"
        f"  The contents of control.in will be repeated verbatim below\n"
        f"  xc               pbe\n  k_grid           2 2 2\n  compute_forces   .true.\n{control}"
        '  species        O\n#  FHI-aims code project, suggested "light" defaults\n'
        f"  Parsing geometry.in (first pass over file, find array dimensions only).\n{vectors}{atoms(frame)}"
        "\n  Input geometry:\n  | Unit cell:\n"
    )
    text += "".join(f"  |{row(vector, '16.8f')}\n" for vector in frame.cell)
    text += "  | Atomic structure:\n  |       Atom                x [A]            y [A]            z [A]\n"
    for number, (symbol, place) in enumerate(zip(frame.symbols, frame.coords, strict=True), 1):
        text += f"  |{number:5d}: Species {symbol:2s} {row(place, '16.8f')}\n"
    return text + "\n  Begin self-consistency loop: Initialization.\n"


def lattice(frame: Frame) -> str:
    assert frame.cell is not None
    return "".join(f"  lattice_vector {row(vector, '16.8f')}\n" for vector in frame.cell)


def atoms(frame: Frame) -> str:
    places = zip(frame.symbols, frame.coords, strict=True)
    return "".join(f"            atom {row(place, '16.8f')}  {symbol}\n" for symbol, place in places)


def labels(frame: Frame, converged: bool = True) -> str:
    text = "\n  Self-consistency cycle converged.\n" if converged else "\n  Self-consistency cycle not yet converged.\n"
    text += f"\n  | Total energy uncorrected      :    {frame.energy:24.15E} eV\n"
    text += "  Total atomic forces (unitary forces cleaned) [eV/Ang]:\n"
    for number, force in enumerate(frame.forces, 1):
        text += f"  |{number:5d}  {row(force, '24.15E')}\n"
    return text + _stress(frame)


def _stress(frame: Frame) -> str:
    """Positive where the cell pulls inwards, as the derivative of the energy by strain is."""
    if frame.virial is None:
        return ""
    line = "  +-------------------------------------------------------------------+\n"
    text = f"{line}  |              Analytical stress tensor - Symmetrized               |\n"
    text += f"  |                  Cartesian components [eV/A**3]                   |\n{line}"
    text += f"  |                x                y                z                |\n  |{'|':>68}\n"
    for name, values in zip("xyz", -pressure_like(frame), strict=True):
        text += f"  |  {name}  {row(values, '18.10f')}  |\n"
    return text + line


_AGAIN = "\n  Begin self-consistency loop: Re-initialization.\n"
_END = "\n          Have a nice day.\n------------------------------------------------------------\n"


def write_scf(folder: Path, frames: Sequence[Frame]) -> None:
    (frame,) = frames
    (folder / "aims.out").write_text(head(frame, "") + labels(frame) + _END)


def write_md(folder: Path, frames: Sequence[Frame]) -> None:
    control = "  MD_run           0.01 NVE\n  MD_time_step     0.001\n"
    used = "\n  Atomic structure (and velocities) as used in the preceding time step:\n"
    steps = [labels(frame) + used + atoms(frame) for frame in frames]
    (folder / "aims.out").write_text(head(frames[0], control) + _AGAIN.join(steps) + _END)


def write_relaxation(folder: Path, frames: Sequence[Frame]) -> None:
    """After each step's labels stands the structure of the next."""
    updated = "\n  Updated atomic structure:\n                         x [A]             y [A]             z [A]\n"
    steps = [labels(frame) for frame in frames]
    for index, after in enumerate(frames[1:]):
        steps[index] += updated + lattice(after) + atoms(after)
    steps[-1] += f"\n  Final atomic structure:\n{lattice(frames[-1])}{atoms(frames[-1])}"
    control = "  relax_geometry   bfgs 0.01\n  relax_unit_cell  full\n"
    (folder / "aims.out").write_text(head(frames[0], control) + _AGAIN.join(steps) + _END)


GENERATORS = (
    Generator(
        "fhi_aims/scf", write_scf, many=False, length=1e-8, energy=1e-9, theory=THEORY, converged=True
    ),
    Generator(
        "fhi_aims/output", write_md, fixed_cell=True, length=1e-8, energy=1e-9, theory=THEORY,
        converged=True,
    ),
)  # fmt: skip

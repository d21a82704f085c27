"""What a format can carry, and who writes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from frames.frame import Frame


@dataclass(frozen=True, slots=True)
class Generator:
    """Writes one calculation of a format.

    format    dpdata's name
    write     (folder that exists, frames with the same atoms in the same order) → files in it, named as the
              program names them
    many      whether a calculation holds many frames; else `write` is given one
    cell      "kept": periodic as given; "none": the format knows molecules only
    virial    whether the format carries it
    fixed_cell  the format knows one cell a calculation
    regroups  atoms or frames come back in another order (mixed systems, kinds that are sorted)
    energy, length, force, virial_ev   half a unit in the last printed digit or so, in eV, Å, eV/Å, eV
    """

    format: str
    write: Callable[[Path, Sequence[Frame]], None]
    many: bool = True
    cell: str = "kept"
    virial: bool = True
    fixed_cell: bool = False
    regroups: bool = False
    energy: float = 1e-6
    length: float = 1e-6
    force: float = 1e-6
    virial_ev: float = 1e-5
    theory: dict[str, str | float] | None = None
    converged: bool | None = None

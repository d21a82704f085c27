"""One labeled frame: a structure with its energy and forces."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SYMBOLS: tuple[str, ...] = tuple(
    """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
    Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
    Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
    Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
    """.split()  # noqa: SIM905 - a table reads better in rows
)
"""Element symbols; the index is the atomic number minus one. Also the type map of every dataset and model."""

ATOMIC_NUMBERS: dict[str, int] = {symbol: index + 1 for index, symbol in enumerate(SYMBOLS)}


@dataclass(frozen=True, slots=True)
class Frame:
    """A structure and its labels; arrays are not to be changed by whoever receives it.

    numbers  int64 [n], atomic numbers 1..118
    coords   float64 [n, 3], Å
    cell     float64 [3, 3], Å, rows are the lattice vectors; None: not periodic
    energy   eV
    forces   float64 [n, 3], eV/Å
    virial   float64 [3, 3], eV, deepmd's sign (−volume × stress of ASE); None: not computed
    source   path inside the archive that it came from; `index` is its number in that file
    converged  whether the self-consistency converged; None: the source file does not tell
    known      another dataset of the platform holds the same structure
    """

    numbers: IntArray
    coords: FloatArray
    cell: FloatArray | None
    energy: float
    forces: FloatArray
    virial: FloatArray | None = None
    source: str = ""
    index: int = 0
    converged: bool | None = None
    known: bool = False

    @property
    def natoms(self) -> int:
        return len(self.numbers)

    @property
    def symbols(self) -> list[str]:
        return [SYMBOLS[number - 1] for number in self.numbers]


def formula(numbers: Iterable[Any]) -> str:
    """Composition in order of atomic number, e.g. 'C4Si4', 'H2O'. Raises ValueError for no atoms."""
    counts = Counter(int(number) for number in numbers)
    if not counts:
        raise ValueError("a structure without atoms has no formula")
    return "".join(f"{SYMBOLS[number - 1]}{count if count > 1 else ''}" for number, count in sorted(counts.items()))


def element_counts(frames: Iterable[Frame]) -> FloatArray:
    """How many atoms of each element: float64 [frames, 118], column = atomic number − 1."""
    rows = [np.bincount(frame.numbers - 1, minlength=len(SYMBOLS)) for frame in frames]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(SYMBOLS))

"""Small outputs as the programs write them, from given frames: one module a program, all of them in GENERATORS.

Written from knowledge of each program's layout, in the program's own units, with CODATA constants of `units`.
"""

from types import ModuleType

from outputs import (
    abacus,
    amber,
    ase,
    cp2k,
    deepmd,
    dftbplus,
    fhi_aims,
    gaussian,
    n2p2,
    openmx,
    orca,
    psi4,
    pwmat,
    quantum_espresso,
    siesta,
    sqm,
    vasp,
    xyz,
)
from outputs.generator import Generator

_PROGRAMS: tuple[ModuleType, ...] = (
    abacus, amber, ase, cp2k, deepmd, dftbplus, fhi_aims, gaussian, n2p2, openmx, orca, psi4, pwmat, quantum_espresso,
    siesta, sqm, vasp, xyz,
)  # fmt: skip
GENERATORS: dict[str, Generator] = {one.format: one for program in _PROGRAMS for one in program.GENERATORS}

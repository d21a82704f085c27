"""What dpdata does not tell about its formats: what one calculation is on disk, usual names, and how content looks.

The list of formats itself comes from dpdata at run time (`confined.catalogue`); a format that is not here is
offered all the same, as one file a calculation.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

HEAD_BYTES = 1 << 16
Reads = Literal["file", "folder", "files"]


@dataclass(frozen=True, slots=True)
class Known:
    """reads: what one calculation is; names: usual names; in a folder format, of files that mark the folder."""

    reads: Reads
    names: tuple[str, ...]


KNOWN: dict[str, Known] = {
    "abacus/md": Known("folder", ("INPUT", "OUT.*")),
    "abacus/relax": Known("folder", ("INPUT", "OUT.*")),
    "abacus/scf": Known("folder", ("INPUT", "OUT.*")),
    "amber/md": Known("files", ("*.parm7", "*.nc", "*.mdfrc", "*.mden", "*.mdout")),
    "ase/traj": Known("file", ("*.traj",)),
    "cp2kdata/e_f": Known("file", ("*.out", "*.log")),
    "cp2kdata/md": Known("folder", ("*-pos-*.xyz", "*.ener", "*.log")),
    "deepmd/hdf5": Known("file", ("*.hdf5", "*.h5")),
    "deepmd/hdf5/mixed": Known("file", ("*.hdf5", "*.h5")),
    "deepmd/lmdb": Known("folder", ("data.mdb",)),
    "deepmd/npy": Known("folder", ("type.raw", "set.*")),
    "deepmd/npy/mixed": Known("folder", ("type.raw", "set.*")),
    "deepmd/raw": Known("folder", ("type.raw", "coord.raw")),
    "dftbplus": Known("files", ("*.hsd", "detailed.out")),
    "extxyz": Known("file", ("*.extxyz", "*.xyz")),
    "fhi_aims/output": Known("file", ("*.out",)),
    "fhi_aims/scf": Known("file", ("*.out",)),
    "gaussian/fchk": Known("file", ("*.fchk", "*.fch")),
    "gaussian/log": Known("file", ("*.log", "*.out")),
    "gaussian/md": Known("file", ("*.log", "*.out")),
    "n2p2": Known("file", ("input.data", "*.data")),
    "openmx/md": Known("files", ("*.dat", "*.md")),
    "orca/spout": Known("file", ("*.out", "*.spout")),
    "psi4/out": Known("file", ("*.out", "*.dat")),
    "pwmat/movement": Known("file", ("MOVEMENT*", "*.MOVEMENT")),
    "qe/cp/traj": Known("files", ("*.in", "*.pos", "*.evp", "*.for", "*.cel")),
    "qe/pw/scf": Known("files", ("*.in", "*.out")),
    "siesta/aimd_output": Known("file", ("*.out", "output")),
    "siesta/output": Known("file", ("*.out", "output")),
    "sqm/out": Known("file", ("*.out",)),
    "vasp/outcar": Known("file", ("OUTCAR*", "*.OUTCAR")),
    "vasp/xml": Known("file", ("vasprun*.xml", "*.vasprun.xml")),
}

# What the head of a file says, most telling first.
_CONTENT: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("vasp/xml", re.compile(rb"<modeling>")),
    ("vasp/outcar", re.compile(rb"(?m)^ *vasp\.[0-9]|^ *POTCAR: ")),
    ("cp2kdata/e_f", re.compile(rb"CP2K\| |\*\* +PROGRAM STARTED AT")),
    ("qe/pw/scf", re.compile(rb"Program PWSCF")),
    ("gaussian/log", re.compile(rb"Entering Gaussian System|Gaussian, Inc\.")),
    ("gaussian/fchk", re.compile(rb"(?m)^Number of atoms +I +\d+")),
    ("fhi_aims/output", re.compile(rb"Invoking FHI-aims")),
    ("siesta/output", re.compile(rb"(?i)siesta v|WELCOME TO SIESTA|Siesta Version")),
    ("pwmat/movement", re.compile(rb"atoms, *Iteration|Iteration *= *")),
    ("orca/spout", re.compile(rb"\* *O *R *C *A *\*")),
    ("psi4/out", re.compile(rb"Psi4: An Open-Source")),
    ("n2p2", re.compile(rb"\Abegin\r?\n(comment|lattice|atom)")),
    ("sqm/out", re.compile(rb"AMBER SQM|QMMM: |SQM VERSION")),
    ("extxyz", re.compile(rb"\A\s*\d+[ \t]*\r?\n[^\n]*(Properties=|Lattice=)")),
    ("ase/traj", re.compile(rb"\A- of Ulm")),
    ("deepmd/hdf5", re.compile(rb"\A\x89HDF")),
)
RECOGNISED = frozenset(name for name, _ in _CONTENT)

# Formats that read what another format's content rule finds.
SAME_CONTENT = {
    "gaussian/md": "gaussian/log",
    "siesta/aimd_output": "siesta/output",
    "fhi_aims/scf": "fhi_aims/output",
    "deepmd/hdf5/mixed": "deepmd/hdf5",
}


# Names that many programs give to their output: they tell nothing.
EVERYBODYS_NAMES = frozenset({"*.out", "*.log", "*.dat", "*.data", "output"})


def head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def content(path: Path) -> str | None:
    """The format that the head of a file speaks for."""
    text = head(path)
    return next((name for name, pattern in _CONTENT if pattern.search(text)), None)


def named(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name.lower(), pattern.lower()) for pattern in patterns)


def _mixed(folder: Path) -> bool:
    return any(folder.glob("set.*/real_atom_types.npy"))


def _abacus(kind: str) -> Callable[[Path, set[str]], bool]:
    return lambda folder, names: (
        "INPUT" in names and any(folder.glob(f"OUT.*/running_{kind}.log")) and (folder / "INPUT").is_file()
    )


# What marks a folder as one calculation: (folder, names in it) → bool.
FOLDERS: dict[str, Callable[[Path, set[str]], bool]] = {
    "deepmd/lmdb": lambda folder, names: "data.mdb" in names,
    "deepmd/npy/mixed": lambda folder, names: "type.raw" in names and _mixed(folder),
    "deepmd/npy": lambda folder, names: (
        "type.raw" in names and any(name.startswith("set.") for name in names) and not _mixed(folder)
    ),
    "deepmd/raw": lambda folder, names: {"type.raw", "coord.raw"} <= names,
    "abacus/scf": _abacus("scf"),
    "abacus/md": _abacus("md"),
    "abacus/relax": _abacus("*relax"),
    "cp2kdata/md": lambda folder, names: (
        any(named(name, ("*-pos-*.xyz",)) for name in names) and cp2k_log(folder, names) is not None
    ),
}


def cp2k_log(folder: Path, names: set[str]) -> str | None:
    """The CP2K output of a molecular dynamics run in this folder; the largest of several."""
    logs = [
        folder / name
        for name in names
        if not named(name, ("*.xyz", "*.ener", "*.inp", "*.restart*", "*.wfn*", "*.cell", "*.stress"))
        and (folder / name).is_file()
        and content(folder / name) == "cp2kdata/e_f"
    ]
    return max(logs, key=lambda path: path.stat().st_size).name if logs else None

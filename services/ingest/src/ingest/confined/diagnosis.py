"""Why a calculation could not be read: parsers say 'list index out of range', the file itself says more."""

import re
from pathlib import Path

from ingest.confined import known
from ingest.confined.judging import Unfit

_TAIL = 1 << 18
_COMPLETE = "Let the calculation finish, or leave it out."
_SELF_CONSISTENT = "Leave it out, or repeat it until the self-consistency converges."

# format: (what a finished output says, what an unconverged one says, what forces are announced by)
_SIGNS: dict[str, tuple[bytes, bytes, bytes]] = {
    "qe/pw/scf": (rb"JOB DONE", rb"convergence NOT achieved", rb"Forces acting on atoms"),
    "vasp/outcar": (rb"General timing and accounting", rb"(?!)", rb"TOTAL-FORCE"),
    "cp2kdata/e_f": (rb"PROGRAM ENDED", rb"SCF run NOT converged", rb"ATOMIC FORCES"),
    "cp2kdata/md": (rb"PROGRAM ENDED", rb"SCF run NOT converged", rb"ATOMIC FORCES"),
    "gaussian/log": (rb"Normal termination", rb"Convergence failure", rb"Forces \(Hartrees/Bohr\)"),
    "orca/spout": (rb"ORCA TERMINATED NORMALLY", rb"SCF NOT CONVERGED", rb"CARTESIAN GRADIENT"),
}
_FORCES = {
    "qe/pw/scf": "Set tprnfor = .true. in &control.",
    "cp2kdata/e_f": "Set &FORCE_EVAL / &PRINT / &FORCES ON.",
    "cp2kdata/md": "Set &FORCE_EVAL / &PRINT / &FORCES ON.",
}


def diagnose(format_name: str, paths: list[Path], error: BaseException) -> Unfit:
    """The most telling reason, from the end of the file; else the parser's own words."""
    told = signs(format_name, paths)
    if told is not None:
        return told
    words = " ".join(str(error).split())[:300] or "no reason given"
    reason = f"{format_name} cannot read it: {type(error).__name__}: {words}"
    remedy = "Check that the file is complete and of that format; `dpdata` reads it on your machine the same way."
    return Unfit("unreadable", reason, remedy)


def signs(format_name: str, paths: list[Path]) -> Unfit | None:
    """What the output itself says about why it holds no labels; None when it says nothing."""
    if format_name == "qe/pw/scf" and len(paths) < 2:
        remedy = "Add the input (e.g. scf.in next to scf.out): cell and elements are read from it."
        return Unfit("no-input-file", "the pw.x input that belongs to this output is not in the archive", remedy)
    files = [path for path in paths if path.is_file()]
    for folder in (path for path in paths if path.is_dir()):
        log = known.cp2k_log(folder, {one.name for one in folder.iterdir()})
        files += [folder / log] if log else []
    if format_name not in _SIGNS or not files:
        return None
    finished, unconverged, forces = _SIGNS[format_name]
    size = files[-1].stat().st_size
    with files[-1].open("rb") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    if re.search(unconverged, tail):
        return Unfit("unconverged", "the self-consistency did not converge", _SELF_CONSISTENT)
    if not re.search(finished, tail):
        return Unfit("truncated", f"the output breaks off: it does not say {finished.decode()!r}", _COMPLETE)
    if not re.search(forces, tail) and size <= _TAIL:
        remedy = _FORCES.get(format_name, "Compute forces and keep them in the output.")
        return Unfit("no-forces", "the output holds no forces", remedy)
    return None

"""Why a calculation could not be read: parsers say 'list index out of range', the file itself says more."""

import re
from pathlib import Path

from ingest.confined.judging import SELF_CONSISTENT, Unfit
from ingest.confined.known import FORMATS

_TAIL = 1 << 18
_COMPLETE = "Let the calculation finish, or leave it out."


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
    spec = FORMATS.get(format_name)
    if spec is None or spec.signs is None:
        return None
    files = [text for path in paths for text in spec.texts(path)]
    if not files:
        return None
    size = files[-1].stat().st_size
    with files[-1].open("rb") as file:
        file.seek(max(0, size - _TAIL))
        tail = file.read()
    if re.search(spec.signs.unconverged, tail):
        return Unfit("unconverged", "the self-consistency did not converge", SELF_CONSISTENT)
    if not re.search(spec.signs.finished, tail):
        return Unfit("truncated", f"the output breaks off: it does not say {spec.signs.finished.decode()!r}", _COMPLETE)
    if not re.search(spec.signs.forces, tail) and size <= _TAIL:
        return Unfit("no-forces", "the output holds no forces", spec.signs.remedy)
    return None

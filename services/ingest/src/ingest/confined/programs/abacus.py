"""ABACUS: single points, molecular dynamics, relaxations; read from the folder in which it ran."""

from collections.abc import Callable
from pathlib import Path

from ingest.confined.programs.spec import FormatSpec


def _marks(kind: str) -> Callable[[Path, set[str]], bool]:
    return lambda folder, names: (
        "INPUT" in names and any(folder.glob(f"OUT.*/running_{kind}.log")) and (folder / "INPUT").is_file()
    )


def _format(name: str, title: str, log: str) -> FormatSpec:
    return FormatSpec(
        name=name,
        title=title,
        example=f"a folder with INPUT, STRU and OUT.ABACUS/running_{log}.log",
        reads="folder",
        names=("INPUT", "OUT.*"),
        marks=_marks(log),
    )


FORMATS = (
    _format("abacus/scf", "ABACUS single point", "scf"),
    _format("abacus/md", "ABACUS molecular dynamics", "md"),
    _format("abacus/relax", "ABACUS relaxation", "*relax"),
)

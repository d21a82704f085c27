"""ABACUS: single points, molecular dynamics, relaxations; read from the folder in which it ran."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ingest.confined.programs.spec import (
    RYDBERG_EV,
    FormatSpec,
    Refusal,
    Signs,
    Theory,
    code,
    energy_ev,
    first,
    listed,
    matching_lines,
    said,
)

_DISPERSION = {"d2": "-D2", "d3_0": "-D3", "d3_bj": "-D3(BJ)"}


def _marks(kind: str) -> Callable[[str, set[str]], bool]:
    return lambda folder, names: (
        "INPUT" in names and any(Path(folder).glob(f"OUT.*/running_{kind}.log")) and Path(folder, "INPUT").is_file()
    )


def _texts(folder: Path) -> list[Path]:
    """What was asked for, then what was printed."""
    asked = [folder / name for name in ("INPUT", "KPT", "STRU")]
    return [path for path in (*asked, *sorted(folder.glob("OUT.*/running_*.log"))) if path.is_file()]


def _theory(text: str) -> Theory:
    asked = first(r"^\s*dft_functional\s+(\S+)", text)
    functional = asked or first(r"exchange-correlation functional = (\S+)", text)
    dispersion = _DISPERSION.get((first(r"^\s*vdw_method\s+(\S+)", text) or "").lower(), "")
    species = re.search(r"(?ms)^ATOMIC_SPECIES\s*\n(.*?)\n\s*\n", text)
    potentials = [line.split()[2] for line in species[1].splitlines() if len(line.split()) > 2] if species else []
    kind = first(r"^\s*basis_type\s+(\S+)", text)
    return said(
        code=code("ABACUS", first(r"^\s*ABACUS (v\S+)", text)),
        functional=f"{functional.upper()}{dispersion}" if functional else None,
        cutoff_ev=energy_ev(first(r"energy cutoff for wavefunc \(unit:Ry\) = ([\d.]+)", text), RYDBERG_EV),
        k_points=first(r"^K_POINTS\s*\n\s*0\s*\n\s*(?:Gamma|MP|Monkhorst\S*)\s*\n([^\n]+)", text),
        basis=listed([*([kind] if kind else []), *potentials]),
    )


def _converged(texts: Sequence[Path]) -> bool | None:
    """dpdata takes the steps that print a final energy, which ABACUS does only when they converged."""
    log = next((path for path in texts if path.name.startswith("running_")), None)
    return True if log and any(matching_lines(log, rb"final etot is|TOTAL ENERGY")) else None


def _misaligned(texts: Sequence[Path]) -> Refusal | None:
    """dpdata pairs forces with steps by their number, also where a step that did not converge has none."""
    counts = Counter(
        match[0].lower()
        for path in texts
        if path.name.startswith("running_")
        for match in matching_lines(path, rb"final etot is|has (?:not|NOT) been achieved|TOTAL-FORCE")
    )
    unconverged = counts[b"has not been achieved"]
    if not unconverged or counts[b"total-force"] in (0, counts[b"final etot is"] + unconverged):
        return None
    reason = f"{unconverged} steps did not converge and have no forces: dpdata would mix up the forces of the others"
    return "unconverged", reason, "Repeat the relaxation from the last step that converged, or export it as extxyz."


def _format(
    name: str,
    title: str,
    log: str,
    refuses: Callable[[Sequence[Path]], Refusal | None] | None = None,
) -> FormatSpec:
    return FormatSpec(
        name=name,
        title=title,
        example=f"a folder with INPUT, STRU and OUT.ABACUS/running_{log.replace('*', '')}.log",
        reads="folder",
        names=("INPUT", "OUT.*"),
        content=re.compile(rb"(?m)^ *ABACUS v\d|Atomic-orbital Based Ab-initio"),
        words=(b"ABACUS v", b"Atomic-orbital Based Ab-initio"),
        told_by="ABACUS in OUT.*/running_" + log.replace("*", "") + ".log",
        marks=_marks(log),
        texts=_texts,
        theory=_theory,
        converged=_converged,
        refuses=refuses,
        signs=Signs(
            finished=rb"Finish Time|Total +Time",
            unconverged=rb"convergence has (not|NOT) been achieved",
            forces=rb"TOTAL-FORCE",
            remedy="Set cal_force 1 in INPUT.",
        ),
    )


FORMATS = (
    _format("abacus/scf", "ABACUS single point", "scf"),
    _format("abacus/md", "ABACUS molecular dynamics", "md"),
    _format("abacus/relax", "ABACUS relaxation", "*relax", _misaligned),
)

"""Quantum ESPRESSO: pw.x single points and relaxations, cp.x trajectories."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ingest.confined.programs.spec import (
    RYDBERG_EV,
    Calculation,
    FormatSpec,
    Signs,
    Theory,
    Tree,
    by_stem,
    code,
    energy_ev,
    first,
    joined,
    listed,
    named,
    said,
    split,
)

_PROGRAM = b"Program PWSCF"


def _pw_pairs(tree: Tree) -> Iterator[Calculation]:
    """A pw.x output with its input: the reader takes cell and elements from the input."""
    for path in tree.files:
        # What inputs speak for is not asked: that takes ten times as long as a look for one word.
        if not tree.speaks(path, "qe/pw/scf", _PROGRAM):
            continue
        partner = _pw_input(tree, path)
        files = (path,) if partner is None else (partner, path)
        yield Calculation(tree.shown(path), "qe/pw/scf", files)


def _pw_input(tree: Tree, output: str) -> str | None:
    folder, name = split(output)
    for guess in _guesses(name, tree.folders[folder]):
        path = joined(folder, guess)
        # A name may be that of a folder.
        if path != output and path not in tree.folders and b"&control" in tree.head(path).lower():
            return path
    return None


def _guesses(output: str, names: set[str]) -> Iterator[str]:
    """Names in the same folder that the input may have, the most likely first."""
    stem = os.path.splitext(output)[0]  # noqa: PTH122 - see Tree
    for guess in (output.replace("out", "in"), f"{stem}.in", f"{stem}.pwi", f"{stem}.inp", stem):
        if guess in names:
            yield guess
    yield from sorted(name for name in names if named(name, ("*.in", "*.pwi", "*.inp")))


def _theory(text: str) -> Theory:
    # What comes after the header is long and says nothing of it.
    text = text.split("     Self-consistent Calculation", 1)[0]
    cutoff = first(r"kinetic-energy cutoff\s*=\s*([\d.]+)\s*Ry", _line_of("kinetic-energy cutoff", text))
    return said(
        code=code("Quantum ESPRESSO", first(r"Program PWSCF v\.?(\S+)", _line_of("Program PWSCF", text))),
        functional=_functional(first(r"Exchange-correlation\s*=\s*([^(\n]+)", _line_of("Exchange-correlation", text))),
        cutoff_ev=energy_ev(cutoff, RYDBERG_EV),
        k_points=first(r"^[ \t]*K_POINTS[^\n]*automatic[^\n]*\n([^\n]+)", text),
        basis=_pseudopotentials(text),
    )


def _line_of(words: str, text: str) -> str:
    """From these words, as pw.x prints them, to the end of their line: a pattern is searched ten times as long."""
    at = text.find(words)
    return "" if at < 0 else text[at:].split("\n", 1)[0]


def _input_of(stem: Path) -> list[Path]:
    return [path for path in (stem.with_name(f"{stem.name}.in"),) if path.is_file()]


def _cp_theory(text: str) -> Theory:
    return said(
        code="Quantum ESPRESSO cp.x",
        functional=first(r"\binput_dft\s*=\s*['\"]([^'\"]+)", text),
        cutoff_ev=energy_ev(_fortran(first(r"\becutwfc\s*=\s*([\d.]+(?:[deDE][-+]?\d+)?)", text)), RYDBERG_EV),
        basis=_pseudopotentials(text),
    )


def _fortran(number: str | None) -> str | None:
    return None if number is None else number.lower().replace("d", "e")


def _pseudopotentials(text: str) -> str | None:
    species = re.search(r"(?im)^[ \t]*ATOMIC_SPECIES\s*\n((?:\s*\S+\s+[\d.edED+-]+\s+\S+\s*\n)+)", text)
    return listed([line.split()[2] for line in species[1].splitlines() if line.strip()]) if species else None


def _functional(printed: str | None) -> str | None:
    """pw.x prints either a name or its four parts."""
    if printed is None:
        return None
    known = {"SLA PW PBX PBC": "PBE", "SLA PW PSX PSC": "PBEsol", "SLA PZ NOGX NOGC": "LDA (PZ)"}
    return known.get(" ".join(printed.upper().split()), printed)


FORMATS = (
    FormatSpec(
        name="qe/pw/scf",
        title="Quantum ESPRESSO pw.x output",
        example="scf.in and scf.out in one folder",
        reads="files",
        names=("*.in", "*.out"),
        content=re.compile(_PROGRAM),
        words=(_PROGRAM,),
        told_by="Program PWSCF",
        find=_pw_pairs,
        theory=_theory,
        signs=Signs(
            finished=rb"JOB DONE",
            unconverged=rb"convergence NOT achieved",
            forces=rb"Forces acting on atoms",
            remedy="Set tprnfor = .true. in &control.",
        ),
    ),
    FormatSpec(
        name="qe/cp/traj",
        title="Quantum ESPRESSO cp.x trajectory",
        example="run.in with run.pos, run.evp, run.for and run.cel in one folder",
        reads="files",
        names=("*.in", "*.pos", "*.evp", "*.for", "*.cel"),
        find=by_stem("qe/cp/traj", (".in", ".pos", ".evp", ".for", ".cel")),
        texts=_input_of,
        theory=_cp_theory,
    ),
)

"""VASP's vasprun.xml, streamed. dpdata parses the whole file twice and keeps its tree, and refuses a truncated file;
here the complete steps of one stand."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import SELF_CONSISTENT, Raw, Unfit
from ingest.confined.parsers.lattice import volume

# kbar Å³ → eV with the constant that dpdata uses for VASP, CODATA 2014: 8e-9 from that of 2018.
_KBAR = 1e3 / 1.602176621e6
# Large, and none of it is a label.
_SKIPPED = frozenset({"dos", "eigenvalues", "projected", "projected_kpoints_opt", "scstep", "kpoints"})
_COMPLETE = "Let the calculation finish, or leave the broken step out."


def frames(files: Sequence[Path]) -> Iterator[Raw | Unfit]:
    """Frames of a vasprun.xml in order. Raises Unfit."""
    symbols: list[str] = []
    nelm, scf_steps = 0, 0
    with files[0].open("rb") as file:
        try:
            # In a confined child, with an expat that bounds entities.
            for _, element in iterparse(file):  # noqa: S314
                if element.tag == "scstep":
                    scf_steps += 1
                elif element.tag == "atominfo":
                    symbols = _symbols(element)
                elif element.tag == "parameters":
                    nelm = int(element.findtext(".//i[@name='NELM']") or 0)
                elif element.tag == "calculation":
                    yield _frame(element, symbols, scf_steps, nelm)
                    scf_steps = 0
                    element.clear()
                if element.tag in _SKIPPED:
                    element.clear()
        except ParseError as error:
            reason = f"the file breaks off, or is no XML, at line {error.position[0]}"
            raise Unfit("truncated", reason, _COMPLETE) from None


def _symbols(atominfo: Element) -> list[str]:
    return [(row.findtext("c") or "").strip() for row in atominfo.iterfind("array[@name='atoms']/set/rc")]


def _frame(calculation: Element, symbols: list[str], scf_steps: int, nelm: int) -> Raw | Unfit:
    if nelm and scf_steps >= nelm:
        reason = f"the self-consistency took all NELM = {nelm} iterations"
        return Unfit("unconverged", reason, SELF_CONSISTENT)
    try:
        cell = _rows(calculation, "structure/crystal/varray[@name='basis']")
        places = _rows(calculation, "structure/varray[@name='positions']")
        forces = _rows(calculation, "varray[@name='forces']")
        stress = _rows(calculation, "varray[@name='stress']")
        energy = calculation.findtext("energy/i[@name='e_fr_energy']")
        if cell is None or places is None:
            return Unfit("incomplete", "this step has no structure", _COMPLETE)
        return Raw(
            symbols=symbols,
            coords=places @ cell,
            cell=cell,
            energy=None if energy is None else float(energy),
            forces=forces,
            virial=None if stress is None else stress * (_KBAR * volume(cell)),
            converged=True if scf_steps and nelm else None,
            turn=True,
        )
    except ValueError as error:
        return Unfit("not-a-number", f"this step cannot be read as numbers: {error}", "Check this step in the file.")


def _rows(calculation: Element, path: str) -> FloatArray | None:
    """[n, 3] Raises ValueError."""
    table = calculation.find(path)
    if table is None:
        return None
    return np.array([(row.text or "").split() for row in table.iterfind("v")], dtype=np.float64).reshape(-1, 3)

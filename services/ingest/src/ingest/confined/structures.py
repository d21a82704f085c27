"""One structure that somebody wants predicted: POSCAR, CIF, xyz or extended xyz, read by ASE."""

import io
import json
import re
from typing import IO, Any

import ase.io
import numpy as np
from ase import Atoms
from frames.frame import SYMBOLS

_SEND = "Send one structure as POSCAR, CIF, xyz or extended xyz."
_NAMES = {"extxyz": "xyz", "vasp": "POSCAR", "cif": "CIF"}
_CELL = re.compile(r"^\s*_(cell_length_a|atom_site_)", re.MULTILINE | re.IGNORECASE)
_LONGEST = 200
_LEAST_VOLUME = 1e-3


class Refused(Exception):
    """Why there is nothing to predict, and what would change that."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


def run(arguments: dict[str, Any], inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; output: {"structure": {symbols, positions, cell}} or {"refused": {reason, remedy}}."""
    try:
        said: dict[str, Any] = {"structure": read(inputs[0].read(), arguments["max_atoms"])}
    except Refused as refused:
        said = {"refused": {"reason": refused.reason, "remedy": refused.remedy}}
    left = json.dumps(said).encode()
    # An unbuffered file may take less than it is given.
    while left:
        left = left[outputs[0].write(left) :]


def read(data: bytes, max_atoms: int) -> dict[str, Any]:
    """Positions and cell in Å; no cell: not periodic. Raises Refused."""
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Refused("This is no text file.", _SEND) from None
    if not text.strip():
        raise Refused("There is nothing in it.", _SEND)
    form = _form(text)
    if form is None:
        raise Refused("This is no structure in a format that is read here.", _SEND)
    told = _told_atoms(text, form)
    if told is not None and told > max_atoms:
        raise _too_many(told, max_atoms)
    if form == "extxyz":
        text = _one_frame(text)
    atoms = _parsed(text, form)
    if len(atoms) > max_atoms:
        raise _too_many(len(atoms), max_atoms)
    return _checked(atoms)


def _form(text: str) -> str | None:
    """By what the first lines say; POSCAR is what has a scale in its second line and three vectors below."""
    lines = text.splitlines()
    if lines[0].strip().isdecimal():
        return "extxyz"
    if _CELL.search(text):
        return "cif"
    vectors = [_numbers(line) for line in lines[1:5]]
    scaled = len(vectors) == 4 and len(vectors[0]) in (1, 3) and all(len(one) >= 3 for one in vectors[1:])
    return "vasp" if scaled else None


def _numbers(line: str) -> list[float]:
    found = []
    for word in line.split():
        try:
            found.append(float(word))
        except ValueError:
            break
    return found


def _told_atoms(text: str, form: str) -> int | None:
    """How many atoms the head announces: a long list is not parsed to be refused."""
    lines = text.splitlines()
    if form == "extxyz":
        return int(lines[0])
    if form == "vasp":
        for line in lines[5:7]:
            words = line.split()
            if words and all(word.isdecimal() for word in words):
                return sum(map(int, words))
    return None


def _one_frame(text: str) -> str:
    """Raises Refused for a trajectory."""
    lines = text.splitlines()
    count = int(lines[0])
    if any(line.strip() for line in lines[count + 2 :]):
        raise Refused("There is more than one structure in it.", "Send one of them.")
    return "\n".join(lines[: count + 2]) + "\n"


def _parsed(text: str, form: str) -> Atoms:
    try:
        atoms = ase.io.read(io.StringIO(text), format=form, index=0)
    except KeyError as error:
        symbol = str(error.args[0]) if error.args else ""
        if symbol.isalnum() and len(symbol) <= 8:
            raise _no_element(symbol) from None
        raise _unreadable(form, repr(error)) from None
    except Exception as error:  # whatever ASE's readers make of a stranger's text
        raise _unreadable(form, str(error)) from None
    if not isinstance(atoms, Atoms):
        raise _unreadable(form, "there is no structure")
    return atoms


def _checked(atoms: Atoms) -> dict[str, Any]:
    if not len(atoms):
        raise Refused("There are no atoms in it.", _SEND)
    for number in atoms.numbers:
        if not 1 <= number <= len(SYMBOLS):
            raise _no_element("X")
    occupancy = atoms.info.get("occupancy") or {}
    if any(sum(map(float, site.values())) < 0.999 or len(site) > 1 for site in occupancy.values()):
        raise Refused("A site is occupied in part.", "Choose one atom for each site: a model predicts whole atoms.")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise Refused("A position or cell vector is no finite number.", "Correct it, and send it again.")
    cell = None
    if atoms.pbc.any():
        if atoms.cell.volume < _LEAST_VOLUME:
            raise Refused("The cell has no volume: its vectors do not span space.", "Give three vectors that do.")
        cell = atoms.cell.array.tolist()
    return {"symbols": list(atoms.symbols), "positions": atoms.positions.tolist(), "cell": cell}


def _too_many(count: int, most: int) -> Refused:
    return Refused(
        f"It has {count:,} atoms, and at most {most:,} are predicted here.",
        "Cut it down, or download the model: your own machine has no such limit.",
    )


def _no_element(symbol: str) -> Refused:
    return Refused(f"“{symbol}” is no chemical element.", "Name each atom by its element's symbol, such as Si.")


def _unreadable(form: str, why: str) -> Refused:
    plain = " ".join(why.split())[:_LONGEST] or "it ends too early"
    return Refused(f"It cannot be read as {_NAMES[form]}: {plain}", _SEND)

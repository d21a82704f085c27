"""The input of pw.x and cp.x: namelists and cards, as INPUT_PW describes them.

dpdata takes the input line by line: several assignments on a line, cells in bohr or alat, and lattices other than
simple cubic are refused or misread there. Reference: https://www.quantum-espresso.org/Doc/INPUT_PW.html
"""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Unfit
from ingest.confined.parsers.bravais import bravais
from ingest.confined.parsers.units import BOHR

_CARDS = frozenset(
    """ATOMIC_SPECIES ATOMIC_POSITIONS K_POINTS ADDITIONAL_K_POINTS CELL_PARAMETERS REF_CELL_PARAMETERS CONSTRAINTS
    OCCUPATIONS ATOMIC_VELOCITIES ATOMIC_FORCES SOLVENTS HUBBARD AUTOPILOT""".split()  # noqa: SIM905 - a list of words
)
_CARD = re.compile(r"\s*([A-Za-z_]+)[ \t]*[({]?[ \t]*(\w*)")
_CARD_START = min(map(len, _CARDS))
_CARD_STARTS = frozenset(card[:_CARD_START] for card in _CARDS)
_COMMENT = re.compile(r"""('[^'\n]*'|"[^"\n]*")|!.*""")
_SYSTEM = re.compile(r"""(?i)&system\b((?:[^'"/&]++|'[^'\n]*'|"[^"\n]*")*+)""")
_ASSIGNED = re.compile(r"""(\w+(?:\s*\([\d\s,]+\))?)\s*=\s*('[^'\n]*'|"[^"\n]*"|[^\s,'"=]+)""")
_FRACTION = re.compile(r"([-+]?\d+(?:\.\d*)?)/(\d+(?:\.\d*)?)")
_SIMPLER = "Write plain numbers and the units angstrom, bohr, alat or crystal in the input, or use another format."


@dataclass(frozen=True, slots=True)
class Card:
    """A card's option in lower case, and the words of its rows, without comments and blank lines."""

    option: str
    rows: list[list[str]]


@dataclass(frozen=True)
class PwInput:
    """system: of the namelist &system, key in lower case → value as written, without quotes; cards by name."""

    system: dict[str, str]
    cards: dict[str, Card]

    def whole(self, key: str, default: int | None = None) -> int:
        """An integer of &system. Raises Unfit."""
        value = self.system.get(key)
        if value is None and default is not None:
            return default
        try:
            return int(value or "")
        except ValueError:
            raise Unfit("input-unreadable", f"the input has no {key} = … in &system", "Add the whole input.") from None

    def number(self, key: str) -> float | None:
        """A real number of &system. Raises Unfit."""
        value = self.system.get(key)
        return None if value is None else real(value)

    @cached_property
    def alat(self) -> float | None:
        """The lattice parameter in Å: celldm(1) in bohr, or A."""
        bohr, angstrom = self.number("celldm(1)"), self.number("a")
        return bohr * BOHR if bohr is not None else angstrom

    @cached_property
    def cell(self) -> FloatArray:
        """Lattice vectors, rows, Å. Raises Unfit."""
        lattice = self.whole("ibrav")
        if lattice == 0:
            card = self._card("CELL_PARAMETERS")
            vectors = _table(card.rows[:3], slice(0, 3), 3, "CELL_PARAMETERS")
            # Without a unit and a lattice parameter, pw.x takes bohr, and warns.
            return vectors * _unit(card.option, self.alat or (BOHR if card.option == "" else None))
        if self.alat is None:
            raise Unfit("input-unreadable", "ibrav needs celldm(1) or A in &system, and neither is there", _SIMPLER)
        vectors = bravais(lattice, *self._shape())
        # As dpdata multiplies, for the one lattice that it reads.
        return vectors * self.alat

    def _shape(self) -> tuple[float, float, tuple[float, float, float]]:
        """b/a, c/a, cosines (bc, ac, ab)."""
        if self.number("celldm(1)") is not None:
            b, c = self.number("celldm(2)") or 0.0, self.number("celldm(3)") or 0.0
            four, five, six = (self.number(f"celldm({index})") or 0.0 for index in (4, 5, 6))
            lattice = self.whole("ibrav")
            if lattice == 14:
                return b, c, (four, five, six)
            # The only angle of the others is celldm(4), or celldm(5) where b is the unique axis.
            return b, c, (four, five, four) if lattice in (-12, -13) else (four, four, four)
        a = self.alat or 1.0
        b, c = (self.number("b") or 0.0) / a, (self.number("c") or 0.0) / a
        ab, ac, bc = (self.number(key) or 0.0 for key in ("cosab", "cosac", "cosbc"))
        # A rhombohedral cell is given by cosAB alone.
        return b, c, (ab, ab, ab) if abs(self.whole("ibrav")) == 5 else (bc, ac, ab)

    @cached_property
    def symbols(self) -> list[str]:
        """A label for each atom, e.g. 'Fe1'. Raises Unfit."""
        return [row[0] for row in self._positions().rows]

    @cached_property
    def coords(self) -> FloatArray:
        """Å [n, 3]. Raises Unfit."""
        card = self._positions()
        values = _table(card.rows, slice(1, 4), 3, "ATOMIC_POSITIONS")
        return self.cartesian(values, card.option, self.cell)

    def cartesian(self, values: FloatArray, unit: str, cell: FloatArray) -> FloatArray:
        """Positions of that unit in Å. Raises Unfit."""
        if unit == "crystal":
            return values @ cell
        # Without celldm(1) and A, pw.x calls the length of the first vector alat.
        return values * _unit(unit, self.alat or float(np.linalg.norm(self.cell[0])))

    def _positions(self) -> Card:
        card = self._card("ATOMIC_POSITIONS")
        natoms = self.whole("nat")
        if len(card.rows) < natoms:
            reason = f"ATOMIC_POSITIONS has {len(card.rows)} rows where nat = {natoms}"
            raise Unfit("input-unreadable", reason, "Add the whole input.")
        return Card(card.option, card.rows[:natoms])

    def _card(self, name: str) -> Card:
        card = self.cards.get(name)
        if card is None:
            raise Unfit("input-unreadable", f"the input has no {name}", "Add the whole input.")
        return card


def parse(text: str) -> PwInput:
    """&system and cards; what is no input at all has neither."""
    head: list[str] = []
    rows: list[list[str]] | None = None
    cards: dict[str, Card] = {}
    for line in text.split("\n"):
        start = line.lstrip()
        if not start:
            continue
        if start[:_CARD_START].upper() in _CARD_STARTS and (card := _card(line)) is not None:
            rows = cards.setdefault(card[0], Card(card[1], [])).rows
        elif rows is None:
            head.append(line)
        elif start[0] not in "!#":
            rows.append(start.split())
    return PwInput(_system("\n".join(head)), cards)


def _card(line: str) -> tuple[str, str] | None:
    """Name and option of 'ATOMIC_POSITIONS {angstrom}', in whatever brackets and spaces."""
    found = _CARD.match(line)
    if found is None or found[1].upper() not in _CARDS or line[found.end() :].lstrip().startswith("="):
        return None
    return found[1].upper(), found[2].lower()


def _system(text: str) -> dict[str, str]:
    if "!" in text:
        text = _COMMENT.sub(lambda match: match[1] or "", text)
    found = _SYSTEM.search(text)
    assigned = _ASSIGNED.findall(found[1]) if found else ()
    return {"".join(key.lower().split()): value.strip("'\"") for key, value in assigned}


def _unit(name: str, alat: float | None) -> float:
    """What a length of that unit is in Å. Raises Unfit."""
    length = {"angstrom": 1.0, "bohr": BOHR, "alat": alat, "": alat}.get(name)
    if length is None:
        raise Unfit("input-unreadable", f"positions or cell are given in {name or 'alat'!r}", _SIMPLER)
    return length


def real(text: str) -> float:
    """A Fortran number, e.g. 1.0d-3, or a fraction such as 1/3. Raises Unfit."""
    try:
        return float(text)
    except ValueError:
        pass
    fraction = _FRACTION.fullmatch(text)
    try:
        if fraction:
            return float(fraction[1]) / float(fraction[2])
        return float(text.lower().replace("d", "e"))
    except (ValueError, ZeroDivisionError):
        raise Unfit("input-unreadable", f"{text[:40]!r} is not a plain number", _SIMPLER) from None


def _table(rows: list[list[str]], columns: slice, count: int, what: str) -> FloatArray:
    values = [row[columns] for row in rows]
    if not values or any(len(row) < count for row in values):
        raise Unfit("input-unreadable", f"a row of {what} has fewer than {count} numbers", "Add the whole input.")
    try:
        flat = [float(value) for row in values for value in row]
    except ValueError:
        flat = [real(value) for row in values for value in row]
    return np.array(flat).reshape(-1, count)

"""The input of pw.x and cp.x: namelists and cards, as INPUT_PW describes them.

dpdata takes the input line by line: several assignments on a line, cells in bohr or alat, and lattices other than
simple cubic are refused or misread there. Reference: https://www.quantum-espresso.org/Doc/INPUT_PW.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Unfit
from ingest.confined.parsers.bravais import bravais
from ingest.confined.parsers.units import BOHR

# A card begins a line; `OCCUPATIONS = …` is an assignment of &system. Searched from line end to line end, which is
# several times as fast as looking at line after line.
_CARD = re.compile(
    r"""\n[^\S\n]*+(?=[ACHKORS])(
        ATOMIC_(?:SPECIES|POSITIONS|VELOCITIES|FORCES) | (?:ADDITIONAL_)?K_POINTS | (?:REF_)?CELL_PARAMETERS
        | CONSTRAINTS | OCCUPATIONS | SOLVENTS | HUBBARD | AUTOPILOT
    )(?![A-Za-z_])[ \t]*+[({]?+[ \t]*+(\w*+)(?![^\S\n]*+=)""",
    re.IGNORECASE | re.VERBOSE,
)
_COMMENT = re.compile(r"""('[^'\n]*'|"[^"\n]*")|!.*""")
_SYSTEM = re.compile(r"""(?i)&system\b((?:[^'"/&]++|'[^'\n]*'|"[^"\n]*")*+)""")
_ASSIGNED = re.compile(r"""(\w+(?:\s*\([\d\s,]+\))?)\s*=\s*('[^'\n]*'|"[^"\n]*"|[^\s,'"=]+)""")
_FRACTION = re.compile(r"([-+]?\d+(?:\.\d*)?)/(\d+(?:\.\d*)?)")
# Longer ones are parsed as a whole: what stands around the positions is kept.
_ALIKE_BYTES = 1 << 16
_PLACEHOLDER = (0.25, 0.5, 0.75)
_SIMPLER = "Write plain numbers and the units angstrom, bohr, alat or crystal in the input, or use another format."


@dataclass(frozen=True)
class Card:
    """A card's option in lower case, and the text below it."""

    option: str
    text: str

    def rows(self) -> list[list[str]]:
        """The words of its rows, without comments and blank lines."""
        return [words for line in self.text.split("\n") if (words := line.split()) and words[0][0] not in "!#"]


@dataclass(frozen=True)
class PwInput:
    """system: of the namelist &system, key in lower case → value as written, without quotes; cards by name."""

    system: Mapping[str, str]
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
            vectors = _table(card.rows()[:3], 0, "CELL_PARAMETERS")
            if card.option == "angstrom":
                return vectors
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
        return [row[0] for row in self.position_rows]

    @cached_property
    def coords(self) -> FloatArray:
        """Å [n, 3]. Raises Unfit."""
        values = _table(self.position_rows, 1, "ATOMIC_POSITIONS")
        return self.cartesian(values, self._card("ATOMIC_POSITIONS").option, self.cell)

    def cartesian(self, values: FloatArray, unit: str, cell: FloatArray) -> FloatArray:
        """Positions of that unit in Å. Raises Unfit."""
        if unit == "angstrom":
            return values
        if unit == "crystal":
            return values @ cell
        # Without celldm(1) and A, pw.x calls the length of the first vector alat.
        return values * _unit(unit, self.alat or float(np.linalg.norm(self.cell[0])))

    @cached_property
    def position_rows(self) -> list[list[str]]:
        """The words of its rows of atoms. Raises Unfit."""
        rows = self._card("ATOMIC_POSITIONS").rows()
        natoms = self.whole("nat")
        if len(rows) < natoms:
            reason = f"ATOMIC_POSITIONS has {len(rows)} rows where nat = {natoms}"
            raise Unfit("input-unreadable", reason, "Add the whole input.")
        return rows[:natoms]

    def _card(self, name: str) -> Card:
        card = self.cards.get(name)
        if card is None:
            raise Unfit("input-unreadable", f"the input has no {name}", "Add the whole input.")
        return card


def parse(text: str) -> PwInput:
    """&system and cards; what is no input at all has neither."""
    text = "\n" + text
    found = list(_CARD.finditer(text))
    starts = [match.start() for match in found] + [len(text)]
    cards: dict[str, Card] = {}
    for match, end in zip(found, starts[1:], strict=True):
        name = match[1].upper()
        # What stands behind the option is a comment.
        line_end = text.find("\n", match.end(), end)
        below = text[line_end:end] if line_end >= 0 else ""
        known = cards.get(name)
        cards[name] = Card(match[2].lower(), below) if known is None else Card(known.option, known.text + below)
    return PwInput(_system(text[: starts[0]]), cards)


def with_coords(text: str) -> tuple[PwInput, FloatArray]:
    """An input and its positions, Å [n, 3]: as `parse`, at a third of the cost where inputs differ in positions alone.

    Inputs of one campaign mostly do; then one PwInput is given for all, which has not these `coords`. Raises Unfit.
    """
    alike = _rows_between(text) if len(text) < _ALIKE_BYTES else None
    if alike is not None:
        before, rows, after = alike
        try:
            values = [float(word) for row in rows for word in row[1:4]]
        except ValueError:
            values = []
        given = _around(before, tuple([row[0] for row in rows]), after) if len(values) == 3 * len(rows) else None
        if given is not None:
            option = given.cards["ATOMIC_POSITIONS"].option
            return given, given.cartesian(np.array(values).reshape(-1, 3), option, given.cell)
    given = parse(text)
    return given, given.coords


def _rows_between(text: str) -> tuple[str, list[list[str]], str] | None:
    """What stands before the positions, the words of their rows, what comes after; None where it is not that simple."""
    start = text.find("\n", text.find("\nATOMIC_POSITIONS") + 1) + 1
    before = text[:start]
    natoms = _natoms(before)
    if not natoms:
        return None
    lines = text[start:].split("\n", natoms)
    rows = [line.split() for line in lines[:natoms]]
    if len(rows) < natoms or min(map(len, rows)) < 4:
        return None
    return before, rows, lines[natoms] if len(lines) > natoms else ""


@lru_cache(maxsize=8)
def _natoms(before: str) -> int:
    """0 where &system does not tell."""
    try:
        return parse(before).whole("nat", 0)
    except Unfit:
        return 0


@lru_cache(maxsize=8)
def _around(before: str, labels: tuple[str, ...], after: str) -> PwInput | None:
    """The input whose rows have these labels; None unless it has exactly these rows for positions."""
    rows = "".join([f"{label} {' '.join(map(str, _PLACEHOLDER))}\n" for label in labels])
    given = parse(before + rows + after)
    try:
        table = _table(given.position_rows, 1, "ATOMIC_POSITIONS")
        return given if given.symbols == list(labels) and (table == _PLACEHOLDER).all() else None
    except Unfit:
        return None


@lru_cache(maxsize=64)
def _system(text: str) -> Mapping[str, str]:
    """Kept for the next input: those of one campaign have the same namelists."""
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


def _table(rows: list[list[str]], first: int, what: str) -> FloatArray:
    """Three columns from `first` on, [n, 3]. Raises Unfit."""
    values = [value for row in rows for value in row[first : first + 3]]
    if not values or len(values) < 3 * len(rows):
        raise Unfit("input-unreadable", f"a row of {what} has fewer than 3 numbers", "Add the whole input.")
    try:
        flat = [float(value) for value in values]
    except ValueError:
        flat = [real(value) for value in values]
    return np.array(flat).reshape(-1, 3)

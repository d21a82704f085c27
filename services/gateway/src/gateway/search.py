"""What people look for: words, formulas, elements and filters, as one PostgreSQL tsquery. Pure rules.

Words are found by their beginning, Chinese by any run of its characters, formulas whatever the order of their
elements and the size of the cell. Every filter is a lexeme of the same index (see refresh_catalogue).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Literal

from gateway.elements import KNOWN, NUMBERS

Sort = Literal["newest", "oldest", "name", "frames", "size"]
SORTS: tuple[Sort, ...] = ("newest", "oldest", "name", "frames", "size")
STAGES = ("submit", "check", "queue", "train", "done")
COVERAGES = ("new", "covered")
# Digits of the number of frames: '3' is 100 to 999.
FRAMES = ("1", "2", "3", "4", "5", "6", "7")

WORDS = 12
TEXT_LENGTH = 200
_PREFIX_FROM = 3
_PART = re.compile(r"([A-Z][a-z]?)(\d{0,6})")
_CHINESE = re.compile(r"[㐀-鿿]")


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a list is narrowed to. Elements: all of them occur."""

    text: str = ""
    elements: tuple[str, ...] = ()
    functional: str = ""
    licence: str = ""
    stage: str = ""
    coverage: str = ""
    frames: str = ""
    sort: Sort = "newest"

    @property
    def narrowed(self) -> bool:
        return self != Criteria(sort=self.sort)

    def tsquery(self) -> str | None:
        """None: everything."""
        wanted = [*_terms(self.text), *(_lexeme(f"element:{symbol}") for symbol in self.elements)]
        if self.functional:
            wanted.append(_lexeme(f"functional:{self.functional.lower()}"))
        if self.licence:
            wanted.append(_lexeme(f"licence:{self.licence}"))
        if self.stage:
            wanted.append(_lexeme(f"stage:{self.stage}"))
        if self.coverage:
            wanted.append(_lexeme(f"verdict:{'passed' if self.coverage == 'new' else 'covered'}"))
        if self.frames:
            wanted.append(_lexeme(f"frames:{self.frames}"))
        return " & ".join(wanted) or None


@dataclass(frozen=True, slots=True)
class Asked:
    """A reader's criteria, and the fields of the request that were not understood and left out."""

    criteria: Criteria
    ignored: tuple[str, ...] = field(default=())


def read_criteria(pairs: Sequence[tuple[str, str]]) -> Asked:
    """Of a query string: q, element (repeated), functional, licence, stage, coverage, frames, sort."""
    given: dict[str, str] = {}
    elements: list[str] = []
    ignored = []
    for name, value in pairs:
        value = value.replace("\x00", "").strip()[:TEXT_LENGTH]
        if name == "element":
            symbol = value[:1].upper() + value[1:].lower()
            if symbol in KNOWN:
                elements.append(symbol)
            elif value:
                ignored.append("element")
        elif value:
            given[name] = value
    choices = {"stage": STAGES, "coverage": COVERAGES, "frames": FRAMES, "sort": SORTS}
    for name, known in choices.items():
        if name in given and given[name] not in known:
            ignored.append(name)
            del given[name]
    sort: Sort = given.get("sort", "newest")  # type: ignore[assignment]  # looked up in SORTS above
    criteria = Criteria(
        text=given.get("q", ""),
        elements=tuple(sorted(set(elements), key=NUMBERS.__getitem__)),
        functional=given.get("functional", ""),
        licence=given.get("licence", ""),
        stage=given.get("stage", ""),
        coverage=given.get("coverage", ""),
        frames=given.get("frames", ""),
        sort=sort,
    )
    return Asked(criteria, tuple(ignored))


def reduced_formula(text: str) -> str | None:
    """'Si4C4', 'SiC' → 'C1Si1': elements in alphabetical order, smallest whole numbers. None: no formula."""
    counts: dict[str, int] = {}
    end = 0
    for part in _PART.finditer(text):
        if part.start() != end or part[1] not in KNOWN:
            return None
        end = part.end()
        counts[part[1]] = counts.get(part[1], 0) + int(part[2] or 1)
    if end != len(text) or not counts or not all(counts.values()):
        return None
    divisor = gcd(*counts.values())
    return "".join(f"{symbol}{counts[symbol] // divisor}" for symbol in sorted(counts))


def _terms(text: str) -> list[str]:
    terms = []
    for word in text.split()[:WORDS]:
        if _CHINESE.search(word):
            terms += _chinese(word)
            continue
        terms += _word(word)
    return terms


def _word(word: str) -> list[str]:
    parts = [part for part in re.split(r"[\W_]+", word) if part]
    formula = reduced_formula(word.strip(".,;:()"))
    plain = " & ".join(_begins(part) for part in parts)
    if formula is None:
        return [plain] if plain else []
    symbol = word.strip(".,;:()")
    also = _lexeme(f"element:{symbol}") if symbol in KNOWN else _lexeme(f"formula:{formula}")
    return [f"({plain} | {also})"]


def _begins(word: str) -> str:
    return _lexeme(word.lower()) + (":*" if len(word) >= _PREFIX_FROM else "")


def _chinese(word: str) -> list[str]:
    """Each run of characters as a phrase, what stands between them as words."""
    terms = []
    for run in re.findall(r"[㐀-鿿]+|[^㐀-鿿]+", word):
        terms += ["(" + " <-> ".join(map(_lexeme, run)) + ")"] if _CHINESE.match(run) else _word(run)
    return terms


def _lexeme(text: str) -> str:
    """Quoted: whatever it holds is text."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

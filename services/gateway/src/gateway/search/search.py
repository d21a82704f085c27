"""What people look for: words, formulas, elements and filters, as one PostgreSQL tsquery. Pure rules.

Words are found by their beginning, Chinese by any run of its characters, formulas whatever the order of their
elements and the size of the cell. Every filter is a lexeme of the same index (see refresh_catalogue).

Relevance is a sum of points, whole numbers, so that a page can begin at one. Of each word its best place counts more
than all lesser ones together: name, element or formula, authors, description; a whole word more than a beginning.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Literal

from gateway.search.elements import KNOWN, NUMBERS

Sort = Literal["relevance", "newest", "oldest", "name", "frames", "size"]
SORTS: tuple[Sort, ...] = ("relevance", "newest", "oldest", "name", "frames", "size")
STAGES = ("submit", "check", "queue", "train", "done")
COVERAGES = ("new", "covered")
# Digits of the number of frames: '3' is 100 to 999.
FRAMES = ("1", "2", "3", "4", "5", "6", "7")

WORDS = 12
TEXT_LENGTH = 200
_PREFIX_FROM = 3
# Weights that refresh_catalogue gives to a name's words, authors' and a description's.
_NAME, _AUTHORS, _DESCRIPTION = "A", "B", "C"
_PART = re.compile(r"([A-Z][a-z]?)(\d{0,6})")
_CHINESE = re.compile(r"[㐀-鿿]")


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a search: lexemes that all occur, as a phrase where they are Chinese, or a facet in their place."""

    lexemes: tuple[str, ...]
    phrase: bool = False
    facet: str = ""

    def tsquery(self) -> str:
        plain = self._written(beginnings=True)
        if self.facet:
            return f"({plain} | {lexeme(self.facet)})"
        return f"({plain})" if self.phrase else plain

    def ranking(self) -> list[tuple[int, str]]:
        """(points, tsquery): what a dataset gets for each that it matches. A word's beginning in the description is
        no more than being found, which all are."""
        steps = [(32, self._written(_NAME)), (4, self._written(_AUTHORS)), (1, self._written(_DESCRIPTION))]
        if self.facet:
            steps.append((8, lexeme(self.facet)))
        if not self.phrase and any(len(one) >= _PREFIX_FROM for one in self.lexemes):
            steps += [(16, self._written(_NAME, beginnings=True)), (2, self._written(_AUTHORS, beginnings=True))]
        return sorted(steps, reverse=True)

    def _written(self, weight: str = "", *, beginnings: bool = False) -> str:
        """With a weight: only where it has that weight."""

        def one(word: str) -> str:
            label = ("*" if beginnings and not self.phrase and len(word) >= _PREFIX_FROM else "") + weight
            return f"{lexeme(word)}:{label}" if label else lexeme(word)

        return (" <-> " if self.phrase else " & ").join(map(one, self.lexemes))


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
    sort: Sort | None = None
    literal: bool = False
    """Nothing but these words: no others instead where they find nothing."""

    @property
    def narrowed(self) -> bool:
        return self != Criteria(sort=self.sort, literal=self.literal)

    @property
    def usual_order(self) -> Sort:
        """Where none is chosen."""
        return "relevance" if terms(self.text) else "newest"

    @property
    def order(self) -> Sort:
        """Without words nothing is more relevant than anything else."""
        usual = self.usual_order
        return usual if self.sort in (None, "relevance") else self.sort

    def ranking(self) -> list[tuple[int, str]]:
        """(points, tsquery) of all words: the sum of what a dataset matches is its relevance, below 800."""
        return [step for term in terms(self.text)[:WORDS] for step in term.ranking()]

    def tsquery(self) -> str | None:
        """None: everything."""
        wanted = [
            *(term.tsquery() for term in terms(self.text)),
            *(lexeme(f"element:{symbol}") for symbol in self.elements),
        ]
        if self.functional:
            wanted.append(lexeme(f"functional:{self.functional.lower()}"))
        if self.licence:
            wanted.append(lexeme(f"licence:{self.licence}"))
        if self.stage:
            wanted.append(lexeme(f"stage:{self.stage}"))
        if self.coverage:
            wanted.append(lexeme(f"verdict:{'passed' if self.coverage == 'new' else 'covered'}"))
        if self.frames:
            wanted.append(lexeme(f"frames:{self.frames}"))
        return " & ".join(wanted) or None


@dataclass(frozen=True, slots=True)
class Asked:
    """A reader's criteria, and the fields of the request that were not understood and left out."""

    criteria: Criteria
    ignored: tuple[str, ...] = field(default=())


def read_criteria(pairs: Sequence[tuple[str, str]]) -> Asked:
    """Of a query string: q, element (repeated), functional, licence, stage, coverage, frames, sort, literal."""
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
    choices = {"stage": STAGES, "coverage": COVERAGES, "frames": FRAMES, "sort": SORTS, "literal": ("1",)}
    for name, known in choices.items():
        if name in given and given[name] not in known:
            ignored.append(name)
            del given[name]
    sort: Sort | None = given.get("sort")  # type: ignore[assignment]  # looked up in SORTS above
    criteria = Criteria(
        text=given.get("q", ""),
        elements=tuple(sorted(set(elements), key=NUMBERS.__getitem__)),
        functional=given.get("functional", ""),
        licence=given.get("licence", ""),
        stage=given.get("stage", ""),
        coverage=given.get("coverage", ""),
        frames=given.get("frames", ""),
        sort=sort,
        literal="literal" in given,
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


def terms(text: str) -> list[Term]:
    """Words that are looked for, in their order."""
    return [term for word in text.split()[:WORDS] for term in _terms(word)]


def _terms(word: str) -> list[Term]:
    """A word; where there is Chinese in it, each run of characters and what stands between them."""
    if not _CHINESE.search(word):
        return _word(word)
    found = []
    for run in re.findall(r"[㐀-鿿]+|[^㐀-鿿]+", word):
        found += [Term(tuple(run), phrase=True)] if _CHINESE.match(run) else _word(run)
    return found


def _word(word: str) -> list[Term]:
    parts = tuple(part.lower() for part in re.split(r"[\W_]+", word) if part)
    symbol = word.strip(".,;:()")
    formula = reduced_formula(symbol)
    if formula is None:
        return [Term(parts)] if parts else []
    return [Term(parts, facet=f"element:{symbol}" if symbol in KNOWN else f"formula:{formula}")]


def lexeme(text: str) -> str:
    """Quoted: whatever it holds is text."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

"""Which known word somebody may have meant. Pure rules."""

import re
from collections.abc import Iterable

from gateway.search.search import Term, reduced_formula

# Of shorter words too many are a letter away from another one, names of people above all.
LEAST = 5
TWO_MISTAKES_FROM = 8
_LETTERS = re.compile(r"[^\W\d_]+")


def may_be_misspelt(term: Term, word: str) -> bool:
    """`word`: as it was typed. Formulas, numbers and Chinese are what they are."""
    plain = len(term.lexemes) == 1 and not term.phrase and _LETTERS.fullmatch(word) is not None
    return plain and LEAST <= len(word) <= 24 and reduced_formula(word) is None


def nearest_first(word: str, known: Iterable[str]) -> list[tuple[int, str]]:
    """(mistakes, known word): one mistake, in long words two; a word rarely begins with a wrong letter."""
    most = 2 if len(word) >= TWO_MISTAKES_FROM else 1
    found = [(mistakes(word, other), other[:1] != word[:1], other) for other in known]
    return [(count, other) for count, _, other in sorted(found) if 0 < count <= most]


def mistakes(one: str, other: str) -> int:
    """Letters missing, too many, wrong, or swapped with their neighbour: the distance of optimal string alignment."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        beyond, before, row = before, row, [at]
        for place, meant in enumerate(other, start=1):
            cost = min(before[place] + 1, row[-1] + 1, before[place - 1] + (letter != meant))
            if place > 1 and at > 1 and letter == other[place - 2] and one[at - 2] == meant:
                cost = min(cost, beyond[place - 2] + 1)
            row.append(cost)
    return row[-1]

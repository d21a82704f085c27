"""Sentences that services wrote, in the reader's language: found by their templates, said again with their values.

A template is the English sentence with {names} where values stand, and `(s)` where a plural may have one. What a name
begins with says what its value is:

said…   a part of the sentence that has a template of its own; without one the whole stays English
each…   several of those, separated by semicolons, or by commas and a last "and"
part…   one that may have a template: a part of a hundred, the name of a rule
list…   words of a list, "C, O and Si"
n, m, total, value, limit and other _NUMBERS  without a space: shown as they are
else    a name, a path, a unit: shown as it is
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from gateway.pages.languages import translations
from gateway.pages.sayings_gateway import GATEWAY
from gateway.pages.sayings_ingest import INGEST
from gateway.pages.sayings_metric import METRIC
from gateway.pages.sayings_parsers import PARSERS
from gateway.pages.sayings_pictures import PICTURES
from gateway.pages.sayings_predictions import PREDICTIONS
from gateway.pages.sayings_registry import REGISTRY
from gateway.problems import FieldError, Problem

SAYINGS = (*METRIC, *REGISTRY, *INGEST, *PARSERS, *PICTURES, *PREDICTIONS, *GATEWAY)
_NUMBERS = frozenset(
    (
        "n",
        "m",
        "total",
        "value",
        "limit",
        "ratio",
        "z",
        "slope",
        "correlation",
        "before",
        "after",
        "change",
        "low",
        "high",
    )
)
_HOLE = re.compile(r"\{(\w+)\}|\(s\)")
_NEXT_SENTENCE = re.compile(r"(?<=[.!?]) (?=[A-Z0-9])")
# Of a longer text the rest is left as it is: what is looked through grows with the square.
_MOST_SENTENCES = 16
_LONGEST = 2000
_AND = {"zh": " 和 "}
_COMMA = {"zh": "、"}
_SEMICOLON = {"zh": "；"}
_STOP = {"zh": "。"}


@dataclass(frozen=True, slots=True)
class _Template:
    """patterns: with the shortest values, and with the longest: either may be the one whose parts can be said.
    literal: the longest text between two values, which is looked for first.
    """

    patterns: tuple[re.Pattern[str], re.Pattern[str]]
    literal: str
    translation: str


@lru_cache(4096)
def in_language(language: str, text: str) -> tuple[tuple[str, bool], ...]:
    """The text in pieces, each with whether it is in that language; the others are English as they were."""
    if language == "en":
        return ((text, True),)
    sentences = _NEXT_SENTENCE.split(text, maxsplit=_MOST_SENTENCES)
    pieces: list[tuple[str, bool]] = []
    start = 0
    while start < len(sentences):
        for end in range(len(sentences), start, -1):
            said = _whole(language, " ".join(sentences[start:end]))
            if said is not None:
                pieces.append((said, True))
                break
        else:
            end = start + 1
            pieces.append((sentences[start], False))
        start = end
    return tuple(pieces)


def told(problem: Problem, language: str) -> Problem:
    """The problem for programs that run in a reader's page: its sentences in that language as far as they are known."""

    def said(text: str) -> str:
        pieces = in_language(language, text)
        return ("" if all(known for _, known in pieces) else " ").join(piece for piece, _ in pieces)

    return Problem(
        problem.status,
        problem.rule,
        said(problem.title),
        said(problem.detail),
        remedy=said(problem.remedy) if problem.remedy else None,
        field=problem.field,
        headers=problem.headers | {"content-language": language},
        errors=[FieldError(one.field, said(one.detail), said(one.remedy)) for one in problem.errors],
        numbers=problem.numbers,
    )


def _whole(language: str, text: str) -> str | None:
    known = translations(language).gettext(text)
    if known != text:
        return known
    found = _said(language, text)
    if found is None and text.endswith("."):
        parts = _each(language, text[:-1])
        return None if parts is None else parts + _STOP[language]
    return found


# Parts of parts come again and again: a hostile name in a sentence must not make a page wait.
@lru_cache(4096)
def _said(language: str, text: str) -> str | None:
    if len(text) > _LONGEST:
        return None
    for template in _templates(language):
        if template.literal not in text:
            continue
        matches = (pattern.fullmatch(text) for pattern in template.patterns)
        found = (_values(language, match) for match in matches if match is not None)
        values = next((one for one in found if one is not None), None)
        if values is not None:
            return _HOLE.sub(lambda hole, known=values: known[hole[1]], template.translation)  # type: ignore[misc]
    return None


def _values(language: str, match: re.Match[str]) -> dict[str, str] | None:
    """The values in that language; None where a part that must be said in it cannot be."""
    values = {}
    for name, value in match.groupdict().items():
        kind = next((one for begin, one in _KINDS.items() if name.startswith(begin)), _as_it_is)
        said = kind(language, value)
        if said is None:
            return None
        values[name] = said
    return values


def _each(language: str, text: str) -> str | None:
    # Not within brackets: "si from 9 to 8 (-11 %, likely -14 to -8), water from 7 to 6" are two parts.
    for separators, joint in ((r"; ", _SEMICOLON), (r"(?:, | and )(?![^()]*\))", _COMMA)):
        parts = [_said(language, part) for part in re.split(separators, text)]
        said = [part for part in parts if part is not None]
        if len(said) == len(parts) > 1:
            return joint[language].join(said)
    return _said(language, text)


def _part(language: str, text: str) -> str | None:
    return _said(language, text) or text


def _list(language: str, text: str) -> str | None:
    return _AND[language].join(_COMMA[language].join(text.split(", ")).rsplit(" and ", 1))


def _as_it_is(_language: str, text: str) -> str | None:
    return text


_KINDS: dict[str, Callable[[str, str], str | None]] = {"said": _said, "each": _each, "part": _part, "list": _list}


@cache
def _templates(language: str) -> Sequence[_Template]:
    """Those with the most text of their own first: they say most."""
    catalogue = translations(language)
    ordered = sorted(SAYINGS, key=lambda one: (-len(_HOLE.sub("", one)), one))
    return [
        _Template((_pattern(one, "?"), _pattern(one, "")), max(_literals(one), key=len), catalogue.gettext(one))
        for one in ordered
    ]


def _literals(template: str) -> list[str]:
    """Without the first letter, which may be a capital or not."""
    return re.split(r"\{\w+\}|\(s\)", template[1:] if template[0] != "{" else template)


def _pattern(template: str, shortest: str) -> re.Pattern[str]:
    made, last = [], 0
    for hole in _HOLE.finditer(template):
        made.append(re.escape(template[last : hole.start()]))
        value = (r"\S+" if hole[1] in _NUMBERS else ".+") + shortest
        made.append("s?" if hole[1] is None else f"(?P<{hole[1]}>{value})")
        last = hole.end()
    made.append(re.escape(template[last:]))
    pattern = "".join(made)
    if template[0].isalpha():
        pattern = f"[{template[0].upper()}{template[0].lower()}]{pattern[1:]}"
    return re.compile(pattern, re.DOTALL)

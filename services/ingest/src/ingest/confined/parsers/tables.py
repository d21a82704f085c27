"""Rows of numbers in an output that is read line by line."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import Unfit


def whole(lines: Iterable[str]) -> Iterator[str]:
    """Lines that have their end: what a program wrote last before it was stopped may be half a number."""
    return (line for line in lines if line.endswith("\n"))


_DECIMAL = re.compile(r"[-+]?\d*\.(\d+)(?:[eEdD][-+]?(\d+))?")


def may_be_cut(word: str, others: Iterable[str]) -> bool:
    """Whether the last word of a file, with no line end after it, may be the beginning of a longer number.

    It is whole where it has as many decimals as all these others; of integers and numbers of any length none can tell.
    """
    shapes = {_shape(other) for other in others}
    return shapes != {_shape(word)} or None in shapes


def _shape(word: str) -> tuple[int, int] | None:
    """Decimals, and digits of an exponent."""
    decimal = _DECIMAL.fullmatch(word)
    return None if decimal is None else (len(decimal[1]), len(decimal[2] or ""))


def take(lines: Iterator[str], count: int, what: str) -> list[list[str]]:
    """The words of the next lines. Raises Unfit where the file ends before them, or within the last of them."""
    rows = [line.split() for line in whole(islice(lines, count))]
    if len(rows) < count:
        reason = f"the output breaks off within {what}: {len(rows)} of {count} rows"
        raise Unfit("truncated", reason, "Let the calculation finish, or leave it out.")
    return rows


def skip(lines: Iterator[str], count: int) -> None:
    """Titles and rules above a table."""
    for _ in islice(lines, count):
        pass


def until_blank(lines: Iterator[str]) -> list[list[str]]:
    """The words of the lines up to a blank one."""
    rows = []
    for line in lines:
        if not (words := line.split()):
            break
        rows.append(words)
    return rows


def numbers(rows: list[list[str]], first: int, what: str) -> FloatArray:
    """Three columns from `first` on, [n, 3]. Raises Unfit."""
    try:
        return np.array([row[first : first + 3] for row in rows], dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise Unfit(
            "not-a-number", f"{what} cannot be read as numbers: {error}", "Check this place in the output."
        ) from None


def number(word: str, what: str) -> float:
    """Raises Unfit."""
    try:
        return float(word)
    except ValueError:
        raise Unfit(
            "not-a-number", f"{what} is {word!r}, which is no number", "Check this place in the output."
        ) from None

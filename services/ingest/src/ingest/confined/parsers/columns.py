"""Tables of decimals in fixed columns, all rows at once: faster than a number at a time, and the same bits."""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from frames.frame import FloatArray

_DECIMAL = re.compile(rb"-?\d+\.(\d+)")
_BLANK, _MINUS, _DOT, _NEWLINE = b" -.\n"
_ILLEGAL = 99
_DIGITS = bytes(
    place - 48 if 48 <= place < 58 else 0 if place in (_BLANK, _MINUS, _DOT, _NEWLINE) else _ILLEGAL
    for place in range(256)
)
# Whole numbers up to this one, and powers of ten up to 10^22, are exact in a double.
_LARGEST_EXACT = 2.0**53
_MOST_DECIMALS = 22


@dataclass(frozen=True)
class _Layout:
    """Where the numbers of a line stand; `template` is what the `fixed` columns hold: points and the line's end."""

    starts: list[int]
    fixed: list[int]
    template: FloatArray
    weights: FloatArray
    scale: FloatArray


def table(text: bytes, rows: int, count: int) -> FloatArray | None:
    """float64 [rows, count] of that many lines; None where they are not alike, point under point."""
    width, odd = divmod(len(text), rows)
    if odd or not width or len(text.split()) != rows * count:
        return None
    layout = _layout(*_shape(text[:width]))
    if layout is None or len(layout.starts) != count:
        return None
    digits = text.translate(_DIGITS)
    characters = np.frombuffer(text, dtype=np.uint8).reshape(rows, width)
    if _ILLEGAL in digits or not (characters[:, layout.fixed] == layout.template).all():
        return None
    # Sums of digits times powers of ten are exact, and so is the power that they are divided by: one rounding, as
    # in reading one decimal.
    whole = np.frombuffer(digits, dtype=np.uint8).reshape(rows, width).astype(np.float64) @ layout.weights
    if whole.max() > _LARGEST_EXACT:
        return None
    values = whole / layout.scale
    negative = np.logical_or.reduceat(characters == _MINUS, layout.starts, axis=1)
    return np.asarray(np.where(negative, -values, values), dtype=np.float64)


def _shape(row: bytes) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Width, and end and decimals of each number of a line; none where it has anything else."""
    found = tuple((match.end(), len(match[1])) for match in _DECIMAL.finditer(row))
    return len(row), found if len(found) == len(row.split()) else ()


@lru_cache(maxsize=64)
def _layout(width: int, ends: tuple[tuple[int, int], ...]) -> _Layout | None:
    starts = [0, *(end for end, _ in ends[:-1])]
    dots = [end - decimals - 1 for end, decimals in ends]
    if not ends or any(decimals > _MOST_DECIMALS for _, decimals in ends):
        return None
    weights = np.zeros((width, len(ends)))
    for column, (start, dot, (end, decimals)) in enumerate(zip(starts, dots, ends, strict=True)):
        weights[start:dot, column] = [10.0 ** (decimals + dot - 1 - place) for place in range(start, dot)]
        weights[dot + 1 : end, column] = [10.0 ** (end - 1 - place) for place in range(dot + 1, end)]
    return _Layout(
        starts=starts,
        fixed=[*dots, width - 1],
        template=np.array([*[_DOT] * len(dots), _NEWLINE], dtype=np.uint8),
        weights=weights,
        scale=np.array([10.0**decimals for _, decimals in ends]),
    )

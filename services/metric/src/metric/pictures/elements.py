"""What a dataset brings: its elements in the periodic table, and which of them occur together."""

import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from frames.frame import ATOMIC_NUMBERS, SYMBOLS

from metric.domain.words import counted, listed
from metric.pictures.axes import HEIGHT, WIDTH, heading
from metric.pictures.svg import Sheet

_LEFT, _TOP, _CELL_WIDTH, _CELL_HEIGHT = 32.0, 92.0, 32.0, 34.0
_PERIODS = (2, 8, 8, 18, 18, 32, 32)
_SERIES_GAP = 12.0
_LEGEND_AT = 452.0
_NAMED = 4

_MATRIX_SIDE, _MATRIX_TOP, _MATRIX_CENTRE = 316.0, 84.0, 330.0
_LARGEST_CELL, _LABEL_WIDTH = 150.0, 15.0
# In a cell of this size there is room for the name of the pair.
_NAMES_FROM, _NAMED_SIZE = 44.0, 0.24


def draw_elements(elements: Sequence[str], new: AbstractSet[str], model_version: str | None) -> bytes:
    """The periodic table: what the dataset holds, and which of it no branch of the model has seen."""
    title = "Elements of this dataset"
    remark = _remark("element", len(elements), [one for one in elements if one in new], model_version)
    sheet = Sheet(WIDTH, HEIGHT, title, f"{remark}. Elements: {', '.join(elements)}.")
    heading(sheet, title, remark)
    held = set(elements)
    for symbol in SYMBOLS:
        column, row = _place(ATOMIC_NUMBERS[symbol])
        x, y = _LEFT + column * _CELL_WIDTH, _TOP + row * _CELL_HEIGHT + (_SERIES_GAP if row > 6 else 0)
        box = (x + 1, y + 1, _CELL_WIDTH - 2, _CELL_HEIGHT - 2)
        middle = (x + _CELL_WIDTH / 2, y + _CELL_HEIGHT / 2 + 4.5)
        if symbol not in held:
            sheet.rect(*box, "field", 3)
            sheet.text(*middle, symbol, "faint", 12, "middle")
        else:
            _cell(sheet, box, symbol in new, 3)
            sheet.text(*middle, symbol, "on-new" if symbol in new else "on-known", 13, "middle", 600)
    _legend(sheet, model_version, _LEGEND_AT, _LEFT)
    return sheet.render()


def draw_pairs(
    elements: Sequence[str], pairs: AbstractSet[str], new: AbstractSet[str], model_version: str | None
) -> bytes:
    """A triangle of all pairs of the dataset's elements, by atomic number: together in a frame or not, new or not.

    It takes the whole sheet, whether of one element or of forty; few pairs are large, with their names in them.
    """
    title = "Element pairs of this dataset"
    remark = _remark("pair", len(pairs), [one for one in _sorted(pairs) if one in new], model_version)
    sheet = Sheet(WIDTH, HEIGHT, title, f"{remark}. Pairs of elements that occur together in a frame.")
    heading(sheet, title, remark)
    order = sorted(elements, key=ATOMIC_NUMBERS.__getitem__)
    cell = min(_LARGEST_CELL, _MATRIX_SIDE / len(order))
    left, top = _MATRIX_CENTRE - cell * len(order) / 2, _MATRIX_TOP
    # Of many elements as many are named as there is room for.
    every = math.ceil(_LABEL_WIDTH / cell)
    gap, size = (1.0, min(13.0, max(8.0, 0.42 * cell))) if cell > 4 else (0.1, 8.0)
    for row, first in enumerate(order):
        y = top + row * cell
        if row % every == 0:
            sheet.text(left - 7, y + cell / 2 + 0.35 * size, first, "ink", size, "end")
            sheet.text(left + (row + 0.5) * cell, top + len(order) * cell + 6 + size, first, "ink", size, "middle")
        for column, second in enumerate(order[: row + 1]):
            box = (left + column * cell + gap, y + gap, cell - 2 * gap, cell - 2 * gap)
            pair = f"{second}-{first}"
            if pair in pairs:
                _cell(sheet, box, pair in new, min(3.0, cell / 8))
            else:
                sheet.rect(*box, "field", min(3.0, cell / 8))
            if cell >= _NAMES_FROM:
                role = "faint" if pair not in pairs else "on-new" if pair in new else "on-known"
                middle = left + (column + 0.5) * cell, y + cell / 2 + 0.35 * _NAMED_SIZE * cell
                sheet.text(*middle, f"{second}–{first}", role, _NAMED_SIZE * cell, "middle", 600)
    _legend(sheet, model_version, _LEGEND_AT, _LEFT, absent="not together in a frame")
    return sheet.render()


def _sorted(pairs: Iterable[str]) -> list[str]:
    return sorted(pairs, key=lambda pair: [ATOMIC_NUMBERS[one] for one in pair.split("-")])


def _remark(noun: str, count: int, new: Sequence[str], model_version: str | None) -> str:
    if model_version is None:
        return f"{counted(count, noun)}, all new: there is no model yet"
    if not new:
        return f"{counted(count, noun)}, {'all of them ' if count > 1 else ''}known to DPA {model_version}"
    more = len(new) - _NAMED
    named = listed([*new[:_NAMED], f"{more:,} more"] if more > 0 else new)
    return f"{counted(count, noun)}, {len(new):,} new to DPA {model_version}: {named}"


def _place(number: int) -> tuple[int, int]:
    """Column and row, both from 0, of an atomic number; lanthanides are row 7, actinides row 8."""
    period, before = 0, 0
    while number > before + _PERIODS[period]:
        before += _PERIODS[period]
        period += 1
    length, position = _PERIODS[period], number - before - 1
    if length == 32 and 2 <= position < 17:
        # Fourteen of them and the first of the d block, which stands below its column.
        return position, period + 2
    # From the right end what a period lacks is in the middle; helium stands over neon.
    left = 1 if length == 2 else 2
    return (position if position < left else 18 - (length - position)), period


def _cell(sheet: Sheet, box: tuple[float, float, float, float], new: bool, radius: float) -> None:
    """Known ones are light, new ones dark: told apart without colours too."""
    sheet.rect(*box, "new-cell" if new else "known-cell", radius)


def _legend(sheet: Sheet, model_version: str | None, y: float, x: float, absent: str = "not in this dataset") -> None:
    entries = [("new-cell", "new" if model_version is None else "new to the model")]
    if model_version is not None:
        entries.append(("known-cell", "known to the model"))
    entries.append(("field", absent))
    for role, words in entries:
        sheet.rect(x, y - 11, 14, 14, role, 3)
        sheet.text(x + 20, y, words, "muted", 13)
        x += 46 + 7.2 * len(words)

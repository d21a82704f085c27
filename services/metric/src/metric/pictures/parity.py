"""Predicted against DFT: on the diagonal, prediction and label agree."""

from contracts.artifacts import Parity

from metric.domain.words import counted, shortened, significant
from metric.pictures.axes import HEIGHT, WIDTH, Scale, bottom_axis, heading, left_axis, padded
from metric.pictures.svg import Sheet

_TOP, _SIDE, _LEFT = 76.0, 344.0, 200.0
_BOTTOM = _TOP + _SIDE
_MANY = 400

_AXIS = {"energy": "energy, less that of the composition", "force": "force component"}
_UNIT = {"energy": "meV/atom", "force": "meV/Å"}
_POINT = {"energy": "frame", "force": "force component"}


def draw(parity: Parity, model_version: str, branch: str) -> bytes:
    """`parity` holds at least one point; its numbers are in eV/atom or eV/Å."""
    unit, factor = parity.unit, 1.0
    reference, predicted = parity.reference, parity.predicted
    if parity.quantity == "energy":
        unit, factor = "meV/atom", 1000.0
    points = [(factor * x, factor * y) for x, y in zip(reference, predicted, strict=True)]
    rmse = f"RMSE {significant(1000 * parity.rmse)} {_UNIT[parity.quantity]}"
    title = f"{parity.quantity.capitalize()}: DPA {model_version} against DFT"
    shown = counted(len(points), _POINT[parity.quantity])
    remark = f"{rmse} · branch {shortened(branch)} · {shown}"
    sheet = Sheet(
        WIDTH, HEIGHT, title, f"Predicted against DFT {parity.quantity}, before any training on this data. {remark}."
    )
    heading(sheet, title, remark)
    low, high = padded([value for point in points for value in point])
    across = Scale(low, high, _LEFT, _LEFT + _SIDE)
    up = Scale(low, high, _BOTTOM, _TOP)
    sheet.rect(_LEFT, _TOP, _SIDE, _SIDE, "field", 4)
    bottom_axis(sheet, across, _BOTTOM, _TOP, f"DFT {_AXIS[parity.quantity]} ({unit})")
    left_axis(sheet, up, _LEFT, _LEFT + _SIDE, f"Predicted ({unit})", _LEFT - 64)
    sheet.line(_LEFT, _BOTTOM, _LEFT + _SIDE, _TOP, "guide", 1.25, "5 4")
    crowded = len(points) > _MANY
    sheet.dots(
        [(across(x), up(y)) for x, y in points],
        parity.quantity,
        4.2 if crowded else 6.5,
        0.3 if crowded else 0.75,
    )
    return sheet.render()

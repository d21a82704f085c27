"""How far the frames lie from training data, in units of the usual distance among training frames."""

from contracts.artifacts import Histogram, Novelty

from metric.domain.words import percent, significant
from metric.pictures.axes import HEIGHT, WIDTH, Scale, bottom_axis, heading, left_axis
from metric.pictures.svg import Sheet

_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 612.0, 96.0, 408.0
_WORD = 60.0
# Nearer, only rounding tells a frame from a training frame.
_SAME = 1e-3


def draw(found: Novelty, model_version: str) -> bytes:
    """What lies right of `far_above` is far from all that trained the model."""
    title = "Distance to the nearest training frame"
    half = (
        f"half of the frames are beyond {significant(found.median)} times the usual distance"
        if found.median >= _SAME
        else "half of the frames or more are training frames"
    )
    remark = f"DPA {model_version}: {half}, {percent(found.far_fraction)} are far"
    sheet = Sheet(WIDTH, HEIGHT, title, f"{remark}; far means beyond {significant(found.far_above)}.")
    heading(sheet, title, remark)
    histogram = found.histogram
    across = _across(histogram, found.far_above)
    up = Scale(0, 1.15 * max(*histogram.counts, 1), _BOTTOM, _TOP)
    sheet.rect(_LEFT, _TOP, _RIGHT - _LEFT, _BOTTOM - _TOP, "field", 4)
    left_axis(sheet, up, _LEFT, _RIGHT, "Frames", 28)
    bottom_axis(sheet, across, _BOTTOM, _TOP, "Distance (1: as training frames lie from each other)")
    for low, high, count in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False):
        if count:
            left, right = across(max(low, across.low)), across(high)
            role = "useful" if low >= found.far_above * (1 - 1e-9) else "known"
            sheet.rect(left + 0.75, up(count), max(right - left - 1.5, 0.5), up(0) - up(count), role, 1.5)
    x = across(found.far_above)
    sheet.line(x, _TOP - 6, x, _BOTTOM, "ink", 1.5, "5 4")
    if x - _LEFT > _WORD:
        sheet.text(x - 8, _TOP + 18, "near", "known", 13, "end", 600)
    if _RIGHT - x > _WORD:
        sheet.text(x + 8, _TOP + 18, "far", "useful", 13, weight=600)
    return sheet.render()


def _across(histogram: Histogram, far_above: float) -> Scale:
    """Logarithmic where the edges allow it; the bound is always on the sheet."""
    low, high = min(histogram.edges[0], far_above), max(histogram.edges[-1], far_above)
    if low > 0 and high > 5 * low:
        return Scale(low / 1.1, high * 1.1, _LEFT, _RIGHT, logarithmic=True)
    margin = 0.03 * (high - low) or 0.01
    return Scale(low, high + margin, _LEFT, _RIGHT)

"""Histograms: force errors against the threshold, and, before there is a model, the labels themselves."""

from contracts.artifacts import BranchCoverage, Histogram

from metric.domain.words import percent, shortened, significant
from metric.pictures.axes import HEIGHT, WIDTH, Scale, bottom_axis, heading, left_axis
from metric.pictures.svg import Sheet

_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 612.0, 96.0, 408.0
_WORD = 45.0


def draw_force_errors(histogram: Histogram, near: BranchCoverage, model_version: str, covered: int) -> bytes:
    """The largest force error of each frame; what lies left of the threshold and has no new element is covered."""
    frames = sum(histogram.counts)
    threshold = near.threshold_ev_per_angstrom
    title = "Largest force error of each frame"
    remark = (
        f"DPA {model_version}, branch {shortened(near.branch)}: {covered:,} of {frames:,} frames covered "
        f"({percent(near.coverage)})"
    )
    sheet = Sheet(WIDTH, HEIGHT, title, f"{remark}; the threshold is {significant(threshold)} eV/Å.")
    heading(sheet, title, remark)
    across = Scale(histogram.edges[0], histogram.edges[-1], _LEFT, _RIGHT, logarithmic=True)
    up = _upward(histogram)
    _field(sheet, across, up, "Largest ‖ΔF‖ in the frame (eV/Å)")
    for low, high, count in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False):
        # Frames with a new element are not covered however small their error: then no bar says so.
        known = covered > 0 and high <= threshold * (1 + 1e-9)
        _bar(sheet, across, up, (low, high), count, "known" if known else "useful")
    x = across(threshold)
    sheet.line(x, _TOP - 6, x, _BOTTOM, "ink", 1.5, "5 4")
    label = f"threshold {significant(threshold)} eV/Å"
    # On whichever side has more room.
    if x > (_LEFT + _RIGHT) / 2:
        sheet.text(x - 8, _TOP - 6, label, "ink", 13, "end", 600)
    else:
        sheet.text(x + 8, _TOP - 6, label, "ink", 13, weight=600)
    if covered and x - _LEFT > _WORD:
        sheet.text(x - 8, _TOP + 18, "known", "known", 13, "end", 600)
    if _RIGHT - x > _WORD:
        sheet.text(x + 8, _TOP + 18, "new", "useful", 13, weight=600)
    return sheet.render()


def draw_labels(histogram: Histogram, quantity: str, axis: str, remark: str) -> bytes:
    """What the dataset's own labels look like; `quantity` is 'energy' or 'force', `axis` has the unit."""
    title = {"energy": "Energies of this dataset", "force": "Forces of this dataset"}[quantity]
    sheet = Sheet(WIDTH, HEIGHT, title, f"{remark}. {axis}.")
    heading(sheet, title, remark)
    across = Scale(histogram.edges[0], histogram.edges[-1], _LEFT, _RIGHT)
    up = _upward(histogram)
    _field(sheet, across, up, axis, "Force components" if quantity == "force" else "Frames")
    for low, high, count in zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False):
        _bar(sheet, across, up, (low, high), count, quantity)
    return sheet.render()


def _upward(histogram: Histogram) -> Scale:
    return Scale(0, 1.15 * max(*histogram.counts, 1), _BOTTOM, _TOP)


def _field(sheet: Sheet, across: Scale, up: Scale, axis: str, counted: str = "Frames") -> None:
    sheet.rect(_LEFT, _TOP, _RIGHT - _LEFT, _BOTTOM - _TOP, "field", 4)
    left_axis(sheet, up, _LEFT, _RIGHT, counted, 28)
    bottom_axis(sheet, across, _BOTTOM, _TOP, axis)


def _bar(sheet: Sheet, across: Scale, up: Scale, edges: tuple[float, float], count: int, colour: str) -> None:
    if count:
        left, right = across(edges[0]), across(edges[1])
        sheet.rect(left + 0.75, up(count), max(right - left - 1.5, 0.5), up(0) - up(count), colour, 1.5)

"""Histograms: force errors against the threshold, and, before there is a model, the labels themselves."""

from collections.abc import Sequence

import numpy as np
from contracts.artifacts import BranchCoverage, FrameVerdict, Histogram

from metric.domain.words import counted, percent, shortened, significant
from metric.pictures.axes import HEIGHT, WIDTH, Scale, bottom_axis, heading, left_axis
from metric.pictures.svg import Sheet

_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 612.0, 96.0, 408.0
_WORD = 45.0


def draw_force_errors(
    histogram: Histogram, near: BranchCoverage, model_version: str, verdicts: Sequence[FrameVerdict]
) -> bytes:
    """The largest force error of each frame, and which frames are covered: of those left of the threshold the ones
    without a new element; right of it those of datasets that trained the model.
    """
    frames = sum(histogram.counts)
    threshold = near.threshold_ev_per_angstrom
    known = _covered(histogram, verdicts)
    covered = sum(known)
    below = sum(count for high, count in zip(histogram.edges[1:], histogram.counts, strict=True) if _within(high, near))
    new = below - sum(count for high, count in zip(histogram.edges[1:], known, strict=True) if _within(high, near))
    title = "Largest force error of each frame"
    remark = (
        f"DPA {model_version}, branch {shortened(near.branch)}: {covered:,} of {frames:,} frames covered "
        f"({percent(near.coverage)})"
    )
    beside = f"{counted(new, 'frame')} left of the threshold not covered: an element is new to the model" if new else ""
    sheet = Sheet(WIDTH, HEIGHT, title, f"{remark}; the threshold is {significant(threshold)} eV/Å. {beside}".strip())
    heading(sheet, title, remark)
    if new:
        sheet.text(28, 76, beside, "muted", 13)
    across = Scale(histogram.edges[0], histogram.edges[-1], _LEFT, _RIGHT, logarithmic=True)
    up = _upward(histogram)
    _field(sheet, across, up, "Largest ‖ΔF‖ in the frame (eV/Å)")
    for low, high, count, of_it in zip(histogram.edges, histogram.edges[1:], histogram.counts, known, strict=False):
        _bar(sheet, across, up, (low, high), count - of_it, "useful", above=of_it)
        _bar(sheet, across, up, (low, high), of_it, "known")
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


def _within(edge: float, near: BranchCoverage) -> bool:
    return edge <= near.threshold_ev_per_angstrom * (1 + 1e-9)


def _covered(histogram: Histogram, verdicts: Sequence[FrameVerdict]) -> list[int]:
    """Covered frames in each bin; bins are closed above, as those of the histogram."""
    told = [one.max_force_error_ev_per_angstrom for one in verdicts if one.covered]
    errors = np.array([one for one in told if one is not None], dtype=np.float64)
    places = np.searchsorted(histogram.edges, errors, side="left") - 1
    bins = len(histogram.counts)
    return [int(one) for one in np.bincount(np.clip(places, 0, bins - 1), minlength=bins)]


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


def _bar(
    sheet: Sheet, across: Scale, up: Scale, edges: tuple[float, float], count: int, colour: str, above: int = 0
) -> None:
    """A bar of so many, standing on another one of `above`."""
    if count:
        left, right, top = across(edges[0]), across(edges[1]), up(above + count)
        sheet.rect(left + 0.75, top, max(right - left - 1.5, 0.5), up(above) - top, colour, 1.5)

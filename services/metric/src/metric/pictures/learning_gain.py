"""Held-out force error after short trainings on more and more of the dataset."""

from itertools import pairwise

from contracts.artifacts import LearningGain

from metric.domain.words import counted, significant
from metric.pictures.axes import HEIGHT, WIDTH, Scale, bottom_axis, heading, left_axis
from metric.pictures.svg import Sheet

_LEFT, _RIGHT, _TOP, _BOTTOM = 92.0, 612.0, 96.0, 408.0


def draw(gain: LearningGain, model_version: str) -> bytes:
    """`gain` has the zero-shot point and at least one after training."""
    title = "What the model gains from this data"
    before, after = gain.points[0], gain.points[-1]
    error, left = before.force_rmse_mev_per_angstrom, after.force_rmse_mev_per_angstrom
    remark = (
        f"DPA {model_version}: {significant(error)} meV/Å before, {significant(left)} meV/Å after "
        f"{counted(gain.steps, 'step')} on {counted(after.frames, 'frame')}"
    )
    sheet = Sheet(WIDTH, HEIGHT, title, f"Force RMSE on held-out frames. {remark}.")
    heading(sheet, title, remark)
    highest = max(point.force_rmse_mev_per_angstrom for point in gain.points)
    across = Scale(0, 1.05 * max(after.frames, 1), _LEFT, _RIGHT)
    up = Scale(0, 1.15 * (highest or 1.0), _BOTTOM, _TOP)
    sheet.rect(_LEFT, _TOP, _RIGHT - _LEFT, _BOTTOM - _TOP, "field", 4)
    left_axis(sheet, up, _LEFT, _RIGHT, "Held-out force RMSE (meV/Å)", 28)
    bottom_axis(sheet, across, _BOTTOM, _TOP, "Frames trained on")
    places = [(across(point.frames), up(point.force_rmse_mev_per_angstrom)) for point in gain.points]
    level = up(error)
    sheet.line(_LEFT, level, _RIGHT, level, "guide", 1.25, "5 4")
    sheet.text(_RIGHT - 6, level - 8, "before any training", "muted", 13, "end")
    for (x1, y1), (x2, y2) in pairwise(places):
        sheet.line(x1, y1, x2, y2, "force", 2)
    sheet.dots(places, "force", 9, 1)
    return sheet.render()

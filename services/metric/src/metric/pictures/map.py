"""The map of descriptors: where known data lies, and where the frames of this dataset do."""

from collections.abc import Sequence
from typing import Literal

from contracts.artifacts import DescriptorMap, FrameVerdict, MapPoint

from metric.domain.words import counted, percent
from metric.pictures.axes import HEIGHT, WIDTH, Scale, heading, padded
from metric.pictures.svg import Sheet

_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, 612.0, 104.0, 424.0
_MANY = 400


def draw(found: DescriptorMap, verdicts: tuple[FrameVerdict, ...], model_version: str) -> bytes:
    """Rounds and squares, so that covered and other frames are told apart without colours too."""
    covered = {(one.split, one.index) for one in verdicts if one.covered}
    known = [point for point in found.new if (point.split, point.index) in covered]
    other = [point for point in found.new if (point.split, point.index) not in covered]
    title = "Map of structures"
    remark = (
        f"{counted(len(found.new), 'frame')} of this dataset among {counted(len(found.known), 'frame')} "
        f"that trained DPA {model_version}"
    )
    sheet = Sheet(
        WIDTH,
        HEIGHT,
        title,
        f"{remark}. Near on the map: alike to the model. The axes show {percent(found.explained[0])} and "
        f"{percent(found.explained[1])} of what differs.",
    )
    heading(sheet, title, remark)
    every = [*found.known, *found.new]
    across = Scale(*padded([point.x for point in every]), _LEFT, _RIGHT)
    up = Scale(*padded([point.y for point in every]), _BOTTOM, _TOP)
    sheet.rect(_LEFT, _TOP, _RIGHT - _LEFT, _BOTTOM - _TOP, "field", 4)
    x = _LEFT
    layers: tuple[tuple[Sequence[MapPoint], str, Literal["round", "square"], str], ...] = (
        (found.known, "guide", "round", "training data"),
        (known, "known", "round", "covered"),
        (other, "useful", "square", "not covered"),
    )
    for points, role, shape, words in layers:
        if not points:
            continue
        crowded = len(points) > _MANY
        size = (4.0 if crowded else 6.5) * (0.9 if shape == "square" else 1)
        places = [(across(point.x), up(point.y)) for point in points]
        sheet.dots(places, role, size, 0.4 if crowded else 0.75, shape)
        sheet.dots([(x + 5, 84.0)], role, 9.0, 1.0, shape)
        sheet.text(x + 15, 88.5, f"{words} ({len(points):,})", "muted", 13)
        x += 58 + 7.4 * len(words) + 7.4 * len(f"{len(points):,}")
    first, second = (percent(part) for part in found.explained)
    sheet.text((_LEFT + _RIGHT) / 2, _BOTTOM + 30, f"first direction ({first} of the variance)", "ink", 13, "middle")
    sheet.text(34, (_TOP + _BOTTOM) / 2, f"second direction ({second})", "ink", 13, "middle", turned=True)
    return sheet.render()

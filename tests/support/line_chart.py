"""Lines on a logarithmic axis as SVG, in the colours of the platform's own pictures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from metric.pictures.svg import Sheet

WIDTH, HEIGHT = 760.0, 420.0
LEFT, RIGHT, TOP, BOTTOM = 66.0, 176.0, 46.0, 52.0
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """`name` is written at its end."""

    name: str
    points: Points
    colour: str
    width: float = 1.6
    dash: str | None = None


@dataclass(frozen=True)
class Axes:
    """Where values stand on the sheet; y is logarithmic."""

    x: tuple[float, float]
    y: tuple[float, float]

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        across = (point[0] - self.x[0]) / (self.x[1] - self.x[0])
        up = math.log(point[1] / self.y[0]) / math.log(self.y[1] / self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def chart(
    path: Path, title: str, description: str, labels: tuple[str, str], lines: Sequence[Line], ticks: Mapping[float, str]
) -> None:
    """Write the chart. `labels` of the axes, `ticks` along the horizontal one."""
    points = [point for line in lines for point in line.points]
    highs = [y for _, y in points]
    axes = Axes((min(x for x, _ in points), max(x for x, _ in points)), (min(highs) / 1.1, max(highs) * 1.1))
    sheet = Sheet(WIDTH, HEIGHT, title, description)
    sheet.text(LEFT, 26, title, "ink", 15, weight=600)
    for value in _levels(axes.y):
        _, y = axes.place((axes.x[0], value))
        sheet.line(LEFT, y, WIDTH - RIGHT, y, "line")
        sheet.text(LEFT - 8, y + 4, f"{value:g}", anchor="end")
    for value, words in ticks.items():
        x, _ = axes.place((value, axes.y[0]))
        sheet.text(x, HEIGHT - BOTTOM + 20, words, anchor="middle")
    sheet.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, labels[0], anchor="middle")
    sheet.text(18, (TOP + HEIGHT - BOTTOM) / 2, labels[1], anchor="middle", turned=True)
    for line in lines:
        placed = [axes.place(point) for point in line.points]
        for (x1, y1), (x2, y2) in pairwise(placed):
            sheet.line(x1, y1, x2, y2, line.colour, line.width, line.dash)
        if len(placed) == 1:
            sheet.dots(placed, line.colour, 5, 1)
    _name(sheet, axes, lines)
    path.write_bytes(sheet.render())


def _name(sheet: Sheet, axes: Axes, lines: Sequence[Line]) -> None:
    """Names at the ends of the lines, moved apart where they would overlap."""
    ends = sorted(((axes.place(line.points[-1])[1], line) for line in lines if line.name), key=lambda one: one[0])
    below = -math.inf
    for y, line in ends:
        place = max(y + 4, below + 14)
        sheet.text(WIDTH - RIGHT + 8, place, line.name, line.colour, 12)
        below = place


def _levels(bounds: tuple[float, float]) -> list[float]:
    """1, 2 and 5 of each decade."""
    first = math.floor(math.log10(bounds[0]))
    last = math.ceil(math.log10(bounds[1]))
    every = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    return [value for value in every if bounds[0] <= value <= bounds[1]]

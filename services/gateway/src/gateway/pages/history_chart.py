"""Errors by version as an SVG drawing: read without any script, in the colours of the theme."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.pages.curve import log_ticks
from gateway.pages.words import digits

WIDTH, HEIGHT = 640.0, 236.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 628.0, 12.0, 204.0
LABELS = 8
POINTS_MARKED = 60


@dataclass(frozen=True, slots=True)
class Value:
    """The error of a version; `current`: on the newest standard dataset, comparable with the others that are."""

    version: str
    value: float
    current: bool


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    title: str
    current: bool


@dataclass(frozen=True, slots=True)
class HistoryChart:
    """Coordinates in the SVG's own units."""

    line: str
    points: tuple[Point, ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT


def history_chart(values: Sequence[Value], unit: str) -> HistoryChart | None:
    """Oldest version at the left, on a logarithmic axis; None without a value. Many versions are a line alone."""
    if not values:
        return None
    numbers = [max(one.value, 1e-3) for one in values]
    low, high = math.log10(min(numbers) * 0.8), math.log10(max(numbers) * 1.25)
    step = (RIGHT - LEFT) / max(1, len(values) - 1)

    def x(place: int) -> float:
        return round((LEFT + RIGHT) / 2 if len(values) == 1 else LEFT + place * step, 1)

    def y(value: float) -> float:
        return round(BOTTOM - (math.log10(value) - low) / (high - low) * (BOTTOM - TOP), 1)

    points = tuple(
        Point(x(place), y(number), f"DPA {one.version}: {digits(one.value)} {unit}", one.current)
        for place, (one, number) in enumerate(zip(values, numbers, strict=True))
    )
    every = math.ceil(len(values) / LABELS)
    return HistoryChart(
        line=" ".join(f"{point.x},{point.y}" for point in points),
        points=points if len(points) <= POINTS_MARKED else points[-1:],
        y_ticks=tuple((y(tick), f"{tick:,g}") for tick in log_ticks(10**low, 10**high)),
        x_ticks=tuple((x(place), values[place].version) for place in range(len(values) - 1, -1, -every)),
    )

"""The training curve as an SVG drawing: what a page shows before, or without, its script."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.views.datasets import CurvePoint, DatasetView

WIDTH, HEIGHT = 720.0, 268.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 704.0, 12.0, 238.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """Coordinates in the SVG's own units; labels in meV/Å (y) and steps (x)."""

    points: str
    last: tuple[float, float]
    zero_shot_y: float | None
    y_ticks: tuple[tuple[float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT


def drawing(dataset: DatasetView) -> Drawing | None:
    """Force RMSE against steps on a logarithmic axis; None while there is no point."""
    training = dataset.training
    if training is None or not training.curve:
        return None
    zero_shot = dataset.metric.force_rmse_zero_shot_mev_per_angstrom if dataset.metric else None
    return _draw(training.curve, training.total_steps, zero_shot)


def _draw(curve: Sequence[CurvePoint], total_steps: int, zero_shot: float | None) -> Drawing:
    values = [max(point.force_rmse_mev_per_angstrom, 1e-3) for point in curve]
    seen = [*values, zero_shot] if zero_shot else values
    low, high = math.log10(min(seen) * 0.85), math.log10(max(seen) * 1.15)

    def y(value: float) -> float:
        return round(BOTTOM - (math.log10(value) - low) / (high - low) * (BOTTOM - TOP), 1)

    def x(step: int) -> float:
        return round(LEFT + step / total_steps * (RIGHT - LEFT), 1)

    points = [(x(point.step), y(value)) for point, value in zip(curve, values, strict=True)]
    return Drawing(
        points=" ".join(f"{left},{top}" for left, top in points),
        last=points[-1],
        zero_shot_y=y(zero_shot) if zero_shot else None,
        y_ticks=tuple((y(tick), f"{tick:,g}") for tick in log_ticks(10**low, 10**high)),
        x_ticks=tuple((x(step), f"{step:,}") for step in (0, total_steps // 2, total_steps)),
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`: 1, 2 and 5 times powers of ten, more of them within one decade."""
    factors = (1, 2, 5) if high > 8 * low else (1, 1.5, 2, 3, 4, 5, 6, 8)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [factor * 10.0**decade for decade in decades for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]

"""The plotting field: from numbers to places on a sheet, with ticks that people read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from metric.pictures.svg import Sheet

WIDTH, HEIGHT = 640.0, 480.0


@dataclass(frozen=True, slots=True)
class Scale:
    """`low`…`high` of a quantity onto `start`…`end` of the sheet, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values inside the range: steps of 1, 2 or 5, or on a logarithmic scale 1, 2, 5 of each decade."""
        if self.logarithmic:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            factors = (1, 2, 5) if math.log10(self.high / self.low) < 2.6 else (1,)
            values = [factor * 10.0**decade for decade in decades for factor in factors]
            return [one for one in values if self.low * 0.999 <= one <= self.high * 1.001]
        step = nice_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        return [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]


def nice_step(width: float) -> float:
    """The smallest of 1, 2, 5 × 10^k that is not below `width`."""
    power = 10.0 ** math.floor(math.log10(width))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * (1 - 1e-9))


def tick_label(value: float, step: float | None = None) -> str:
    """As many decimals as the step between ticks has; a true minus sign."""
    if step is None:
        return f"{value:.6g}".replace("-", "−")
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    # Adding zero turns −0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "−")


def padded(values: Sequence[float], part: float = 0.05) -> tuple[float, float]:
    """The range of the values with a margin; a single value gets a range around it."""
    low, high = min(values), max(values)
    margin = part * (high - low) or max(abs(high), 1.0) * 0.01
    return low - margin, high + margin


def heading(sheet: Sheet, title: str, remark: str) -> None:
    sheet.text(28, 36, title, "ink", 17, weight=600)
    sheet.text(28, 58, remark, "muted", 13)


def bottom_axis(sheet: Sheet, scale: Scale, at: float, top: float, label: str) -> None:
    """Vertical grid lines, tick labels below `at`, and what the axis shows."""
    ticks = scale.ticks()
    step = None if scale.logarithmic or len(ticks) < 2 else ticks[1] - ticks[0]
    for tick in ticks:
        sheet.line(scale(tick), top, scale(tick), at, "line")
        sheet.text(scale(tick), at + 19, tick_label(tick, step), "muted", 12.5, "middle")
    sheet.text((scale.start + scale.end) / 2, at + 42, label, "ink", 13, "middle")


def left_axis(sheet: Sheet, scale: Scale, at: float, right: float, label: str, label_at: float) -> None:
    """Horizontal grid lines, tick labels left of `at`, and what the axis shows, reading upwards."""
    ticks = scale.ticks()
    step = None if len(ticks) < 2 else ticks[1] - ticks[0]
    for tick in ticks:
        sheet.line(at, scale(tick), right, scale(tick), "line")
        sheet.text(at - 8, scale(tick) + 4.5, tick_label(tick, step), "muted", 12.5, "end")
    sheet.text(label_at, (scale.start + scale.end) / 2, label, "ink", 13, "middle", turned=True)

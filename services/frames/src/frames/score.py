"""The score of a model: its errors in units of a composition-only baseline."""

import math
from collections.abc import Iterable


def geometric_mean(ratios: Iterable[float]) -> float:
    """exp(mean(ln r)); 0 when a ratio is 0."""
    values = list(ratios)
    if any(value == 0 for value in values):
        return 0.0
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))


def score(energy_ratios: Iterable[float], force_ratios: Iterable[float]) -> float:
    """E = ½(M_E + M_F) of the branches' RMSE / RMSE of the baseline: 0 is DFT, 1 the baseline."""
    return 0.5 * (geometric_mean(energy_ratios) + geometric_mean(force_ratios))

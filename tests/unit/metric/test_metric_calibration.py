"""What the conformal threshold promises, counted on errors whose distribution is known.

Of n held-out frames the ⌈0.95(n+1)⌉-th smallest error covers a fresh frame of the same kind with a chance between 95 %
and 95 % + 1/(n+1), whatever the distribution. Below 19 frames no threshold has such a promise: the largest error alone
covers n/(n+1), and how much its quarter more adds depends on how the errors spread.
"""

import numpy as np
import pytest
from frames.errors import THRESHOLD_FLOOR_EV_PER_ANGSTROM, conformal_threshold
from scipy.stats import norm

DRAWS = 400
MEDIAN = 0.6
# Spread of the logarithm of real frames' largest force errors: 0.14 (liquid water) to 0.7 (strained crystals).
SPREADS = (0.15, 0.3, 0.5, 0.7)


def covered(count: int, spread: float, seed: int) -> float:
    """Chance that a fresh frame is covered, over many draws of `count` held-out frames; errors are lognormal, eV/Å."""
    rng = np.random.default_rng(seed)
    chances = []
    for _ in range(DRAWS):
        threshold = conformal_threshold(MEDIAN * np.exp(spread * rng.normal(size=count)))
        assert threshold > THRESHOLD_FLOOR_EV_PER_ANGSTROM
        chances.append(norm.cdf(np.log(threshold / MEDIAN) / spread))
    return float(np.mean(chances))


@pytest.mark.parametrize("count", [19, 20, 40, 100, 1000])
def test_from_19_held_out_frames_on_the_promise_holds_whatever_the_spread(count: int) -> None:
    exact = -(-95 * (count + 1) // 100) / (count + 1)
    assert 0.95 <= exact <= 0.95 + 1 / (count + 1)
    noise = 4 * np.sqrt(0.05 * 0.95 / (count + 2) / DRAWS)
    for seed, spread in enumerate(SPREADS):
        chance = covered(count, spread, seed)
        assert chance == pytest.approx(exact, abs=noise)
        assert chance == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("count", [8, 12, 18])
def test_below_19_the_rule_leans_to_covering_more(count: int) -> None:
    for seed, spread in enumerate(SPREADS):
        assert covered(count, spread, seed) > 0.93


def test_of_five_held_out_frames_no_more_can_be_promised_than_five_sixths() -> None:
    chances = [covered(5, spread, seed) for seed, spread in enumerate(SPREADS)]
    assert min(chances) > 5 / 6
    assert chances == sorted(chances, reverse=True)
    # Without the factor the largest of five covers five sixths, exactly and for every distribution.
    assert chances[0] > 0.97
    assert 0.88 < chances[-1] < 0.92

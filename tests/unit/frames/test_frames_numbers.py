"""Alignment, errors, the conformal threshold and the baseline against their definitions."""

import numpy as np
import pytest
from frames.align import align_energies
from frames.baseline import composition_only
from frames.errors import conformal_threshold, energy_rmse, force_rmse, max_force_error
from frames.frame import Frame
from hypothesis import given
from hypothesis import strategies as st


@given(seed=st.integers(0, 2**32 - 1))
def test_a_shift_by_element_is_found_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 9, (30, 3)).astype(float)
    shift = rng.normal(0, 50, 3)
    alignment = align_energies(counts, counts @ shift)
    assert alignment.rank == 3
    np.testing.assert_allclose(alignment.shift, shift, atol=1e-8)
    np.testing.assert_allclose(alignment.residual, 0, atol=1e-8)


def test_one_composition_leaves_the_shift_undetermined_but_no_residual() -> None:
    alignment = align_energies(np.tile([4.0, 4.0, 0.0], (5, 1)), np.full(5, 8.0))
    assert alignment.rank == 1
    np.testing.assert_allclose(alignment.shift, [1.0, 1.0, 0.0])
    np.testing.assert_allclose(alignment.residual, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("counts", "delta"),
    [(np.ones((0, 2)), np.ones(0)), (np.ones((3, 2)), np.ones(2)), (np.ones((2, 1)), np.array([1.0, np.nan]))],
)
def test_alignment_refuses_what_it_cannot_fit(counts: np.ndarray, delta: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"needed|finite"):
        align_energies(counts, delta)


def test_errors_by_hand() -> None:
    assert energy_rmse(np.array([2.0, -4.0]), [2, 2]) == pytest.approx(np.sqrt((1 + 4) / 2))
    zero = [np.zeros((1, 3)), np.zeros((2, 3))]
    reference = [np.array([[3.0, 0, 4.0]]), np.array([[0.0, 1, 0], [0, 0, 2]])]
    assert force_rmse(zero, reference) == pytest.approx(np.sqrt((25 + 1 + 4) / 9))
    np.testing.assert_allclose(max_force_error(zero, reference), [5.0, 2.0])
    with pytest.raises(ValueError, match="frame 1"):
        force_rmse([zero[0], zero[0]], reference)
    with pytest.raises(ValueError, match="1 predictions for 2 frames"):
        max_force_error(zero[:1], reference)


@pytest.mark.parametrize(
    ("errors", "threshold"),
    [
        ([], 0.05),
        ([0.001] * 30, 0.05),
        ([0.1, 0.4], 0.5),
        (np.arange(1, 19) / 10, 1.8 * 1.25),
        (np.arange(1, 20) / 10, 1.9),  # ⌈0.95·20⌉ = 19th
        (np.arange(1, 21) / 10, 2.0),  # ⌈0.95·21⌉ = 20th
        (np.arange(1, 40) / 10, 3.8),  # ⌈0.95·40⌉ = 38th, exactly
        (np.arange(1, 100) / 10, 9.5),
    ],
)
def test_conformal_threshold(errors: list[float], threshold: float) -> None:
    assert conformal_threshold(errors) == pytest.approx(threshold)
    assert conformal_threshold(list(errors)[::-1]) == pytest.approx(threshold)


def test_conformal_threshold_covers_95_percent_of_the_same_kind() -> None:
    rng = np.random.default_rng(5)
    covered = [np.mean(rng.lognormal(size=200) <= conformal_threshold(rng.lognormal(size=40))) for _ in range(300)]
    assert 0.945 < np.mean(covered) < 0.975
    with pytest.raises(ValueError, match="finite"):
        conformal_threshold([1.0, float("nan")])


def test_composition_only_baseline_scores_one_against_itself() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(20):
        numbers = rng.choice([1, 8], 6)
        energy = float(np.where(numbers == 1, -13.6, -430.0).sum() + rng.normal(0, 0.1))
        frames.append(Frame(numbers, rng.normal(size=(6, 3)), None, energy, rng.normal(size=(6, 3))))
    baseline = composition_only(frames)
    assert baseline.element_energies[0] == pytest.approx(-13.6, abs=0.2)
    assert baseline.element_energies[5] == 0
    ratio = energy_rmse(baseline.energies(frames) - [f.energy for f in frames], [6] * 20)
    assert ratio / baseline.energy_rmse(frames) == 1
    assert baseline.force_rmse(frames) == pytest.approx(
        np.sqrt(np.mean(np.concatenate([f.forces for f in frames]) ** 2))
    )

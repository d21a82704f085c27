"""The verification must be able to say no."""

from collections.abc import Sequence

import numpy as np
import pytest
from crystals import crystals, morse_frame
from dpa.batches import Prediction
from frames.frame import Frame
from trainer.verify.checks import BranchCheck, concluded, derivative_difference

GOOD = BranchCheck("silicon", 1e-7, 1e-6, 1e-7, 1e-6, 1e-3, 0.05)


class Morse:
    """Predicts with the formula; `error` falsifies its forces."""

    def __init__(self, error: float) -> None:
        self._error = error

    def predict(self, frames: Sequence[Frame]) -> Prediction:
        true = []
        for frame in frames:
            assert frame.cell is not None
            true.append(morse_frame(frame.symbols, frame.coords, frame.cell))
        return Prediction(
            np.array([frame.energy for frame in true]),
            [frame.forces * (1 + self._error) for frame in true],
            [np.zeros((3, 3)) for _ in true],
        )


def test_forces_that_are_the_derivative_of_the_energy_are_found_to_be() -> None:
    difference, allowed = derivative_difference(Morse(0), crystals("Si", "C", 1, 1)[0])  # type: ignore[arg-type]
    assert difference < 1e-3 < allowed


def test_forces_that_are_not_are_found_out() -> None:
    difference, allowed = derivative_difference(Morse(0.2), crystals("Si", "C", 1, 1)[0])  # type: ignore[arg-type]
    assert difference > allowed


def test_a_good_model_passes_with_its_numbers() -> None:
    verified = concluded([GOOD, GOOD])
    assert verified.passed
    assert verified.numbers["force_difference_ev_per_angstrom"] == 1e-6


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (BranchCheck("x", 1e-2, 0, 0, 0, 0, 1), "of the .pt differs from the trainer"),
        (BranchCheck("x", 0, 0, 0, 0.5, 0, 1), "frozen differs from the .pt"),
        (BranchCheck("x", 0, 0, 0, 0, 2, 1), "derivative of its energy"),
        (BranchCheck("x", float("nan"), 0, 0, 0, 0, 1), "of the .pt differs from the trainer"),
    ],
)
def test_a_bad_branch_fails_the_model_and_is_named(bad: BranchCheck, words: str) -> None:
    verified = concluded([GOOD, bad])
    assert not verified.passed
    assert words in verified.sentence
    assert "branch x" in verified.sentence
    assert "silicon" not in verified.sentence

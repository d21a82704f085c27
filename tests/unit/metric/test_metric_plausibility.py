"""Wrong signs, wrong units and shuffled labels are named; new data and relaxed structures are not blamed."""

import numpy as np
import pytest
from frames.frame import FloatArray, Frame
from metric.domain.coverage import Prediction
from metric.domain.plausibility import Candidate, agreement, judge_labels
from metric.settings import MetricSettings

LIMITS = MetricSettings(blobs_url="file:///unused").limits()


def labelled(
    scale: float, numbers: tuple[int, ...] = (14,) * 8, noise: float = 0.1, shuffled: bool = False, size: float = 1.0
) -> tuple[list[Frame], Prediction]:
    """Frames whose forces are `scale` × what the model predicts, but for its own error of `noise` eV/Å."""
    rng = np.random.default_rng(2)
    true = [rng.normal(0, size, (len(numbers), 3)) for _ in range(20)]
    predicted = [forces + rng.normal(0, noise, forces.shape) for forces in true]
    reported = [true[rng.integers(20)][::-1] if shuffled else forces for forces in true]
    coords = 1.35 * np.arange(len(numbers))[:, None] * np.ones(3)
    energies = rng.normal(0, 1, 20)
    frames = [
        Frame(np.array(numbers), coords, None, float(energy), scale * forces)
        for energy, forces in zip(energies, reported, strict=True)
    ]
    return frames, Prediction(energies + rng.normal(0, 0.1, 20), predicted)


def candidate(prediction: Prediction, elements: tuple[str, ...] = ("Si",), name: str = "si") -> Candidate:
    return Candidate(name, frozenset(elements), 100.0, prediction)


def test_slope_and_correlation_by_hand() -> None:
    predicted: FloatArray = np.tile([1.0, 2.0, 3.0], 10)
    found = agreement("b", -2 * predicted + 1, predicted)
    assert found is not None
    assert found.slope == pytest.approx(-2)
    assert found.correlation == pytest.approx(-1)
    assert agreement("b", predicted[:29], predicted[:29]) is None
    assert agreement("b", np.zeros(30), predicted) is None


def test_right_labels_are_plausible() -> None:
    frames, prediction = labelled(1.0)
    found, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert found is not None
    assert result is not None
    assert result.passed
    assert found.slope == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        (-1.0, "their sign is turned"),
        (1 / 27.2114, "hartree/Å or rydberg/bohr that were taken for eV/Å"),
        (1 / 25.711, "hartree/Å or rydberg/bohr that were taken for eV/Å"),
        (1 / 51.4221, "hartree/bohr that were taken for eV/Å"),
        (27.2114, "27.2 (hartree to eV) once too often"),
        (51.4221, "51.4 (hartree/bohr) once too often"),
        (-51.4221, "Their sign is turned too"),
    ],
)
def test_signs_and_units_are_named(scale: float, words: str) -> None:
    frames, prediction = labelled(scale)
    _, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert result is not None
    assert not result.passed
    assert words in result.sentence


def test_shuffled_labels_are_called_unrelated() -> None:
    frames, prediction = labelled(1.0, shuffled=True)
    found, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert found is not None
    assert result is not None
    assert abs(found.correlation) < 0.2
    assert not result.passed
    assert "unrelated" in result.sentence


def test_consistent_forces_are_neither_shuffled_nor_turned() -> None:
    for frames, prediction in (labelled(1.0, shuffled=True), labelled(-1.0)):
        _, result = judge_labels(frames, [candidate(prediction)], LIMITS, consistent=True)
        assert result is not None
        assert result.passed


@pytest.mark.parametrize("what", ["energies", "size"])
def test_structures_that_the_branch_does_not_understand_are_not_called_shuffled(what: str) -> None:
    """Stretched silicon: right labels, correlation −0.1, yet energies that go with the volume."""
    frames, prediction = labelled(1.0, shuffled=True)
    if what == "energies":
        prediction = Prediction(prediction.energy[::-1], prediction.forces)
    else:
        prediction = Prediction(prediction.energy, [0.5 * forces for forces in prediction.forces])
    _, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert result is not None
    assert result.passed


def test_forces_of_zero_are_missed_where_the_branch_expects_some() -> None:
    frames, prediction = labelled(0.0)
    found, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert found is None
    assert result is not None
    assert not result.passed
    assert "All forces are zero, where branch si expects" in result.sentence
    frames, prediction = labelled(0.0, size=0.02)
    assert judge_labels(frames, [candidate(prediction)], LIMITS) == (None, None)


def test_new_chemistry_is_not_blamed_for_a_model_that_cannot_predict_it() -> None:
    frames, prediction = labelled(1.0, numbers=(14, 14, 14, 14, 6, 6, 6, 6), shuffled=True)
    _, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert result is not None
    assert result.passed


def test_an_element_that_the_branch_has_never_met_is_why_nothing_is_said() -> None:
    frames, prediction = labelled(-1.0, (6, 6, 14, 14), noise=1.2)
    _, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert result is not None
    assert result.passed
    assert "It has never met C, and what it makes of forces beside such atoms may be of any sign" in result.sentence
    frames, prediction = labelled(1.0)
    _, known = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert known is not None
    assert known.sentence.endswith("nothing points to a wrong sign or unit.")


def test_a_turned_sign_shows_on_the_known_elements_of_new_chemistry() -> None:
    frames, prediction = labelled(-1.0, numbers=(14, 14, 14, 14, 6, 6, 6, 6))
    _, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert result is not None
    assert "their sign is turned" in result.sentence


def test_weak_agreement_beside_new_elements_names_nothing() -> None:
    """What a model makes of an element that it never met: correct SiC gave a correlation of −0.35, SiO2 −0.7."""
    numbers = (14, 14, 14, 14, 6, 6, 6, 6)
    for scale in (3.0, -3.0, 3 / 51.4221):
        for noise in (2.3, 1.0):
            frames, prediction = labelled(scale, numbers=numbers, noise=noise)
            found, result = judge_labels(frames, [candidate(prediction)], LIMITS)
            assert found is not None
            assert result is not None
            assert 0.3 < abs(found.correlation) < 0.75
            assert result.passed


def test_relaxed_structures_have_no_forces_to_correlate() -> None:
    frames, prediction = labelled(1.0, shuffled=True, size=0.02)
    _, result = judge_labels(frames, [candidate(prediction)], LIMITS)
    assert result is not None
    assert result.passed


def test_the_branch_that_agrees_best_decides() -> None:
    frames, prediction = labelled(1.0)
    blind = Prediction(prediction.energy, [np.roll(forces, 1, axis=0) for forces in prediction.forces])
    found, result = judge_labels(frames, [candidate(blind, name="blind"), candidate(prediction)], LIMITS)
    assert found is not None
    assert found.branch == "si"
    assert result is not None
    assert result.passed


def test_without_a_known_element_there_is_nothing_to_say() -> None:
    frames, prediction = labelled(-1.0, numbers=(6,) * 8)
    assert judge_labels(frames, [candidate(prediction)], LIMITS) == (None, None)

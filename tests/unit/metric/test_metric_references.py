"""Energies and virials are held against a branch only where its forces show that it understands the structures."""

from dataclasses import replace

import numpy as np
import pytest
from frames.frame import Frame
from metric.domain.coverage import Prediction
from metric.domain.labels import judge_all
from metric.domain.plausibility import Candidate, judge_labels
from metric.domain.references import judge_energies, judge_virials
from metric.settings import MetricSettings

LIMITS = MetricSettings(blobs_url="file:///unused").limits()
HARTREE = 27.211386
CELL = 10.0 * np.eye(3)


def labelled(
    energy: float = 1.0, virial: float = 1.0, forces: float = 1.0, force_noise: float = 0.1
) -> tuple[list[Frame], Candidate]:
    """Labels times these factors, beside a branch that predicts energies less spread than they are."""
    random = np.random.default_rng(6)
    numbers, coords = np.full(8, 14), 1.35 * np.arange(8)[:, None] * np.ones(3)
    energies, frames = random.normal(0, 0.5, 30), []
    predicted, virials = [], []
    for number in range(30):
        true, stress = random.normal(0, 1, (8, 3)), random.normal(0, 2, (3, 3))
        stress = stress + stress.T
        frame = Frame(numbers, coords, CELL, energy * (energies[number] - 800), forces * true, virial * stress)
        frames.append(replace(frame, index=number))
        predicted.append(true + random.normal(0, force_noise, true.shape))
        virials.append(0.8 * stress + random.normal(0, 0.5, (3, 3)))
    prediction = Prediction(0.7 * energies + random.normal(0, 0.02, 30) - 700, predicted, virial=virials)
    return frames, Candidate("si", frozenset({"Si"}), 100.0, prediction)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1.0, ""),
        (0.5, ""),
        (2.0, ""),
        (1 / HARTREE, "hartree that were taken for eV"),
        (2 / HARTREE, "rydberg that were taken for eV"),
        (1 / 8, "energies per atom"),
        (HARTREE, "once too often"),
        (300.0, "do not match the forces"),
        (-1.0, "sign of the energies is turned"),
        (-1 / HARTREE, "Their sign is turned too"),
    ],
)
def test_sign_and_unit_of_energies(factor: float, words: str) -> None:
    frames, candidate = labelled(energy=factor)
    forces, _ = judge_labels(frames, [candidate], LIMITS)
    result = judge_energies(frames, [candidate], forces, LIMITS)
    assert result is not None
    assert result.passed is not bool(words)
    assert words in result.sentence


def test_the_known_factor_names_the_unit_exactly() -> None:
    frames, candidate = labelled(energy=1 / HARTREE)
    forces, _ = judge_labels(frames, [candidate], LIMITS)
    result = judge_energies(frames, [candidate], forces, LIMITS, factor=1 / HARTREE)
    assert result is not None
    assert "hartree that were" in result.sentence
    assert "rydberg" not in result.sentence


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1.0, ""),
        (0.5, ""),
        (-1.0, "wrong sign"),
        (1 / 1000, "stresses in eV/Å³"),
        (1602.1766 / 1000 / 10, "stresses in GPa"),
        (1 / HARTREE, "virials in hartree"),
        (40.0, "their unit is another"),
    ],
)
def test_sign_and_unit_of_virials(factor: float, words: str) -> None:
    frames, candidate = labelled(virial=factor)
    forces, _ = judge_labels(frames, [candidate], LIMITS)
    result = judge_virials(frames, [candidate], forces, LIMITS)
    assert result is not None
    assert result.passed is not bool(words)
    assert words in result.sentence


def test_a_branch_that_does_not_predict_the_forces_is_not_asked() -> None:
    frames, candidate = labelled(energy=-1.0, virial=-1.0, force_noise=3.0)
    forces, _ = judge_labels(frames, [candidate], LIMITS)
    assert judge_energies(frames, [candidate], forces, LIMITS) is None
    assert judge_virials(frames, [candidate], forces, LIMITS) is None


def test_without_virials_nothing_is_said_of_them() -> None:
    frames, candidate = labelled()
    forces, _ = judge_labels(frames, [candidate], LIMITS)
    bare = [replace(frame, virial=None) for frame in frames]
    assert judge_virials(bare, [candidate], forces, LIMITS) is None


def test_what_is_definitely_wrong_is_told_first_and_all_of_it() -> None:
    frames, candidate = labelled(energy=-1.0, virial=-1.0)
    labels = judge_all(np.full(30, np.nan), frames, [candidate], LIMITS)
    assert [one.rule for one in labels.against] == ["plausible-energies", "plausible-virials"]
    assert {one.rule for one in labels.results} >= {"plausible-lengths", "plausible-labels"}
    right = judge_all(np.full(30, np.nan), *(lambda made: (made[0], [made[1]]))(labelled()), LIMITS)
    assert right.against == ()


def test_without_a_model_labels_are_still_judged() -> None:
    frames, _ = labelled()
    long = [replace(frame, coords=2 * frame.coords, cell=20 * CELL) for frame in frames]
    labels = judge_all(np.full(30, np.nan), long, [], LIMITS)
    assert labels.agreement is None
    assert [one.rule for one in labels.against] == ["plausible-lengths"]

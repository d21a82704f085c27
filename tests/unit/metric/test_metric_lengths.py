"""Bohr for Å shows in bonds; pressure, single atoms and noble gases do not look like it."""

from dataclasses import replace

import numpy as np
import pytest
from crystals import crystals
from frames.frame import Frame
from metric.domain.lengths import judge_lengths
from metric.domain.survey import survey
from metric.settings import MetricSettings

LIMITS = MetricSettings(blobs_url="file:///unused").limits()
BOHR = 0.529177


def stretched(factor: float) -> list[Frame]:
    return [
        replace(one, coords=factor * one.coords, cell=factor * one.cell)
        for one in crystals("Si", "Si", 10, seed=1)
        if one.cell is not None
    ]


def judged(frames: list[Frame]) -> tuple[bool, str]:
    found = survey([("train", number, one) for number, one in enumerate(frames)], LIMITS)
    result = judge_lengths(found.records.rows["closest_ratio"], [frames[one] for one in found.possible()], LIMITS)
    assert result is not None
    return result.passed, result.sentence


@pytest.mark.parametrize("volume", [0.6, 1.0, 1.6])
def test_pressure_is_no_unit(volume: float) -> None:
    assert judged(stretched(volume ** (1 / 3)))[0]


def test_bohr_for_angstrom_and_twice_converted_are_named() -> None:
    passed, sentence = judged(stretched(1 / BOHR))
    assert not passed
    assert "bohr are taken for Å" in sentence
    passed, sentence = judged(stretched(BOHR))
    assert not passed
    assert "once too often" in sentence


def test_some_atoms_apart_are_no_unit() -> None:
    assert judged(stretched(1.0)[:5] + stretched(1 / BOHR)[:5])[0]


def test_overlaps_are_no_unit() -> None:
    frames = [replace(one, coords=one.coords * np.eye(8, 1)[:, :1]) for one in stretched(1.0)]
    found = survey([("train", number, one) for number, one in enumerate(frames)], LIMITS)
    assert judge_lengths(found.records.rows["closest_ratio"], [], LIMITS) is None


def test_noble_gases_and_single_atoms_have_no_bonds() -> None:
    nothing = np.full(2, np.nan)
    argon = [replace(one, numbers=np.full(8, 18)) for one in stretched(1 / BOHR)[:2]]
    atom = [Frame(np.array([14]), np.zeros((1, 3)), None, -100.0, np.zeros((1, 3)))] * 2
    assert judge_lengths(nothing, argon, LIMITS) is None
    assert judge_lengths(nothing, atom, LIMITS) is None

"""Covered 95 % of the time: on real forces, of a real model, that it was not trained on."""

from typing import Any

import demo_data
import numpy as np
import pytest
import reference_model
from contracts.artifacts import BranchManifest
from frames.errors import max_force_error
from frames.frame import FloatArray, Frame
from known_cases import DATA, extxyz
from metric.domain.coverage import KnownBranch, Prediction, judge_branch
from metric.prediction import PredictionProcess

SPLITS = 400


def coverage(branch: BranchManifest, held_out: FloatArray, frames: list[Frame], prediction: Prediction) -> float:
    """Of `frames` by a branch that has these errors on its held-out frames."""
    calibrated = branch.model_copy(
        update={"held_out_max_force_errors_ev_per_angstrom": tuple(float(error) for error in held_out)}
    )
    return judge_branch(KnownBranch.of(calibrated), frames, prediction, set(branch.elements)).coverage.coverage


def picked(prediction: Prediction, rows: Any) -> Prediction:
    return Prediction(prediction.energy[rows], [prediction.forces[row] for row in rows])


@pytest.mark.parametrize("name", ["silicon", "water"])
async def test_held_out_frames_cover_one_another(name: str) -> None:
    branch = next(one for one in reference_model.manifest().branches if one.name == name)
    # Drawn like the training data, but by other random numbers; other steps of the same run.
    fresh = demo_data.load(demo_data.MORE_SILICON) if name == "silicon" else extxyz(DATA / "water-more.extxyz.xz")
    frames = [*reference_model.held_out_frames(name), *fresh]
    async with PredictionProcess(threads=1, timeout_seconds=240) as predictions:
        predicted = await predictions.predict(reference_model.RELEASE, name, frames)
    errors = max_force_error(predicted.forces, [frame.forces for frame in frames])
    told = branch.held_out_max_force_errors_ev_per_angstrom
    np.testing.assert_allclose(errors[: len(told)], told, rtol=1e-3)
    for known in (19, len(frames) // 2):
        shares = []
        for split in range(SPLITS):
            order = np.random.default_rng(split).permutation(len(frames))
            new = order[known:]
            share = coverage(branch, errors[order[:known]], [frames[row] for row in new], picked(predicted, new))
            shares.append(share)
        if known >= 19:
            # The mean over all splits is exact whatever the errors are.
            exact = -(-95 * (known + 1) // 100) / (known + 1)
            assert np.mean(shares) == pytest.approx(exact, abs=0.01)
            assert np.mean(shares) == pytest.approx(0.95, abs=0.03)
        else:
            # Below 19 frames nothing can be promised; the rule leans to covering more.
            assert np.mean(shares) >= 0.95 - 0.03


async def test_fresh_data_drawn_like_the_training_data_is_covered_and_another_material_is_not() -> None:
    branch = next(one for one in reference_model.manifest().branches if one.name == "silicon")
    held_out = np.array(branch.held_out_max_force_errors_ev_per_angstrom)
    async with PredictionProcess(threads=1, timeout_seconds=240) as predictions:
        found = {}
        for name in (demo_data.MORE_SILICON, demo_data.SILICON_CARBIDE):
            frames = demo_data.load(name)
            predicted = await predictions.predict(reference_model.RELEASE, "silicon", frames)
            found[name] = coverage(branch, held_out, frames, predicted)
    # One frame of 24 is 4 %.
    assert found[demo_data.MORE_SILICON] >= 0.91
    assert found[demo_data.SILICON_CARBIDE] == 0

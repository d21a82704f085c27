"""A branch of a model measured anew, in the process that `dpa.remeasure` is."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from frames.baseline import Baseline, composition_only
from frames.errors import conformal_threshold, energy_rmse, force_rmse, max_force_error
from frames.frame import Frame
from frames.hashing import frame_hashes
from frames.store import iterate

from dpa.claims import BASELINE_ENERGY, BASELINE_FORCE, ENERGY, FORCE, THRESHOLD
from dpa.predictor import Prediction, Predictor

MILLI = 1e3


def measured(model: Path, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`wanted`: a branch of `remeasure`'s job; what comes out is what `claims.Measured.told` takes."""
    left_out = set(wanted["left_out"])
    places, frames = [], []
    for place, frame in enumerate(iterate(Path(wanted["held_out"]))):
        if place not in left_out:
            places.append(place)
            frames.append(frame)
    prediction = Predictor(model, wanted["branch"]).predict(frames)
    numbers = _numbers(frames, prediction, range(len(frames)), wanted["element_energies"])
    forces = [frame.forces for frame in frames]
    numbers[THRESHOLD] = conformal_threshold(max_force_error(prediction.forces, forces))
    told: dict[str, Any] = {"branch": wanted["branch"], "frames": len(frames), "numbers": numbers}
    if wanted["train"] is not None and wanted["fitted_to"] is not None:
        told["element_energies"] = _fitted(Path(wanted["train"]), set(wanted["fitted_to"]))
    if wanted["standard"] is not None:
        standard = wanted["standard"]
        here = _standard_frames(places, frames, standard)
        told["standard"] = {
            "branch": wanted["branch"],
            "frames": len(here),
            "numbers": _numbers(frames, prediction, here, standard["element_energies"]) if here else {},
        }
    return told


def _numbers(
    frames: Sequence[Frame], prediction: Prediction, chosen: Sequence[int], element_energies: Mapping[str, float] | None
) -> dict[str, float]:
    """Errors and baseline on the chosen ones of these frames."""
    some = [frames[index] for index in chosen]
    residual = np.array([prediction.energy[index] for index in chosen]) - np.array([frame.energy for frame in some])
    forces = [prediction.forces[index] for index in chosen]
    baseline = Baseline.told(element_energies or {})
    numbers = {
        ENERGY: MILLI * energy_rmse(residual, [frame.natoms for frame in some]),
        FORCE: MILLI * force_rmse(forces, [frame.forces for frame in some]),
        BASELINE_FORCE: MILLI * baseline.force_rmse(some),
    }
    if element_energies is not None:
        numbers[BASELINE_ENERGY] = MILLI * baseline.energy_rmse(some)
    return numbers


def _fitted(train: Path, positions: set[int]) -> dict[str, float]:
    """eV per atom of each element of the training frames at these places; empty when one of them is not there."""
    frames = [frame for place, frame in enumerate(iterate(train)) if place in positions]
    if not frames or len(frames) != len(positions):
        return {}
    return composition_only(frames).by_element(frames)


def _standard_frames(places: Sequence[int], frames: Sequence[Frame], standard: Mapping[str, Any]) -> list[int]:
    """Indices of the frames that are the standard dataset's: by their hash, and where they are told to be."""
    names = [one.hex() for one in frame_hashes(frames)]
    if standard["positions"] is None:
        wanted = set(standard["frames"])
        return [index for index, name in enumerate(names) if name in wanted]
    # Lists of different lengths leave frames without a place: they are missing, as the count then says.
    told = dict(zip(standard["positions"], standard["frames"], strict=False))
    return [index for index, place in enumerate(places) if told.get(place) == names[index]]

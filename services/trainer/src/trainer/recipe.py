"""Preset + round → deepmd input. Plain dictionaries: nothing here imports deepmd."""

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.work import Work

RECIPE_FILE = "input.json"
_RATES = ("start_lr", "stop_lr")


def render(work: Work, train: Mapping[str, Path], case_dimension: int | None = None) -> dict[str, Any]:
    """deepmd's multi-task input for this attempt.

    `train` maps each branch to its LMDB folder. `case_dimension` is that of the parent's checkpoint, which may
    have been widened since the preset was written; none: as the preset says.
    """
    preset = work.preset
    shared = copy.deepcopy(preset.model.shared_dict)
    if case_dimension is not None:
        for section in _with_case_embedding(shared):
            section["dim_case_embd"] = case_dimension
    first = work.parent is None
    branches = work.branches
    training = {
        **copy.deepcopy(preset.training),
        "numb_steps": work.total_steps,
        "seed": work.seed,
        "model_prob": {branch.name: branch.weight for branch in branches},
        "data_dict": {
            branch.name: {
                # A string, not a list: deepmd opens LMDB only then.
                "training_data": {"systems": str(train[branch.name]), "batch_size": preset.batch_size},
                "stat_file": f"stat-{branch.name}.hdf5",
            }
            for branch in branches
        },
    }
    return {
        "model": {
            "shared_dict": shared,
            "model_dict": {branch.name: copy.deepcopy(preset.model.branch) for branch in branches},
        },
        "learning_rate": _scaled(
            preset.learning_rate.first_round if first else preset.learning_rate.growth, work.learning_rate_factor
        ),
        "loss_dict": {
            branch.name: copy.deepcopy(preset.loss.with_virial if branch.has_virial else preset.loss.without_virial)
            for branch in branches
        },
        "optimizer": copy.deepcopy(preset.optimizer),
        "training": training,
    }


def frames_at_once(batch_size: str | int, natoms: int) -> int:
    """Frames of this size in one batch, by deepmd's rules: a number, 'auto:N' (N atoms at least), 'max:N' (at most)."""
    if isinstance(batch_size, int):
        return batch_size
    rule, _, atoms = batch_size.partition(":")
    most = int(atoms) if atoms.isdigit() else 32
    return -(-most // natoms) if rule == "auto" else max(1, most // natoms)


def contradictions(wanted: Any, actual: Any, path: str = "") -> Iterator[str]:
    """Where `actual` differs from what `wanted` states; keys that `wanted` leaves open do not count.

    The size of the case embedding and seeds may differ: neither is architecture.
    """
    if isinstance(wanted, dict) and isinstance(actual, dict):
        for key, value in wanted.items():
            if key not in ("dim_case_embd", "seed"):
                yield from contradictions(value, actual.get(key), f"{path}.{key}" if path else key)
    elif wanted != actual:
        yield f"{path}: {actual!r} in the parent, {wanted!r} in the preset"


def _scaled(learning_rate: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Every rate of deepmd's learning_rate section times `factor`; its ratios and steps as they are."""
    return {key: value * factor if key in _RATES else copy.deepcopy(value) for key, value in learning_rate.items()}


def _with_case_embedding(shared: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for section in shared.values():
        if isinstance(section, dict) and section.get("dim_case_embd"):
            yield section

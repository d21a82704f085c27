"""A small model that truly learned two small molecules, trained once a session by deepmd itself."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dpa.environment import environment
from frames.frame import Frame
from frames.store import write
from metric_platform import Environment, Platform, platform_of

PRESETS = Path(__file__).resolve().parents[3] / "deploy" / "presets"
BOND_ANGSTROM = {14: 2.35, 6: 1.54}
STEPS = 600


def make_molecules(number: int, count: int, seed: int, spread: float = 0.06, sign: float = 1.0) -> list[Frame]:
    """Shaken tetrahedra of one element in a large cell, labelled by a Morse potential (D 2 eV, a 1.5 Å⁻¹)."""
    rng = np.random.default_rng(seed)
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * BOND_ANGSTROM[number] / np.sqrt(8)
    frames = []
    for index in range(count):
        coords = 4.0 + corners + rng.normal(0, spread, (4, 3))
        energy, forces = -100.0 * 4, np.zeros((4, 3))
        for i, j in combinations(range(4), 2):
            separation = coords[j] - coords[i]
            distance = float(np.linalg.norm(separation))
            decay = float(np.exp(-1.5 * (distance - BOND_ANGSTROM[number])))
            energy += 2.0 * (1 - decay) ** 2
            pull = 6.0 * (1 - decay) * decay * separation / distance
            forces[i] += pull
            forces[j] -= pull
        frames.append(
            Frame(np.full(4, number), coords, 8.0 * np.eye(3), energy, sign * forces, source="morse.out", index=index)
        )
    return frames


@dataclass(frozen=True)
class SmallModel:
    """`release` is a deepmd checkpoint of the branches `silicon` and `carbon`."""

    release: Path
    held_out: dict[str, list[Frame]]


def recipe(folder: Path, branches: dict[str, list[Frame]]) -> dict[str, Any]:
    """deepmd's multi-task input with the architecture of the smoke preset."""
    preset = json.loads((PRESETS / "smoke.json").read_text())
    for name, frames in branches.items():
        write(folder / f"{name}.lmdb", frames)
    data = {
        name: {"training_data": {"systems": f"{name}.lmdb", "batch_size": 8}, "stat_file": f"{name}.hdf5"}
        for name in branches
    }
    return {
        "model": {
            "shared_dict": preset["model"]["shared_dict"],
            "model_dict": dict.fromkeys(branches, preset["model"]["branch"]),
        },
        "learning_rate": {"type": "exp", "decay_steps": 20, "start_lr": 1e-2, "stop_lr": 1e-4},
        "loss_dict": dict.fromkeys(branches, preset["loss"]["without_virial"]),
        "optimizer": preset["optimizer"],
        "training": {
            "data_dict": data,
            "model_prob": dict.fromkeys(branches, 1.0),
            "numb_steps": STEPS,
            "disp_freq": STEPS,
            "save_freq": STEPS,
            "seed": 1,
        },
    }


@pytest.fixture(scope="module", autouse=True)
def warm(warm_processes: None) -> None:
    """As the service starts them itself: test_metric_prediction.py, and the stories of the whole platform."""


@pytest.fixture
def molecules() -> Callable[..., list[Frame]]:
    return make_molecules


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> SmallModel:
    folder = tmp_path_factory.mktemp("small-model")
    branches = {"silicon": make_molecules(14, 60, seed=1), "carbon": make_molecules(6, 60, seed=2)}
    (folder / "input.json").write_text(json.dumps(recipe(folder, branches)))
    command = [sys.executable, "-m", "deepmd", "--pt", "train", "input.json", "--skip-neighbor-stat"]
    done = subprocess.run(command, cwd=folder, env=os.environ | environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    held_out = {"silicon": make_molecules(14, 40, seed=11), "carbon": make_molecules(6, 40, seed=12)}
    return SmallModel(folder / f"model.ckpt-{STEPS}.pt", held_out)


@pytest.fixture
async def platform(
    service_env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Platform]:
    async with platform_of(service_env, monkeypatch, tmp_path) as found:
        yield found

"""A judged dataset against `dp --pt test` of the same model and frames, in one run.

Metric: everything that the service does between the event and the stored report (fetch, checks of every frame, every
branch, descriptors, coverage, map, tables, pictures), by its own classes and warm processes. `dp test` predicts one
branch and prints errors: once for each branch it does what the metric's predictions are made of. Cold: the command.
Warm: deepmd's own function in a process that has imported it, loaded the model and tested once. With one thread and
with one a core: the faster counts.
"""

import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import demo_data
import numpy as np
import pytest
import reference_model
from contracts.artifacts import MetricReport, ModelManifest
from contracts.base import DatasetRef, LevelOfTheory
from dpa.environment import environment
from frames.frame import Frame
from frames.store import write
from kit.blobs import Blobs
from metric.domain.coverage import KnownBranch
from metric.judging import CurrentModel, Judge, LoadedModel, Task
from metric.prediction import PredictionPool
from metric.settings import MetricSettings
from metric.training_frames import TrainingFrames

ROUNDS = 3
COPIES = 12
CORES = len(os.sched_getaffinity(0))
BRANCHES = tuple(reference_model.BRANCHES)
RMSE = re.compile(r"(Energy RMSE/Natoms|Force\s+RMSE)\s*:\s*([0-9.eE+-]+)")

WARM = """
import json, logging, sys, time
from deepmd.entrypoints.test import test
logging.disable(logging.CRITICAL)
model, system, head, rounds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
seconds = []
for _ in range(1 + rounds):
    started = time.perf_counter()
    test(model=model, system=system, datafile=None, numb_test=0, rand_seed=None, shuffle_test=False, detail_file=None,
         atomic=False, head=head)
    seconds.append(time.perf_counter() - started)
print(json.dumps(seconds[1:]))
"""


def dataset() -> list[Frame]:
    """Real crystals, each many times at another place of its periodic cell: other coordinates, the same labels."""
    rng = np.random.default_rng(1)
    once = [*demo_data.load(demo_data.MORE_SILICON), *demo_data.load(demo_data.SILICON_CARBIDE)]
    frames = []
    for number in range(COPIES):
        for one in once:
            cell = one.cell if one.cell is not None else np.eye(3)
            moved = one.coords + rng.random(3) @ cell
            source = f"{number}-{one.source}"
            frames.append(Frame(one.numbers, moved, one.cell, one.energy, one.forces, one.virial, source, one.index))
    return frames


@dataclass(frozen=True)
class Tested:
    """What deepmd needs for one branch: seconds as a command and as a warm call, errors in meV/Å and meV/atom."""

    cold: float
    warm: float
    force_rmse: float
    energy_rmse: float


def tested(folder: Path, branch: str) -> Tested:
    model, system = folder / "model.pt", folder / "dataset.lmdb"
    cold, warm, said = [], [], ""
    for threads in sorted({1, CORES}):
        variables = os.environ | environment(threads)
        command = [sys.executable, "-m", "deepmd", "--pt", "test", "-m", str(model), "-s", str(system), "-n", "0"]
        started = time.perf_counter()
        done = subprocess.run([*command, "--head", branch], env=variables, capture_output=True, text=True, check=True)
        cold.append(time.perf_counter() - started)
        said = done.stderr + done.stdout
        arguments = [str(model), str(system), branch, str(ROUNDS)]
        done = subprocess.run(
            [sys.executable, "-c", WARM, *arguments], env=variables, capture_output=True, text=True, check=True
        )
        warm.append(statistics.median(json.loads(done.stdout.splitlines()[-1])))
    errors = {name.split()[0]: float(value) for name, value in RMSE.findall(said)}
    return Tested(min(cold), min(warm), 1000 * errors["Force"], 1000 * errors["Energy"])


class Models:
    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    async def current(self) -> CurrentModel | None:
        return self._loaded.model

    async def load(self, _model: CurrentModel) -> LoadedModel:
        return self._loaded


async def judged(folder: Path, frames: Sequence[Frame]) -> tuple[list[float], MetricReport]:
    """Seconds of judging, and the last report; the first time, which learns the model, does not count."""
    blobs = Blobs((folder / "blobs").as_uri())
    work = folder / "work"
    work.mkdir()
    published = await reference_model.publish(blobs, folder)
    manifest = await blobs.get_model(published.key, ModelManifest)
    model = CurrentModel(reference_model.VERSION, published)
    models = Models(
        LoadedModel(model, folder / "model.pt", tuple(map(KnownBranch.of, manifest.branches)), frozenset(), manifest)
    )
    train, held_out = demo_data.parts(list(frames))
    ref = DatasetRef(dataset_id=uuid4(), version=1)
    _, dataset = await reference_model.store_frames(blobs, folder, "bench", ref, train, held_out, LevelOfTheory())
    settings = MetricSettings(blobs_url="file:///unused").run_settings()
    seconds = []
    async with PredictionPool(0, threads=1, timeout_seconds=600) as pool:
        training = TrainingFrames(pool, blobs, work / "training")
        judge = Judge(models, pool, blobs, work, training)
        for number in range(2 + ROUNDS):
            started = time.perf_counter()
            verdict = await judge.judge(Task(uuid4(), dataset, model, settings))
            seconds.append(time.perf_counter() - started)
            if number == 0:
                await asyncio.gather(*pool._ready.values())
    return seconds[2:], verdict.report


def test_a_verdict_against_dp_test(tmp_path: Path) -> None:
    frames = dataset()
    write(tmp_path / "dataset.lmdb", frames)
    shutil.copyfile(reference_model.RELEASE, tmp_path / "model.pt")
    peers = {branch: tested(tmp_path, branch) for branch in BRANCHES}
    seconds, report = asyncio.run(judged(tmp_path, frames))
    mine = statistics.median(seconds)
    assert report.frames_judged == len(frames)
    assert report.novelty is not None
    assert {"map.svg", "novelty.svg", "force-error.png", "parity-force.png"} <= set(report.pictures)
    assert set(report.tables) == {"frames.csv", "frames.parquet"}
    for branch in report.branches:
        assert branch.force_rmse_mev_per_angstrom == pytest.approx(peers[branch.branch].force_rmse, rel=1e-3)

    print(f"\n{len(frames)} frames of 8 atoms, {len(BRANCHES)} branches, on {report.device}, {CORES} core(s)")
    print(f"a verdict with everything, warm: {mine:.2f} s (of {', '.join(f'{one:.2f}' for one in seconds)})")
    for kind in ("cold", "warm"):
        one = statistics.mean(getattr(peer, kind) for peer in peers.values())
        every = sum(getattr(peer, kind) for peer in peers.values())
        print(f"dp test {kind}: {one:.2f} s a branch, {every:.2f} s for all of them")
        print(f"  a verdict is {every / mine:.1f} times as fast; {one / mine:.1f} times if one branch had been enough")

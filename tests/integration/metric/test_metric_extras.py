"""What a report has beyond its verdict: place among training frames, and what the model would gain."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import demo_data
import numpy as np
import pytest
import reference_model
from contracts.artifacts import DatasetManifest, MetricReport
from contracts.base import BlobRef, DatasetRef, LevelOfTheory
from frames.frame import Frame
from kit.blobs import Blobs
from metric.domain.coverage import KnownBranch
from metric.domain.run_settings import Share
from metric.judging import CurrentModel, Judge, LoadedModel, Task
from metric.learning_gain import LearningGains, Trials
from metric.prediction import PredictionPool
from metric.reference import load
from metric.settings import MetricSettings
from metric.training_frames import TrainingFrames

SHARE = Share(per_branch=40, total=1000)


class Models:
    """The reference model, published into the test's storage."""

    def __init__(self, model: CurrentModel, loaded: LoadedModel) -> None:
        self._model, self._loaded = model, loaded

    async def current(self) -> CurrentModel | None:
        return self._model

    async def load(self, _model: CurrentModel) -> LoadedModel:
        return self._loaded


@dataclass
class Bench:
    """A judge with everything that the service gives it, and the storage around it."""

    blobs: Blobs
    folder: Path
    pool: PredictionPool
    model: CurrentModel
    loaded: LoadedModel

    def training(self, work: str = "shared") -> TrainingFrames:
        return TrainingFrames(self.pool, self.blobs, self.folder / work)

    def gains(self, steps: int, seconds: float = 300) -> LearningGains:
        return LearningGains(self.pool, self.blobs, self.folder, Trials(steps, (0.5, 1.0), seconds, 1, 1))

    async def stored(self, frames: list[Frame]) -> BlobRef:
        name = uuid4()
        train, held_out = demo_data.parts(frames)
        ref = DatasetRef(dataset_id=name, version=1)
        _, manifest = await reference_model.store_frames(
            self.blobs, self.folder, str(name), ref, train, held_out, LevelOfTheory()
        )
        return manifest

    async def report(self, frames: list[Frame], gains: LearningGains | None = None) -> MetricReport:
        judge = Judge(Models(self.model, self.loaded), self.pool, self.blobs, self.folder, self.training(), gains)
        settings = MetricSettings(blobs_url="file:///unused", net_force_fail_mev_per_angstrom=50).run_settings()
        task = Task(uuid4(), await self.stored(frames), self.model, replace(settings, share=SHARE))
        return (await judge.judge(task)).report


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    blobs = Blobs((tmp_path / "blobs").as_uri())
    work = tmp_path / "work"
    work.mkdir()
    published = await reference_model.publish(blobs, tmp_path)
    manifest = await blobs.get_model(published.key, type(reference_model.manifest()))
    model = CurrentModel(reference_model.VERSION, published)
    release = work / "release.pt"
    shutil.copyfile(reference_model.RELEASE, release)
    async with PredictionPool(1, threads=1, timeout_seconds=240) as pool:
        yield Bench(
            blobs,
            work,
            pool,
            model,
            LoadedModel(model, release, tuple(map(KnownBranch.of, manifest.branches)), frozenset(), manifest),
        )


async def test_known_and_new_data_are_told_apart_and_placed_on_one_map(bench: Bench) -> None:
    kin = await bench.report(demo_data.load(demo_data.MORE_SILICON))
    new = await bench.report(demo_data.load(demo_data.SILICON_CARBIDE))
    assert kin.novelty is not None
    assert new.novelty is not None
    assert 0.5 < kin.novelty.median < 2
    assert kin.novelty.far_fraction < 0.2
    assert (new.novelty.far_fraction, new.novelty.unknown_element_frames) == (1, 64)
    assert {one.descriptor_distance for one in new.verdicts if one.covered is not None} == {100.0}
    assert kin.map is not None
    assert [(one.split, one.index) for one in kin.map.new] == [
        (one.split, one.index) for one in kin.verdicts if one.descriptor_distance is not None
    ]
    assert len(kin.map.known) == 76
    assert all(point.split is None and point.index is None for point in kin.map.known)
    assert {"map.svg", "novelty.svg"} <= set(kin.pictures)
    again = await bench.report(demo_data.load(demo_data.MORE_SILICON))
    assert (again.map, again.novelty) == (kin.map, kin.novelty)


async def test_workers_learn_a_model_once_and_what_is_gone_is_left_out(bench: Bench) -> None:
    learned, calls = bench.pool.learn, []

    async def counted(*arguments: object, **named: object) -> None:
        calls.append(arguments)
        await learned(*arguments, **named)  # type: ignore[arg-type]

    bench.pool.learn = counted  # type: ignore[method-assign]
    first, second = bench.training(), bench.training()
    (bench.folder / "shared").mkdir()
    (bench.folder / "shared" / "learning-left-by-a-killed-worker").mkdir()
    one, other = await asyncio.gather(first.learned(bench.loaded, SHARE, 1), second.learned(bench.loaded, SHARE, 1))
    assert one == other
    assert len(calls) == 1
    assert one is not None
    whole = load(one)
    assert set(whole.elements) == {1, 8, 14}
    names = sorted(path.suffix for path in (bench.folder / "shared").iterdir())
    assert names == ["", ".lmdb", ".lmdb", ".npz"]

    # The next model was trained on the same data: nothing is fetched again, and a dataset that is gone costs nothing.
    await bench.blobs.delete("datasets/silicon/train.mdb")
    kept = await bench.training().learned(bench.loaded, SHARE, 1)
    assert kept == one
    without = await bench.training(work="elsewhere").learned(bench.loaded, SHARE, 1)
    assert without is not None
    assert set(load(without).elements) == {1, 8}
    await bench.blobs.delete("datasets/water/manifest.json")
    assert await bench.training(work="empty").learned(bench.loaded, SHARE, 1) is None
    assert await bench.training(work="off").learned(bench.loaded, Share(0, 1000), 1) is None


async def test_short_trainings_show_what_the_model_gains(bench: Bench) -> None:
    report = await bench.report(demo_data.load(demo_data.SILICON_CARBIDE), bench.gains(steps=30))
    gain = report.learning_gain
    assert gain is not None
    frames = [point.frames for point in gain.points]
    manifest = await bench.blobs.get_model(
        str(report.dataset_manifest.key if report.dataset_manifest else ""), DatasetManifest
    )
    assert frames == [0, round(manifest.train_frames / 2), manifest.train_frames]
    errors = [point.force_rmse_mev_per_angstrom for point in gain.points]
    assert errors[-1] < 0.9 * errors[0]
    assert all(np.isfinite(point.energy_rmse_mev_per_atom) for point in gain.points)
    assert "learning-gain.svg" in report.pictures
    assert not list(bench.folder.glob("gain-*"))


async def test_a_training_that_fails_or_takes_too_long_costs_the_curve_alone(bench: Bench) -> None:
    frames = demo_data.load(demo_data.MORE_SILICON)
    slow = await bench.report(frames, bench.gains(steps=100_000, seconds=0.5))
    assert slow.learning_gain is None
    assert bench.loaded.manifest is not None
    await bench.blobs.put_bytes(bench.loaded.manifest.recipe.key, b'{"no": "recipe"}')
    failed = await bench.report(frames, bench.gains(steps=2))
    assert failed.learning_gain is None
    assert "learning-gain.svg" not in failed.pictures
    assert failed.coverage == slow.coverage
    off = await bench.report(frames, bench.gains(steps=0))
    assert off.learning_gain is None

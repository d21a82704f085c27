"""The whole service on real PostgreSQL, NATS, gRPC, object storage and deepmd."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from contracts.artifacts import BranchManifest, ModelManifest
from contracts.base import BranchError, DatasetRef, LevelOfTheory
from contracts.events import DatasetMetricNotPassed, DatasetMetricPassed, DatasetMetricStarted
from contracts.registry.v1 import registry_pb2
from frames.frame import Frame
from metric_platform import Environment, Platform, platform_of, publish_model, until


async def test_from_the_first_dataset_to_known_new_and_wrong_ones(
    platform: Platform, small_model: Any, molecules: Callable[..., list[Frame]]
) -> None:
    first = await platform.judged(molecules(14, 30, seed=20))
    assert isinstance(first, DatasetMetricPassed)
    assert (first.model_version, first.nearest_branch, first.coverage) == (None, None, 0)
    report = await platform.report(first)
    assert {name for name in report.pictures if name.endswith(".svg")} == {
        *("energy-distribution.svg", "force-distribution.svg", "elements.svg", "element-pairs.svg")
    }
    assert (report.new_elements, report.new_element_pairs) == (("Si",), ("Si-Si",))
    # Some of these molecules are odd enough to be called suspect; none failed.
    assert len(report.verdicts) == 30
    assert {one.verdict for one in report.verdicts} == {"useful", "suspect"}
    assert all((one.verdict == "suspect") == bool(one.rules) for one in report.verdicts)

    await publish_model(platform, small_model.release, small_model.held_out)
    known = await platform.judged(molecules(14, 30, seed=21))
    assert isinstance(known, DatasetMetricNotPassed)
    assert known.outcome == "covered"
    assert known.coverage >= 0.9
    report = await platform.report(known)
    assert {name for name in report.pictures if name.endswith(".svg")} == {
        *("force-error.svg", "parity-energy.svg", "parity-force.svg", "elements.svg", "element-pairs.svg"),
        *("map.svg", "novelty.svg"),
    }
    assert (report.new_elements, report.new_element_pairs, report.device) == ((), (), "cpu")
    rows = await platform.table(report)
    assert [row["verdict"] for row in rows] == [one.verdict for one in report.verdicts]
    assert {row["nearest_branch"] for row in rows} == {known.nearest_branch}
    assert [row["energy_error_mev_per_atom"] for row in rows] == [
        one.energy_error_mev_per_atom for one in report.verdicts
    ]
    assert {branch.branch for branch in report.branches} == {"silicon", "carbon"}
    # Near is the branch that has met the element, even where the other one happens to be less wrong.
    assert known.nearest_branch == "silicon"
    near = next(branch for branch in report.branches if branch.branch == "silicon")
    assert known.force_rmse_zero_shot_mev_per_angstrom == near.force_rmse_mev_per_angstrom
    assert sum(one.covered is True for one in report.verdicts) == round(known.coverage * 30)
    assert {one.verdict for one in report.verdicts if not one.rules and one.covered} == {"covered"}
    assert report.settings["seed"] == 1
    assert set(report.versions) == {"deepmd-kit", "torch", "numpy", "potluck-metric"}

    wrong = await platform.judged(molecules(14, 30, seed=22, sign=-1.0))
    assert isinstance(wrong, DatasetMetricNotPassed)
    assert wrong.outcome == "not-sound"
    assert "their sign is turned" in wrong.sound.sentence
    slope = (await platform.report(wrong)).force_slope
    assert slope is not None
    assert -2 < slope < -0.5

    germanium = [
        Frame(np.full(4, 32), one.coords, one.cell, one.energy - 40.0, one.forces, None, one.source, one.index)
        for one in molecules(14, 30, seed=23)
    ]
    new = await platform.judged(germanium)
    assert isinstance(new, DatasetMetricPassed)
    assert (new.new_elements, new.coverage) == (("Ge",), 0)
    assert (await platform.report(new)).new_element_pairs == ("Ge-Ge",)
    assert set(new.energy_shift_ev) == {"Ge"}
    assert new.sound.passed
    assert platform.dead == []


async def test_one_verdict_however_often_it_is_delivered_and_retried(
    service_env: Environment,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    molecules: Callable[..., list[Frame]],
) -> None:
    # Before the last try there is time for the manifest to be stored.
    async with platform_of(service_env, monkeypatch, tmp_path, retry_delays="[0.3, 30]") as platform:
        event, manifest = await platform.validated(molecules(14, 10, seed=30), store_manifest=False)
        event_id = uuid4()
        await platform.publish(event, event_id)
        # The first try begins the run and then finds no manifest; what it said is not said again.
        await until(lambda: len(platform.about(event.dataset)) == 1)
        await platform.blobs.put_bytes(event.manifest.key, manifest)
        verdict = await platform.outcome(event.dataset)
        for _ in range(3):
            await platform.publish(event, event_id)
        other = await platform.judged(molecules(14, 10, seed=31))
        await asyncio.sleep(0.5)
        assert platform.about(event.dataset)[1] == verdict
        assert len(platform.about(event.dataset)) == 2
        assert other.run_id != verdict.run_id
        counted = await platform.rows(
            "select outcome, open_tries, count(*)::int as runs from metric.runs group by 1, 2"
        )
        assert counted == [{"outcome": "passed", "open_tries": 0, "runs": 2}]


async def test_a_model_that_does_not_load_gives_a_dead_letter_and_no_verdict(
    platform: Platform, molecules: Callable[..., list[Frame]], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"these bytes are no model")
    await publish_model(platform, broken, {})
    model = await platform.blobs.get_model("models/1.0/manifest.json", ModelManifest)
    trained, _ = await platform.validated(molecules(14, 10, seed=41))
    branch = BranchManifest(
        name="silicon",
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        dataset_manifest=trained.manifest,
        elements=("Si",),
        level_of_theory=LevelOfTheory(),
        weight=1,
        held_out=BranchError(branch="silicon", energy_rmse_mev_per_atom=1, force_rmse_mev_per_angstrom=1),
        held_out_max_force_errors_ev_per_angstrom=(0.1,),
        baseline_energy_rmse_mev_per_atom=1,
        baseline_force_rmse_mev_per_angstrom=1,
    )
    ref = await platform.blobs.put_model("models/1.0/broken.json", model.model_copy(update={"branches": (branch,)}))
    platform.registry.model = registry_pb2.Model(
        version="1.0", manifest=registry_pb2.Artifact(key=ref.key, sha256=ref.sha256, size=ref.size)
    )
    event, _ = await platform.validated(molecules(14, 10, seed=40))
    await platform.publish(event, uuid4())
    await until(lambda: len(platform.dead) == 1)
    headers = platform.dead[0].headers
    assert headers["dead-consumer"] == "metric-dataset-validated"
    assert headers["dead-attempts"] == "3"
    assert "branch silicon" in headers["dead-reason"]
    assert "is not a multi-task deepmd checkpoint" in headers["dead-reason"]
    await asyncio.sleep(0.3)
    assert [type(one) for one in platform.about(event.dataset)] == [DatasetMetricStarted]

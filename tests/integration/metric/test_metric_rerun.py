"""A run can be made again: with its own dataset, model, settings and seed, whatever is current by then."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import demo_data
import pytest
import reference_model
from contracts.artifacts import DatasetManifest, MetricReport, ModelManifest
from contracts.base import DatasetRef
from contracts.registry.v1 import registry_pb2
from frames.frame import Frame
from kit.blobs import Blobs
from metric_platform import Environment, Platform, platform_of


async def publish_reference(platform: Platform, folder: Path, version: str, branches: tuple[str, ...]) -> None:
    """The reference model with some of its branches becomes the newest."""
    folder.mkdir()
    whole = await reference_model.publish(platform.blobs, folder)
    manifest = await platform.blobs.get_model(whole.key, ModelManifest)
    kept = tuple(branch for branch in manifest.branches if branch.name in branches)
    ref = await platform.blobs.put_model(f"models/{version}.json", manifest.model_copy(update={"branches": kept}))
    artifact = registry_pb2.Artifact(key=ref.key, sha256=ref.sha256, size=ref.size)
    platform.registry.model = registry_pb2.Model(version=version, manifest=artifact)


async def test_a_run_is_repeated_with_what_it_was_made_of(
    service_env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("POTLUCK_METRIC_WORK_FOLDER", str(tmp_path / "work"))
    monkeypatch.setenv("POTLUCK_METRIC_MAX_FRAMES", "12")
    monkeypatch.setenv("POTLUCK_METRIC_SEED", "5")
    monkeypatch.setenv("POTLUCK_METRIC_KNOWN_FRAMES_PER_BRANCH", "30")
    monkeypatch.setenv("POTLUCK_METRIC_NET_FORCE_FAIL_MEV_PER_ANGSTROM", "50")
    async with platform_of(service_env, monkeypatch, tmp_path) as then:
        await publish_reference(then, tmp_path / "1.0", "1.0", ("silicon", "water"))
        verdict = await then.judged(demo_data.load(demo_data.MORE_SILICON))
        first = await then.report(verdict)
        stored = await then.rows("select * from metric.runs")
    assert first.nearest_branch == "silicon"
    assert first.map is not None
    assert first.novelty is not None
    # Today: other settings, another model, of which nothing of the first run may show.
    monkeypatch.setenv("POTLUCK_METRIC_MAX_FRAMES", "2000")
    monkeypatch.setenv("POTLUCK_METRIC_SEED", "1")
    monkeypatch.setenv("POTLUCK_METRIC_KNOWN_FRAMES_PER_BRANCH", "0")
    monkeypatch.setenv("POTLUCK_METRIC_FORCE_FAIL_EV_PER_ANGSTROM", "0.001")
    monkeypatch.setenv("POTLUCK_METRIC_FORCE_WARN_EV_PER_ANGSTROM", "0.0005")
    async with platform_of(service_env, monkeypatch, tmp_path) as now:
        await publish_reference(now, tmp_path / "2.0", "2.0", ("water",))
        again = await now.repeated(verdict.run_id, verdict.dataset)
        assert again.repeated
        assert again.same, again
        assert again.sentence == f"The same verdict and the same {again.numbers:,} numbers."
        assert again.numbers > 100
        assert again.outcome_before == again.outcome_after
        assert again.versions_changed == {}
        assert again.report is not None
        report = await now.blobs.get_model(again.report.key, MetricReport)
        assert report.run_id == again.rerun_id
        assert (report.model_version, report.settings, report.seed) == ("1.0", first.settings, 5)
        assert report.frames_judged == first.frames_judged <= 12
        assert report.novelty is not None
        assert report.dataset_manifest == first.dataset_manifest
        assert report.model_manifest == first.model_manifest
        assert [one.verdict for one in report.verdicts] == [one.verdict for one in first.verdicts]
        # The run is as it was, and nobody was told another outcome.
        assert await now.rows("select * from metric.runs") == stored
        assert now.about(verdict.dataset) == []
        kept = await now.rows("select run_id, repeated, same, numbers, differing from metric.reruns")
        assert kept == [
            {"run_id": verdict.run_id, "repeated": True, "same": True, "numbers": again.numbers, "differing": 0}
        ]
        assert now.dead == []


async def test_a_difference_is_told_with_its_numbers(platform: Platform, molecules: Callable[..., list[Frame]]) -> None:
    verdict = await platform.judged(molecules(14, 20, seed=61))
    report = await platform.report(verdict)
    checks = report.checks[0].numbers | {
        "largest_ev_per_angstrom": 2 * report.checks[0].numbers["largest_ev_per_angstrom"]
    }
    altered = report.model_copy(
        update={
            "checks": (report.checks[0].model_copy(update={"numbers": checks}), *report.checks[1:]),
            "versions": report.versions | {"torch": "1.0"},
        }
    )
    ref = await platform.blobs.put_model("metric/altered.json", altered)
    await platform.rows(f"update metric.runs set report = '{ref.model_dump_json()}'")
    again = await platform.repeated(verdict.run_id, verdict.dataset)
    assert again.repeated
    assert not again.same
    assert [one.name for one in again.differences] == ["checks.force-cap.numbers.largest_ev_per_angstrom"]
    assert again.largest_relative_difference == pytest.approx(0.5)
    assert again.sentence.startswith(f"The same verdict; 1 of {again.numbers:,} numbers differ, by up to 50 %: ")
    assert again.versions_changed["torch"].startswith("1.0 → ")
    assert "Changed since: torch (1.0 → " in again.sentence


async def test_what_cannot_be_repeated_is_told_and_is_no_dead_letter(
    platform: Platform, molecules: Callable[..., list[Frame]]
) -> None:
    nobody = await platform.repeated(uuid4(), DatasetRef(dataset_id=uuid4(), version=1))
    assert (nobody.repeated, nobody.same) == (False, False)
    assert nobody.sentence == "There is no metric run with this id."
    assert nobody.report is None
    verdict = await platform.judged(molecules(14, 20, seed=62))
    await Blobs.delete(platform.blobs, verdict.dataset_manifest.key)
    gone = await platform.repeated(verdict.run_id, verdict.dataset)
    assert not gone.repeated
    assert gone.sentence.startswith("What this run was made from is no longer in storage: datasets/")
    await platform.blobs.put_bytes(verdict.report.key, b"{}")
    other = await platform.repeated(verdict.run_id, verdict.dataset)
    assert not other.repeated
    assert "is not what it was" in other.sentence
    await platform.rows("update metric.runs set report = null, outcome = null, finished = null")
    early = await platform.repeated(verdict.run_id, verdict.dataset)
    assert early.sentence == "This run has not finished yet: there is nothing to compare with."
    assert platform.dead == []


async def test_a_repetition_that_fails_on_our_side_holds_up_no_dataset(
    platform: Platform, molecules: Callable[..., list[Frame]], tmp_path: Path
) -> None:
    verdict = await platform.judged(molecules(14, 20, seed=63))
    manifest = await platform.blobs.get_model(verdict.dataset_manifest.key, DatasetManifest)
    # As if a disk had eaten it after the run, in a way that its hash does not tell: no dataset, but the bytes named.
    no_lmdb = await platform.blobs.put_bytes("datasets/eaten.mdb", b"no LMDB at all")
    eaten = await platform.blobs.put_model("datasets/eaten.json", manifest.model_copy(update={"held_out": no_lmdb}))
    await platform.rows(f"update metric.runs set dataset_manifest = '{eaten.model_dump_json()}'")
    failed = await platform.repeated(verdict.run_id, verdict.dataset)
    assert not failed.repeated
    assert failed.sentence.startswith("The run could not be repeated, which is on our side, in 3 tries: ")
    assert platform.dead == []

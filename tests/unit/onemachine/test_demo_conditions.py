"""The demo believes nothing: each promise that is broken is found, with what there is instead."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from onemachine.demo import record
from onemachine.demo.conditions import judge
from onemachine.demo.outcome import Outcome
from potluck.resources import (
    Dataset,
    Message,
    Metric,
    Model,
    ModelFile,
    Reading,
    SetAside,
    TrainedDataset,
    Training,
)


def dataset(label: str, **more: object) -> Dataset:
    return Dataset(id=f"id-{label}", name=f"name of {label}", authors=("demo contributor",), **more)  # type: ignore[arg-type]


def metric(coverage: float, force: float) -> Metric:
    return Metric(
        coverage=coverage,
        model_version="1.0",
        force_rmse_zero_shot_mev_per_angstrom=force,
        pictures={"parity-force.svg": "/pictures/parity-force.svg"},
    )


def aside(path: str) -> SetAside:
    return SetAside(path=path, rule="unreadable", reason="ends early", remedy="run it again")


@pytest.fixture
def good() -> Outcome:
    """A demo in which everything came true."""
    training = Training(round_id="r", force_rmse_after_mev_per_angstrom=404.0)
    reading = Reading(
        format="qe/pw/scf",
        frames=22,
        train_frames=17,
        held_out_frames=5,
        set_aside_count=2,
        set_aside=(aside("si-damaged/frame.0053/scf.out"), aside("si-damaged/frame.0059/scf.out")),
    )
    files = tuple(
        ModelFile(name=name, kind=kind, size=1, sha256="0" * 64, url="/file")
        for name, kind in (("dpa.pt", "checkpoint"), ("sic.pth", "frozen"))
    )
    rows = (TrainedDataset(id="id-base", name="Silicon"), TrainedDataset(id="id-a", name="name of a", new=True))
    return Outcome(
        datasets={
            "a": dataset(
                "a", stage="done", state="published", verdict="passed", model="1.1",
                metric=metric(0.0, 1971.0), training=training,
            ),
            "b": dataset("b", stage="done", state="not-passed", verdict="covered", metric=metric(0.96, 141.0)),
            "c": dataset(
                "c", stage="done", state="not-passed", verdict="covered", metric=metric(0.95, 141.0), ingest=reading
            ),
            "d": dataset(
                "d", stage="done", state="rejected", verdict="rejected", message=Message(reason="none", remedy="add")
            ),
        },
        models=(
            Model(version="1.1", parent="1.0", datasets=rows, contributors=("demo contributor",), files=files),
            Model(version="1.0"),
        ),
        listed=frozenset({"id-a", "id-b", "id-c", "id-d"}),
        pictures={"b": {"parity-force.svg": b"<svg/>"}},
        downloaded=(Path("dpa.pt"), Path("sic.pth")),
        timings={"total_seconds": 300.0},
    )  # fmt: skip


def broken(outcome: Outcome) -> list[str]:
    return [f"{one.label}: {one.promise}: {one.found}" for one in judge(outcome) if not one.kept]


def test_a_good_demo_keeps_every_promise(good: Outcome) -> None:
    assert broken(good) == []
    assert {one.label for one in judge(good)} == {"a", "b", "c", "d"}


def test_a_contribution_that_never_came_is_a_broken_promise(good: Outcome) -> None:
    del good.datasets["d"]
    assert broken(good) == ["d: it was contributed: it never was"]


def test_a_model_that_was_withheld(good: Outcome) -> None:
    good.datasets["a"] = replace(good.datasets["a"], state="withheld", model=None)
    good.models = good.models[1:]
    assert broken(good) == [
        "a: model 1.1 is published with it: state withheld, model None",
        "a: model 1.1 is in the list: there are 1.0",
    ]


def test_an_error_that_did_not_halve(good: Outcome) -> None:
    training = Training(round_id="r", force_rmse_after_mev_per_angstrom=1000.0)
    good.datasets["a"] = replace(good.datasets["a"], training=training)
    assert broken(good) == ["a: force RMSE at least halved: 1971.0 → 1000.0 meV/Å"]


def test_a_model_of_other_parents_datasets_and_people(good: Outcome) -> None:
    stranger = TrainedDataset(id="id-x", name="x", new=True)
    good.models = (replace(good.models[0], parent=None, datasets=(stranger,), contributors=()),)
    assert broken(good) == [
        "a: it grew from 1.0: its parent is None",
        "a: it is linked to the dataset: its new datasets are {'id-x'}",
        "a: and to its contributor: its contributors are ()",
    ]


def test_files_that_did_not_arrive(good: Outcome) -> None:
    good.downloaded = good.downloaded[:1]
    assert broken(good) == ["a: they download with the right SHA-256: missing: {'sic.pth'}"]


def test_covered_data_without_pictures_or_entry(good: Outcome) -> None:
    good.pictures = {"b": {"parity-force.svg": b""}}
    good.listed = frozenset()
    assert [line.split(":")[1].strip() for line in broken(good)] == ["with pictures", "an entry all the same"]


def test_known_data_that_passed(good: Outcome) -> None:
    good.datasets["b"] = replace(good.datasets["b"], state="passed", verdict="passed", metric=metric(0.7, 300.0))
    assert broken(good) == [
        "b: not passed: covered: state passed, verdict passed",
        "b: by at least 90 %: coverage 0.7",
    ]


def test_damage_that_was_not_found_and_more_than_there_was(good: Outcome) -> None:
    reading = good.datasets["c"].ingest
    assert reading is not None
    other = (reading.set_aside[0], aside("si-damaged/frame.0060/scf.out"))
    good.datasets["c"] = replace(good.datasets["c"], ingest=replace(reading, set_aside=other, set_aside_count=3))
    found = broken(good)
    assert [line.split(":")[1].strip() for line in found] == [
        "the NaN force is set aside by path and reason",
        "nothing else is",
    ]


def test_a_rejection_that_does_not_say_what_to_do(good: Outcome) -> None:
    good.datasets["d"] = replace(good.datasets["d"], message=Message(reason="nothing found"))
    assert [line.split(":")[1].strip() for line in broken(good)] == ["with a message that says what to do"]


def test_the_report_has_the_promised_keys(good: Outcome, tmp_path: Path) -> None:
    record.write(good, tmp_path / "new" / "demo-report.json")
    report = json.loads((tmp_path / "new" / "demo-report.json").read_text())
    assert set(report) == {"contributions", "models", "timings"}
    assert report["contributions"][0] == {
        "name": "name of a",
        "stage": "done",
        "verdict": "passed",
        "coverage": 0.0,
        "force_rmse_zero_shot_mev_per_angstrom": 1971.0,
        "force_rmse_after_mev_per_angstrom": 404.0,
        "model": "1.1",
    }
    assert [one["verdict"] for one in report["contributions"]] == ["passed", "covered", "covered", "rejected"]
    assert report["models"][0] == {
        "version": "1.1",
        "parent": "1.0",
        "datasets": ["Silicon", "name of a"],
        "contributors": ["demo contributor"],
        "files": [{"name": name, "size": 1, "sha256": "0" * 64} for name in ("dpa.pt", "sic.pth")],
    }

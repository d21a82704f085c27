"""Trying a version on a structure of one's own, in a browser; the test speaks for ingest and metric."""

import re
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from accessible import violations
from contracts import keys
from contracts.artifacts import PreviewStructure, StructurePrediction
from contracts.events import PredictionFinished, PredictionRefused
from open_versions import version_events
from playwright.sync_api import Page, expect

XYZ = "2\n\nSi 0 0 0\nC 0 0 1.89\n"


@pytest.fixture
def version(platform: Any, contribution: Callable[..., Any]) -> str:
    dataset = contribution("Silicon carbide to try").validated().checking().passed().reaches("passed")
    events = version_events(platform.wait, platform.blobs, dataset.ref, "8.1", None, 0.3, dataset.credit.title)
    platform.say(*events)
    for _ in range(600):
        if platform.ask("GET", "/api/v1/models/8.1").status_code == 200:
            return "8.1"
        time.sleep(0.1)
    raise AssertionError("the version is not there")


def result(covered: bool) -> StructurePrediction:
    return StructurePrediction(
        model_version="8.1",
        branch="sic",
        structure=PreviewStructure(symbols=("Si", "C"), positions=((0, 0, 0), (0, 0, 1.89)), cell=None),
        energy_ev=-45.5,
        forces_ev_per_angstrom=((0, 0, 0.5), (0, 0, -0.5)),
        max_force_ev_per_angstrom=0.5,
        covered=covered,
        unknown_elements=(),
        distance=1.0 if covered else 7.5,
        far_above=2.0,
        expected_force_rmse_mev_per_angstrom=404,
    )


def sent(page: Page) -> UUID:
    """Predict, and the id in the address that comes back."""
    page.get_by_role("region", name="Try it").get_by_role("button", name="Predict").click()
    page.wait_for_url(re.compile("prediction="))
    return UUID(page.url.partition("prediction=")[2][:36])


def answer(platform: Any, prediction_id: UUID, told: StructurePrediction) -> None:
    ref = platform.wait(platform.blobs.put_model(keys.prediction_file(prediction_id, "result.json"), told))
    platform.say(PredictionFinished(prediction_id=prediction_id, result=ref))


@pytest.mark.parametrize("covered", [True, False])
def test_a_pasted_structure_waits_and_is_predicted(page: Page, platform: Any, version: str, covered: bool) -> None:
    page.goto(f"/models/{version}?lang=en")
    section = page.get_by_role("region", name="Try it")
    section.get_by_label("A structure POSCAR").fill(XYZ)
    section.get_by_label("Branch").select_option("sic")
    prediction_id = sent(page)
    expect(section.get_by_role("status")).to_contain_text("in the line")
    answer(platform, prediction_id, result(covered))
    expected = "Covered: branch sic" if covered else "It lies 7.50 times as far"
    expect(section.get_by_role("status")).to_contain_text(expected)
    expect(section).to_contain_text("-45.5000")
    expect(section.locator("canvas")).to_be_visible()
    section.get_by_text("Forces on every atom").click()
    expect(section.get_by_role("row").filter(has_text="C 2")).to_contain_text("-0.5000")
    assert violations(page, within="#try") == {}


def test_a_file_that_is_no_structure_is_refused_in_chinese(page: Page, platform: Any, version: str) -> None:
    page.goto(f"/models/{version}?lang=zh")
    section = page.get_by_role("region", name="试一试")
    section.get_by_label("或文件").set_input_files(
        {"name": "POSCAR", "mimeType": "text/plain", "buffer": b"Dear all,\n"}
    )
    section.get_by_role("button", name="预测").click()
    page.wait_for_url(re.compile("prediction="))
    prediction_id = UUID(page.url.partition("prediction=")[2][:36])
    reason = "This is no structure in a format that is read here."
    remedy = "Send one structure as POSCAR, CIF, xyz or extended xyz."
    platform.say(PredictionRefused(prediction_id=prediction_id, reason=reason, remedy=remedy))
    expect(section.get_by_role("status")).to_contain_text("这不是此处可读格式的结构。")
    expect(section.get_by_role("status")).to_contain_text("请以 POSCAR")

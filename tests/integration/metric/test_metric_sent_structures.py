"""Structures of strangers, predicted by the service with a model that truly learned silicon and water."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import reference_model
from contracts.artifacts import ModelManifest, PreviewStructure, StructurePrediction
from contracts.base import BlobRef
from contracts.registry.v1 import registry_pb2
from dpa.predictor import Predictor
from frames.frame import Frame
from metric_platform import Environment, Platform, platform_of


def preview(frame: Frame, symbols: tuple[str, ...] | None = None, scale: float = 1.0) -> PreviewStructure:
    assert frame.cell is not None
    return PreviewStructure.model_validate(
        {
            "symbols": symbols or tuple(frame.symbols),
            "positions": (scale * frame.coords).tolist(),
            "cell": (scale * frame.cell).tolist(),
        }
    )


async def publish_reference(platform: Platform, folder: Path) -> None:
    ref = await reference_model.publish(platform.blobs, folder)
    manifest = await platform.blobs.get_model(ref.key, ModelManifest)
    assert {one.name for one in manifest.branches} == {"silicon", "water"}
    artifact = registry_pb2.Artifact(key=ref.key, sha256=ref.sha256, size=ref.size)
    platform.registry.model = registry_pb2.Model(version="1.0", manifest=artifact)


@pytest.fixture
def environment(service_env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., object]:
    monkeypatch.setenv("POTLUCK_METRIC_WORK_FOLDER", str(tmp_path / "work"))
    monkeypatch.setenv("POTLUCK_METRIC_KNOWN_FRAMES_PER_BRANCH", "30")
    return service_env


async def test_what_is_known_is_covered_and_what_is_not_is_a_guess(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silicon = reference_model.held_out_frames("silicon")[0]
    async with platform_of(environment, monkeypatch, tmp_path) as platform:
        await publish_reference(platform, tmp_path)

        async def result(structure: PreviewStructure, *branches: str) -> StructurePrediction:
            answer = await platform.predicted(structure, branches or ("silicon", "water"))
            assert answer.result is not None, answer
            assert answer.result.key == f"predictions/{answer.prediction_id}/result.json"
            return await platform.blobs.get_model(answer.result.key, StructurePrediction)

        known = await result(preview(silicon))
        expected = Predictor(reference_model.RELEASE, "silicon").predict([silicon])
        assert (known.branch, known.model_version, known.unknown_elements) == ("silicon", "1.0", ())
        assert known.energy_ev == pytest.approx(expected.energy[0], abs=1e-3)
        np.testing.assert_allclose(known.forces_ev_per_angstrom, expected.forces[0], atol=1e-3)
        assert known.max_force_ev_per_angstrom == pytest.approx(
            np.linalg.norm(expected.forces[0], axis=1).max(), abs=1e-3
        )
        assert known.covered
        assert known.distance is not None
        assert known.far_above is not None
        assert known.distance <= known.far_above
        # Its elements are known, and its density is nobody's.
        far = await result(preview(silicon, scale=0.8))
        assert (far.covered, far.unknown_elements) == (False, ())
        assert far.distance is not None
        assert far.distance > known.distance
        # An element that no branch has seen; and the one that was asked for answers, whatever it knows.
        iron = await result(preview(silicon, ("Fe", *silicon.symbols[1:])))
        assert (iron.covered, iron.branch, iron.unknown_elements) == (False, "silicon", ("Fe",))
        water = await result(preview(silicon), "water")
        assert (water.covered, water.branch, water.unknown_elements) == (False, "water", ("Si",))


async def test_what_cannot_be_predicted_is_told_in_words(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silicon = preview(reference_model.held_out_frames("silicon")[0])
    overlapping = silicon.model_copy(update={"positions": (silicon.positions[1], *silicon.positions[1:])})
    gone = BlobRef(key="predictions/x/structure.json", sha256="0" * 64, size=1)
    async with platform_of(environment, monkeypatch, tmp_path) as platform:
        await publish_reference(platform, tmp_path)
        said = [
            await platform.predicted(overlapping, ("silicon",)),
            await platform.predicted(silicon, ("silicon",), version="9.9"),
            await platform.predicted(silicon, ("nobody",)),
            await platform.predicted(gone, ("silicon",)),
        ]
        assert [one.result for one in said] == [None] * 4
        assert [one.reason for one in said] == [
            "Atoms Si 1 and Si 2 overlap: they are 0.00 Å apart.",
            "There is no version 9.9 any more.",
            "This version has no such branch.",
            "It is not stored any more.",
        ]
        assert all(one.remedy for one in said)
        # A model whose manifest is gone is our fault: after the last try whoever waits is told so.
        artifact = registry_pb2.Artifact(key="models/2.0/manifest.json", sha256="0" * 64, size=1)
        platform.registry.model = registry_pb2.Model(version="2.0", manifest=artifact)
        lost = await platform.predicted(silicon, ("silicon",), version="2.0")
        assert lost.reason == "It could not be predicted, which is on our side."
        assert platform.dead == []

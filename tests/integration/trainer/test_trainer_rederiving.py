"""`python -m trainer verify`: an operator derives a version again from storage, private branches too."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import reference_model
from contracts.artifacts import ModelManifest
from contracts.base import BlobRef
from contracts.registry.v1 import registry_pb2 as pb
from contracts.registry.v1 import registry_pb2_grpc
from contracts.standard import StandardDataset
from kit.blobs import Blobs
from kit.rpc import ServiceEntry, serve
from published_model import manifest, platform, standard_of
from pydantic import SecretStr
from trainer import command

TOKEN = SecretStr("query-token")


class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """Has one model."""

    def __init__(self, model: pb.Model) -> None:
        self.model = model

    async def GetModel(self, request: pb.GetModelRequest, context: Any) -> pb.GetModelResponse:
        if request.version_or_alias != "1.0":
            await context.abort(grpc.StatusCode.NOT_FOUND, f"there is no model {request.version_or_alias!r}")
        return pb.GetModelResponse(model=self.model)


@dataclass
class Stored:
    blobs: Blobs
    manifest: ModelManifest
    registry: Registry

    async def tell(self, told: ModelManifest) -> None:
        """The registry's manifest is this one now."""
        stored = await self.blobs.put_model("models/1.0/manifest-full.json", told)
        self.registry.model.manifest.CopyFrom(artifact(stored))


def artifact(ref: BlobRef) -> pb.Artifact:
    return pb.Artifact(key=ref.key, sha256=ref.sha256, size=ref.size)


@pytest.fixture
async def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stored]:
    """The reference model as it lies in storage, its water private; a registry that answers."""
    url = (tmp_path / "blobs").as_uri()
    blobs = Blobs(url)
    published = json.loads(platform(tmp_path, ("water",), standard=True).files["manifest.json"][1])
    branches = []
    for one in manifest().branches:
        dataset, ref = await reference_model.store_dataset(blobs, tmp_path / "datasets", one.name)
        branches.append(one.model_copy(update={"dataset_manifest": ref, "content_sha256": dataset.content_sha256}))
    release = await blobs.put_file("models/1.0/model.pt", reference_model.RELEASE)
    standard, _ = standard_of(manifest(), ("water",))
    content = await blobs.put_model("standard/1/content.json", standard)
    told = manifest().model_copy(update={"branches": tuple(branches), "release": release, "standard_dataset": content})
    public = await blobs.put_bytes("models/1.0/manifest.json", json.dumps(published).encode())
    files = [
        pb.ModelFile(name="model.pt", kind="checkpoint", artifact=artifact(release)),
        pb.ModelFile(name="manifest.json", kind="manifest", artifact=artifact(public)),
    ]
    registry = Registry(pb.Model(version="1.0", files=files))  # type: ignore[abstract]
    found = Stored(blobs, told, registry)
    await found.tell(told)
    entry = ServiceEntry(
        registry_pb2_grpc.add_RegistryServiceServicer_to_server,
        registry,
        "contracts.registry.v1.RegistryService",
        TOKEN,
    )
    async with serve("127.0.0.1:0", [entry], grace_seconds=0.1) as port:
        monkeypatch.setenv("POTLUCK_TRAINER_REGISTRY_ADDRESS", f"127.0.0.1:{port}")
        monkeypatch.setenv("POTLUCK_TRAINER_QUERY_TOKEN", TOKEN.get_secret_value())
        monkeypatch.setenv("POTLUCK_TRAINER_BLOBS_URL", url)
        yield found


async def verify(version: str = "1.0") -> dict[str, str]:
    """What → state."""
    _, findings = await command._verified(command.VerifySettings(), version)
    return {one.what: one.state for one in findings}


async def test_every_branch_comes_out_again_private_ones_too(stored: Stored) -> None:
    found = await verify()
    assert set(found.values()) == {"matches"}
    assert {
        "file model.pt",
        "file manifest-full.json",
        "water.force_rmse_mev_per_angstrom",
        "water.content",
        "silicon.baseline_energy_rmse_mev_per_atom",
        "public.water.energy_rmse_mev_per_atom",
        "water.baseline_element_energies_ev.O",
        "standard.water.force_rmse_mev_per_angstrom",
        "standard.silicon.baseline_energy_rmse_mev_per_atom",
        "score_held_out",
        "standard_score",
    } <= set(found)


async def test_a_number_that_was_never_measured_is_seen(stored: Stored) -> None:
    water = stored.manifest.branches[1]
    better = water.held_out.model_copy(
        update={"force_rmse_mev_per_angstrom": 0.9 * water.held_out.force_rmse_mev_per_angstrom}
    )
    branches = (stored.manifest.branches[0], water.model_copy(update={"held_out": better}))
    await stored.tell(stored.manifest.model_copy(update={"branches": branches}))
    found = await verify()
    assert found["water.force_rmse_mev_per_angstrom"] == "differs"
    assert found["public.water.force_rmse_mev_per_angstrom"] == "differs"
    assert found["silicon.force_rmse_mev_per_angstrom"] == "matches"


async def test_another_standard_dataset_than_the_one_that_was_scored_on_is_seen(stored: Stored) -> None:
    content = stored.manifest.standard_dataset
    assert content is not None
    standard = await stored.blobs.get_model(content.key, StandardDataset)
    water = standard.branches[1]
    others = water.model_copy(update={"frames": (*water.frames[:-1], "f" * 64)})
    changed = standard.model_copy(update={"branches": (standard.branches[0], others)})
    other = await stored.blobs.put_model("standard/1/other.json", changed)
    await stored.tell(stored.manifest.model_copy(update={"standard_dataset": other}))
    found = await verify()
    assert found["standard.water.frames"] == "differs"
    assert found["standard.silicon.frames"] == "matches"
    assert found["standard_score"] == "not-rederived"


async def test_without_word_of_the_standard_dataset_its_score_is_not_derived(stored: Stored) -> None:
    await stored.tell(stored.manifest.model_copy(update={"standard_dataset": None}))
    found = await verify()
    assert found["standard.frames"] == found["standard_score"] == "not-rederived"
    assert found["score_held_out"] == "matches"


async def test_what_is_gone_or_changed_in_storage_is_told(stored: Stored) -> None:
    await stored.blobs.delete("datasets/water/held-out.mdb")
    await stored.blobs.put_bytes("models/1.0/model.pt", b"other bytes")
    found = await verify()
    assert found["water.held-out frames"] == "not-rederived"
    assert found["file model.pt"] == "differs"
    assert found["score_held_out"] == "not-rederived"


async def test_an_unknown_version_is_no_fault_of_the_model(stored: Stored) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="there is no model"):
        await verify("9.9")


def test_the_command_ends_with_its_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("REGISTRY_ADDRESS", "BLOBS_URL"):
        monkeypatch.delenv(f"POTLUCK_TRAINER_{name}", raising=False)
    assert command.main(["verify", "1.0"]) == 2
    assert "POTLUCK_TRAINER_REGISTRY_ADDRESS" in capsys.readouterr().err
    monkeypatch.setenv("POTLUCK_TRAINER_REGISTRY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("POTLUCK_TRAINER_BLOBS_URL", tmp_path.as_uri())
    monkeypatch.setenv("POTLUCK_TRAINER_DEADLINE_SECONDS", "1")
    assert command.main(["verify", "1.0"]) == 3

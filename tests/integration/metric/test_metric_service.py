"""The whole service on real PostgreSQL, NATS, gRPC, object storage and deepmd."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import numpy as np
import pytest
from contracts.artifacts import BranchManifest, DatasetManifest, Histogram, MetricReport, ModelManifest
from contracts.base import BlobRef, BranchError, Credit, DatasetRef, LevelOfTheory, RuleResult
from contracts.envelope import Attributes, Event, to_headers
from contracts.events import (
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetMetricStarted,
    DatasetValidated,
)
from contracts.registry.v1 import registry_pb2, registry_pb2_grpc
from contracts.topology import EVENT_STREAM
from frames.errors import force_rmse, max_force_error
from frames.frame import Frame
from frames.store import DATA_FILE, write
from kit.blobs import Blobs
from kit.bus import Delivery, Raw, connect
from kit.rpc import ServiceEntry, serve
from kit.service import Foundation, running
from kit.settings import ServiceSettings, service_config
from metric.app import build
from metric.prediction import PredictionProcess
from metric.settings import MetricSettings
from pydantic import SecretStr

Environment = Callable[[str], dict[str, str]]
TOKEN = SecretStr("token-of-the-tests")
FLAT = Histogram(edges=(0.0, 1.0, 2.0), counts=(1, 2))


class GatewayLike(ServiceSettings):
    model_config = service_config("gateway")


class IngestLike(ServiceSettings):
    model_config = service_config("ingest")


class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """Has one model or none."""

    def __init__(self) -> None:
        self.model: registry_pb2.Model | None = None

    async def GetModel(self, request: registry_pb2.GetModelRequest, context: Any) -> registry_pb2.GetModelResponse:
        assert request.version_or_alias == "latest"
        if self.model is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no model yet")
        return registry_pb2.GetModelResponse(model=self.model)


@dataclass
class Platform:
    """The metric service as its neighbours see it."""

    registry: Registry
    blobs: Blobs
    base: Foundation[MetricSettings]
    publish: Callable[[Event, UUID], Any]
    folder: Path
    seen: list[Event] = field(default_factory=list)
    dead: list[Raw] = field(default_factory=list)

    async def validated(self, frames: list[Frame], store_manifest: bool = True) -> tuple[DatasetValidated, bytes]:
        """What ingest would have said of these frames, and its manifest; every fifth frame is held out."""
        ref = DatasetRef(dataset_id=uuid4(), version=1)
        splits = {"train": [f for k, f in enumerate(frames) if k % 5], "held-out": frames[::5]}
        blobs = {}
        for name, part in splits.items():
            path = self.folder / f"{ref.dataset_id}-{name}.lmdb"
            write(path, part)
            blobs[name] = await self.blobs.put_file(f"datasets/{ref.dataset_id}/{name}.mdb", path / DATA_FILE)
        symbols = tuple(sorted({symbol for frame in frames for symbol in frame.symbols}))
        manifest = DatasetManifest(
            dataset=ref,
            content_sha256="0" * 64,
            train=blobs["train"],
            held_out=blobs["held-out"],
            frames=len(frames),
            train_frames=len(splits["train"]),
            held_out_frames=len(splits["held-out"]),
            duplicate_frames=0,
            atoms=sum(frame.natoms for frame in frames),
            elements=symbols,
            compositions=(),
            has_virial=False,
            level_of_theory=LevelOfTheory(),
            format="extxyz",
            set_aside=(),
            energy_per_atom_ev=FLAT,
            force_component_ev_per_angstrom=FLAT,
            preview=(),
            versions={},
        )
        body = manifest.model_dump_json().encode()
        stored = BlobRef(
            key=f"datasets/{ref.dataset_id}/manifest.json", sha256=hashlib.sha256(body).hexdigest(), size=len(body)
        )
        if store_manifest:
            await self.blobs.put_bytes(stored.key, body)
        event = DatasetValidated(
            dataset=ref,
            credit=Credit(title="Molecules", authors=("demo contributor",), licence="CC-BY-4.0", private=False),
            manifest=stored,
            content_sha256="0" * 64,
            format="extxyz",
            frames=len(frames),
            train_frames=len(splits["train"]),
            held_out_frames=len(splits["held-out"]),
            duplicate_frames=0,
            elements=symbols,
            has_virial=False,
            level_of_theory=LevelOfTheory(),
            set_aside_count=0,
            set_aside=(),
        )
        return event, body

    def about(self, ref: DatasetRef) -> list[Event]:
        """What the metric said of it."""
        kinds = (DatasetMetricStarted, DatasetMetricPassed, DatasetMetricNotPassed)
        return [event for event in self.seen if isinstance(event, kinds) and event.dataset == ref]

    async def outcome(self, ref: DatasetRef) -> DatasetMetricPassed | DatasetMetricNotPassed:
        """The verdict, when it is there; it is preceded by exactly one start."""
        await until(lambda: any(hasattr(event, "report") for event in self.about(ref)))
        started, verdict = self.about(ref)
        assert isinstance(started, DatasetMetricStarted)
        assert isinstance(verdict, DatasetMetricPassed | DatasetMetricNotPassed)
        assert (started.run_id, started.model_version) == (verdict.run_id, verdict.model_version)
        return verdict

    async def judged(self, frames: list[Frame]) -> DatasetMetricPassed | DatasetMetricNotPassed:
        event, _ = await self.validated(frames)
        await self.publish(event, uuid4())
        return await self.outcome(event.dataset)

    async def report(self, verdict: DatasetMetricPassed | DatasetMetricNotPassed) -> MetricReport:
        report = await self.blobs.get_model(verdict.report.key, MetricReport)
        for name, ref in report.pictures.items():
            data = await self.blobs.get_bytes(ref.key)
            assert name.endswith(".svg")
            assert data.startswith(b"<svg")
            assert hashlib.sha256(data).hexdigest() == ref.sha256
        return report


async def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.fixture
async def platform(
    service_env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Platform]:
    for name in ("metric", "gateway", "ingest"):
        for key, value in service_env(name).items():
            monkeypatch.setenv(key, value)
    monkeypatch.setenv("POTLUCK_METRIC_RETRY_DELAYS_SECONDS", "[0.3]")
    monkeypatch.setenv("POTLUCK_METRIC_MAX_ATTEMPTS", "3")
    # Its other calls answer UNIMPLEMENTED, as the generated base class does.
    registry = Registry()  # type: ignore[abstract]
    entry = ServiceEntry(
        registry_pb2_grpc.add_RegistryServiceServicer_to_server,
        registry,
        registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name,
        TOKEN,
    )
    client = await connect(IngestLike(), "ingest")

    async def publish(event: Event, event_id: UUID) -> None:
        """As ingest does, but a repeated event reaches JetStream as a new message."""
        attributes = Attributes(
            id=event_id, type=event.ce_type(), source="potluck/ingest", subject=event.about(), time=datetime.now(UTC)
        )
        headers = to_headers(attributes) | {"Nats-Msg-Id": str(uuid4())}
        await client.jetstream().publish(event.nats_subject, event.body(), stream=EVENT_STREAM, headers=headers)

    async with serve("127.0.0.1:0", [entry]) as port:
        monkeypatch.setenv("POTLUCK_METRIC_REGISTRY_ADDRESS", f"127.0.0.1:{port}")
        monkeypatch.setenv("POTLUCK_METRIC_REGISTRY_TOKEN", TOKEN.get_secret_value())
        async with running("metric", MetricSettings(), build) as base:
            found = Platform(registry, base.blobs, base, publish, tmp_path)

            @asynccontextmanager
            async def listen(_settings: GatewayLike, gateway: Foundation[GatewayLike]) -> AsyncIterator[None]:
                async def on_event(event: Event, _delivery: Delivery) -> None:
                    found.seen.append(event)

                async def on_dead(raw: Raw) -> None:
                    found.dead.append(raw)

                gateway.bus.consume("gateway-events", on_event)
                gateway.bus.consume_raw("gateway-dead-letters", on_dead)
                yield

            async with running("gateway", GatewayLike(), listen):
                yield found
    await client.close()


async def publish_model(
    platform: Platform, release: Path, held_out: dict[str, list[Frame]], version: str = "1.0"
) -> None:
    """What registry and trainer leave behind: release and manifest in storage, the version in the registry."""
    blob = await platform.blobs.put_file(f"models/{version}/model.pt", release)
    branches = []
    async with PredictionProcess(threads=1, timeout_seconds=240) as predictions:
        for name, frames in held_out.items():
            predicted = await predictions.predict(release, name, frames)
            reference = [frame.forces for frame in frames]
            errors = max_force_error(predicted.forces, reference)
            rmse = 1000 * force_rmse(predicted.forces, reference)
            branches.append(
                BranchManifest(
                    name=name,
                    dataset=DatasetRef(dataset_id=uuid4(), version=1),
                    dataset_manifest=blob,
                    elements=tuple(sorted(set(frames[0].symbols))),
                    level_of_theory=LevelOfTheory(),
                    weight=0.5,
                    held_out=BranchError(branch=name, energy_rmse_mev_per_atom=1, force_rmse_mev_per_angstrom=rmse),
                    held_out_max_force_errors_ev_per_angstrom=tuple(map(float, errors)),
                    baseline_energy_rmse_mev_per_atom=1,
                    baseline_force_rmse_mev_per_angstrom=1,
                )
            )
    manifest = ModelManifest(
        round_id=uuid4(),
        parent_version=None,
        preset="smoke",
        checkpoint=blob,
        release=blob,
        frozen={},
        recipe=blob,
        branches=tuple(branches),
        new_branches=tuple(held_out),
        zero_shot=(),
        parent_held_out=(),
        verification=RuleResult(rule="loads", passed=True, sentence="Loads."),
        steps=1,
        wall_seconds=1,
        versions={},
    )
    ref = await platform.blobs.put_model(f"models/{version}/manifest.json", manifest)
    artifact = registry_pb2.Artifact(key=ref.key, sha256=ref.sha256, size=ref.size)
    platform.registry.model = registry_pb2.Model(version=version, manifest=artifact)


async def test_from_the_first_dataset_to_known_new_and_wrong_ones(
    platform: Platform, small_model: Any, molecules: Callable[..., list[Frame]]
) -> None:
    first = await platform.judged(molecules(14, 30, seed=20))
    assert isinstance(first, DatasetMetricPassed)
    assert (first.model_version, first.nearest_branch, first.coverage) == (None, None, 0)
    report = await platform.report(first)
    assert sorted(report.pictures) == ["energy-distribution.svg", "force-distribution.svg"]
    assert [one.verdict for one in report.verdicts] == ["useful"] * 30

    await publish_model(platform, small_model.release, small_model.held_out)
    known = await platform.judged(molecules(14, 30, seed=21))
    assert isinstance(known, DatasetMetricNotPassed)
    assert known.outcome == "covered"
    assert known.coverage >= 0.9
    report = await platform.report(known)
    assert sorted(report.pictures) == ["force-error.svg", "parity-energy.svg", "parity-force.svg"]
    assert {branch.branch for branch in report.branches} == {"silicon", "carbon"}
    smallest = min(report.branches, key=lambda branch: branch.force_rmse_mev_per_angstrom)
    assert known.nearest_branch == smallest.branch
    assert known.force_rmse_zero_shot_mev_per_angstrom == smallest.force_rmse_mev_per_angstrom
    assert sum(one.verdict == "covered" for one in report.verdicts) == round(known.coverage * 30)
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
    assert set(new.energy_shift_ev) == {"Ge"}
    assert new.sound.passed
    assert platform.dead == []


async def test_one_verdict_however_often_it_is_delivered_and_retried(
    platform: Platform, molecules: Callable[..., list[Frame]]
) -> None:
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
    async with platform.base.database.transaction() as connection:
        cursor = await connection.execute("select outcome, count(*)::int as runs from runs group by outcome")
        assert await cursor.fetchall() == [{"outcome": "passed", "runs": 2}]


async def test_a_model_that_does_not_load_gives_a_dead_letter_and_no_verdict(
    platform: Platform, molecules: Callable[..., list[Frame]], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"these bytes are no model")
    await publish_model(platform, broken, {})
    model = await platform.blobs.get_model("models/1.0/manifest.json", ModelManifest)
    branch = BranchManifest(
        name="silicon",
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        dataset_manifest=model.release,
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

"""The metric service as its neighbours see it, on real PostgreSQL, NATS, gRPC and object storage."""

import asyncio
import csv
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import psycopg
import pyarrow.parquet as pq
import pytest
from contracts.artifacts import (
    BranchManifest,
    CompositionCount,
    DatasetManifest,
    Histogram,
    MetricReport,
    ModelManifest,
    PreviewStructure,
)
from contracts.base import BlobRef, BranchError, Credit, DatasetRef, LevelOfTheory, RuleResult
from contracts.envelope import Attributes, Event, to_headers
from contracts.events import (
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetMetricStarted,
    DatasetValidated,
    MetricRerunFinished,
    MetricRerunRequested,
    PredictionFinished,
    PredictionStructureRead,
)
from contracts.registry.v1 import registry_pb2, registry_pb2_grpc
from contracts.topology import EVENT_STREAM
from frames.errors import force_rmse, max_force_error
from frames.frame import Frame, formula
from frames.store import DATA_FILE, write
from kit.blobs import Blobs
from kit.bus import Delivery, Raw, connect
from kit.rpc import ServiceEntry, serve
from kit.service import Build, Foundation, running
from kit.settings import ServiceSettings, service_config
from metric.app import build
from metric.prediction import PredictionProcess
from metric.settings import MetricSettings
from psycopg.rows import dict_row
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
        if self.model is None or request.version_or_alias not in ("latest", self.model.version):
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no model yet")
        return registry_pb2.GetModelResponse(model=self.model)


@dataclass
class Platform:
    """The metric service as its neighbours see it."""

    registry: Registry
    blobs: Blobs
    dsn: str
    publish: Callable[[Event, UUID], Any]
    folder: Path
    seen: list[Event] = field(default_factory=list)
    dead: list[Raw] = field(default_factory=list)

    async def validated(
        self, frames: list[Frame], store_manifest: bool = True, **facts: Any
    ) -> tuple[DatasetValidated, bytes]:
        """What ingest would have said of these frames, and its manifest; every fifth frame is held out.

        `facts` change the manifest.
        """
        ref = DatasetRef(dataset_id=uuid4(), version=1)
        splits = {"train": [f for k, f in enumerate(frames) if k % 5], "held-out": frames[::5]}
        blobs = {}
        for name, part in splits.items():
            path = self.folder / f"{ref.dataset_id}-{name}.lmdb"
            write(path, part)
            blobs[name] = await self.blobs.put_file(f"datasets/{ref.dataset_id}/{name}.mdb", path / DATA_FILE)
        compositions = Counter(formula(frame.numbers) for frame in frames)
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
            compositions=tuple(CompositionCount(formula=one, frames=n) for one, n in compositions.items()),
            has_virial=False,
            level_of_theory=LevelOfTheory(),
            format="extxyz",
            set_aside=(),
            energy_per_atom_ev=FLAT,
            force_component_ev_per_angstrom=FLAT,
            preview=(),
            versions={},
        ).model_copy(update=facts)
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

    async def judged(self, frames: list[Frame], **facts: Any) -> DatasetMetricPassed | DatasetMetricNotPassed:
        event, _ = await self.validated(frames, **facts)
        await self.publish(event, uuid4())
        return await self.outcome(event.dataset)

    async def report(self, verdict: DatasetMetricPassed | DatasetMetricNotPassed) -> MetricReport:
        """With everything that it lists: pictures as SVG and PNG, tables of every frame."""
        report = await self.blobs.get_model(verdict.report.key, MetricReport)
        kinds = {name: name.rsplit(".", 1)[1] for name in report.pictures}
        for name, ref in report.pictures.items():
            data = await self.blobs.get_bytes(ref.key)
            assert data.startswith({"svg": b"<svg", "png": b"\x89PNG"}[kinds[name]])
            assert hashlib.sha256(data).hexdigest() == ref.sha256
        assert sorted(kinds.values()) == ["png"] * (len(kinds) // 2) + ["svg"] * (len(kinds) // 2)
        assert set(report.tables) == {"frames.csv", "frames.parquet"}
        return report

    async def table(self, report: MetricReport) -> list[dict[str, Any]]:
        """Rows of the Parquet file; the CSV has as many."""
        rows: list[dict[str, Any]] = pq.read_table(
            BytesIO(await self.blobs.get_bytes(report.tables["frames.parquet"].key))
        ).to_pylist()
        text = (await self.blobs.get_bytes(report.tables["frames.csv"].key)).decode()
        assert len(list(csv.DictReader(StringIO(text, newline="")))) == len(rows)
        return rows

    async def repeated(self, run_id: UUID, dataset: DatasetRef) -> MetricRerunFinished:
        """Ask for a repetition and wait for what came of it."""
        request = MetricRerunRequested(dataset=dataset, rerun_id=uuid4(), run_id=run_id)
        await self.publish(request, uuid4())

        def answers() -> list[MetricRerunFinished]:
            return [
                one for one in self.seen if isinstance(one, MetricRerunFinished) and one.rerun_id == request.rerun_id
            ]

        await until(lambda: bool(answers()))
        return answers()[0]

    async def predicted(
        self, structure: PreviewStructure | BlobRef, branches: tuple[str, ...], version: str = "1.0"
    ) -> PredictionFinished:
        """Ask for a prediction of what ingest has read, and wait for the answer."""
        prediction_id = uuid4()
        if isinstance(structure, PreviewStructure):
            structure = await self.blobs.put_model(f"predictions/{prediction_id}/structure.json", structure)
        request = PredictionStructureRead(
            prediction_id=prediction_id, structure=structure, model_version=version, branches=branches
        )
        await self.publish(request, uuid4())

        def answers() -> list[PredictionFinished]:
            found = [one for one in self.seen if isinstance(one, PredictionFinished)]
            return [one for one in found if one.prediction_id == prediction_id]

        await until(lambda: bool(answers()))
        return answers()[0]

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """What a statement on the metric's tables returns; none: no rows."""
        async with await psycopg.AsyncConnection.connect(self.dsn, row_factory=dict_row, autocommit=True) as connection:
            cursor = await connection.execute(query.encode())
            return await cursor.fetchall() if cursor.description else []


async def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def platform_of(
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    in_process: bool = True,
    retry_delays: str = "[0.3]",
) -> AsyncIterator[Platform]:
    """Everything around the metric; the service itself runs in this process, or the test starts its own."""
    for name in ("metric", "gateway", "ingest"):
        for key, value in environment(name).items():
            monkeypatch.setenv(key, value)
    monkeypatch.setenv("POTLUCK_METRIC_RETRY_DELAYS_SECONDS", retry_delays)
    monkeypatch.setenv("POTLUCK_METRIC_MAX_ATTEMPTS", "3")
    # Its other calls answer UNIMPLEMENTED, as the generated base class does.
    registry = Registry()  # type: ignore[abstract]
    entry = ServiceEntry(
        registry_pb2_grpc.add_RegistryServiceServicer_to_server,
        registry,
        registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name,
        TOKEN,
    )
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve("127.0.0.1:0", [entry]))
        monkeypatch.setenv("POTLUCK_METRIC_REGISTRY_ADDRESS", f"127.0.0.1:{port}")
        monkeypatch.setenv("POTLUCK_METRIC_REGISTRY_TOKEN", TOKEN.get_secret_value())
        settings = MetricSettings()
        assert settings.database_dsn is not None
        publish = await stack.enter_async_context(_publishing())
        dsn = settings.database_dsn.get_secret_value()
        found = Platform(registry, Blobs(settings.blobs_url), dsn, publish, folder)
        if in_process:
            await stack.enter_async_context(running("metric", settings, build))
        await stack.enter_async_context(running("gateway", GatewayLike(), _listener(found)))
        yield found


@asynccontextmanager
async def _publishing() -> AsyncIterator[Callable[[Event, UUID], Any]]:
    """As ingest and gateway publish, but a repeated event reaches JetStream as a new message."""
    clients = {
        DatasetValidated: (ingest := await connect(IngestLike(), "ingest")),
        PredictionStructureRead: ingest,
        MetricRerunRequested: await connect(GatewayLike(), "gateway"),
    }

    async def publish(event: Event, event_id: UUID) -> None:
        attributes = Attributes(
            id=event_id, type=event.ce_type(), source="potluck/tests", subject=event.about(), time=datetime.now(UTC)
        )
        headers = to_headers(attributes) | {"Nats-Msg-Id": str(uuid4())}
        jetstream = clients[type(event)].jetstream()
        await jetstream.publish(event.nats_subject, event.body(), stream=EVENT_STREAM, headers=headers)

    try:
        yield publish
    finally:
        for client in set(clients.values()):
            await client.close()


def _listener(found: Platform) -> Build[GatewayLike]:
    @asynccontextmanager
    async def listen(_settings: GatewayLike, gateway: Foundation[GatewayLike]) -> AsyncIterator[None]:
        async def on_event(event: Event, _delivery: Delivery) -> None:
            found.seen.append(event)

        async def on_dead(raw: Raw) -> None:
            found.dead.append(raw)

        gateway.bus.consume("gateway-events", on_event)
        gateway.bus.consume_raw("gateway-dead-letters", on_dead)
        yield

    return listen


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
                    dataset_manifest=await _branch_dataset(platform, name, frames),
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


async def _branch_dataset(platform: Platform, name: str, frames: list[Frame]) -> BlobRef:
    """The manifest of what trained a branch."""
    event, body = await platform.validated(frames)
    key = f"datasets/{event.dataset.dataset_id}/{name}.json"
    return await platform.blobs.put_model(key, DatasetManifest.model_validate_json(body))

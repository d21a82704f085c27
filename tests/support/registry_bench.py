"""The registry on a real PostgreSQL and behind real gRPC, without its timer and without NATS.

What it emits stays in the outbox, where a test reads it; time passes when a test says so.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import UUID, uuid4

import grpc
from contracts.artifacts import BranchManifest, FrameErrors, HeldOutFrames, ModelManifest
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.envelope import Event
from contracts.events import BY_TYPE
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.fleet.v1.fleet_pb2_grpc import FleetServiceStub, add_FleetServiceServicer_to_server
from contracts.fleet.v1.scoring_pb2_grpc import ScoringServiceStub, add_ScoringServiceServicer_to_server
from contracts.operator.v1.operator_pb2_grpc import OperatorServiceStub, add_OperatorServiceServicer_to_server
from contracts.registry.v1.registry_pb2_grpc import RegistryServiceStub
from kit.blobs import Blobs
from kit.db import Database
from kit.queries import Row
from kit.rpc import ServiceEntry, channel, serve
from kit.service import foundation
from pydantic import SecretStr
from registry.domain.policy import GrowthPolicy
from registry.domain.rounds import RoundPlan
from registry.domain.signing import Signer
from registry.fleet.rpc import FleetServicer
from registry.fleet.scoring_rpc import ScoringServicer
from registry.operators.rpc import OperatorServicer
from registry.queries.querying import Querying
from registry.queries.rpc import SERVICE, add_queries
from registry.rounds.growth import Growth
from registry.rounds.leakage import Leakage
from registry.rounds.presets import Presets
from registry.rounds.scoring import Scorings
from registry.rounds.service import Rounds
from registry.rounds.timer import Timer
from registry.settings import RegistrySettings
from registry.store import Store
from registry_examples import CONTENT, Errors, Numbers, blob, dataset_manifest, file_names, manifest, metric_passed

if TYPE_CHECKING:
    from contracts.fleet.v1.fleet_pb2_grpc import FleetServiceAsyncStub
    from contracts.fleet.v1.scoring_pb2_grpc import ScoringServiceAsyncStub
    from contracts.operator.v1.operator_pb2_grpc import OperatorServiceAsyncStub
    from contracts.registry.v1.registry_pb2_grpc import RegistryServiceAsyncStub

TOKEN = SecretStr("token-of-the-tests")
SIGNING_KEY = SecretStr("11" * 32)
DEEPMD_VERSION = "3.2.0"
"""As in the manifests of `registry_examples`."""


class FreshDatabase(Protocol):
    """The fixture of that name."""

    def dsn(self, role: str) -> str: ...


class Bench:
    """Drives the registry as its callers do: events in, gRPC in, time."""

    def __init__(self, database: Database, blobs: Blobs, policy: GrowthPolicy, presets: Presets | None = None) -> None:
        self.database = database
        self.blobs = blobs
        self.policy = policy
        self.store = Store()
        self.rounds = Rounds(self.store, policy, presets)
        self.signer = Signer(SIGNING_KEY.get_secret_value())
        self.growth = Growth(self.store, blobs, policy, self.signer)
        self.scorings = Scorings(self.store, policy)
        self.leakage = Leakage(database, blobs, self.store)
        self.timer = Timer(database, blobs, self.store, self.rounds, self.leakage, check_seconds=1)
        self.fleet: FleetServiceAsyncStub
        self.scoring: ScoringServiceAsyncStub
        self.queries: RegistryServiceAsyncStub
        self.operator: OperatorServiceAsyncStub
        self.address = ""

    # The database, read directly

    async def rows(self, query: str, *parameters: object) -> list[Row]:
        async with self.database.transaction() as conn:
            cursor = await conn.execute(query.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def events(self) -> list[Event]:
        """What was emitted so far, in order."""
        rows = await self.rows("select type, body from outbox order by seq")
        return [BY_TYPE[row["type"]].model_validate_json(row["body"]) for row in rows]

    async def kinds(self) -> list[str]:
        return [type(event).__name__ for event in await self.events()]

    async def states(self) -> dict[str, str]:
        """Dataset title → state."""
        return {row["title"]: row["state"] for row in await self.rows("select title, state from datasets")}

    # What happens

    async def arrive(
        self,
        title: str,
        *,
        private: bool = False,
        author: str = "demo contributor",
        train_frames: int = 100,
        traceparent: str | None = None,
        nearest: str | None = None,
        hashes: Sequence[bytes] | None = None,
        ref: DatasetRef | None = None,
    ) -> DatasetRef:
        """A dataset passes the metric; another version of one when `ref` says so. `hashes`: of its training frames, as
        ingest stores them.
        """
        ref = ref or DatasetRef(dataset_id=uuid4(), version=1)
        described = dataset_manifest(ref, train_frames if hashes is None else len(hashes))
        if hashes is not None:
            train_frames = len(hashes)
            held_out = [frame_hash(f"held out of {ref}", number) for number in range(20)]
            data = b"".join([*hashes, *held_out])
            kept = await self.blobs.put_bytes(f"datasets/{ref.dataset_id}/hashes.bin", data)
            described = described.model_copy(update={"frame_hashes": kept})
        stored = await self.blobs.put_model(f"datasets/{ref.dataset_id}/manifest.json", described)
        credit = Credit(title=title, authors=(author,), licence="CC-BY-4.0", private=private)
        event = metric_passed(ref, stored, credit, nearest=nearest)
        async with self.database.transaction() as conn:
            await self.rounds.join(conn, event, train_frames, traceparent, CONTENT)
        return ref

    async def quiet(self) -> None:
        """The gathering time passes."""
        await self.rows("update datasets set arrived_at = arrived_at - interval '1 hour'")

    async def plan(self) -> RoundPlan | None:
        async with self.database.transaction() as conn:
            return await self.rounds.plan_if_due(conn)

    async def planned(self, *titles: str) -> RoundPlan:
        """A round on datasets with these titles."""
        for title in titles:
            await self.arrive(title)
        await self.quiet()
        plan = await self.plan()
        assert plan is not None
        return plan

    async def expire(self) -> None:
        """The worker falls silent for longer than its lease lasts; the sweeper looks."""
        await self.rows("update rounds set lease_expires_at = now() - interval '1 s' where state = 'training'")
        async with self.database.transaction() as conn:
            assert await self.rounds.sweep(conn) is not None

    async def lease(self, worker: str = "worker-1") -> fleet.Lease:
        announced = fleet.Worker(worker_id=worker, deepmd_version=DEEPMD_VERSION)
        answer = await self.fleet.Lease(fleet.LeaseRequest(worker=announced))
        assert answer.HasField("lease")
        return answer.lease

    async def checkpoint(self, lease: fleet.Lease, step: int) -> BlobRef:
        stored = await self.blobs.put_bytes(f"rounds/{lease.round_id}/{lease.fence}-{step}.pt", b"weights" * step)
        await self.fleet.Checkpoint(
            fleet.CheckpointRequest(
                round_id=lease.round_id,
                fence=lease.fence,
                checkpoint=fleet.StoredCheckpoint(blob=message(stored), step=step),
            )
        )
        return stored

    async def candidate(self, lease: fleet.Lease, numbers: Mapping[str, Numbers], frames: int = 0) -> BlobRef:
        """The worker stores the files of its candidate, and the manifest.

        `frames`: of each branch, one as good as the other, told one by one with their hashes; 0: none is.
        """
        round_id = UUID(lease.round_id)
        files = {}
        for name in file_names(numbers):
            key = f"rounds/{round_id}/{lease.fence}/{name}"
            files[name] = await self.blobs.put_bytes(key, f"{name} of {round_id}".encode())
        refs = {
            one.name: DatasetRef(dataset_id=UUID(one.dataset_id), version=one.dataset_version)
            for one in lease.spec.branches
        }
        described = manifest(
            numbers,
            new=[one.name for one in lease.spec.branches if one.is_new],
            parent=lease.spec.parent_version or None,
            round_id=round_id,
            datasets=refs,
            files=files,
        )
        if frames:
            described = told_by_frames(described, numbers, frames)
        return await self.blobs.put_model(f"rounds/{round_id}/{lease.fence}/manifest.json", described)

    async def submit(self, lease: fleet.Lease, candidate: BlobRef) -> fleet.SubmitResponse:
        return await self.fleet.Submit(
            fleet.SubmitRequest(round_id=lease.round_id, fence=lease.fence, manifest=message(candidate))
        )

    async def publish(self, *titles: str, frames: int = 0) -> str:
        """A whole round, planned on these titles and better in everything; the version of its model."""
        for title in titles:
            await self.arrive(title)
        return await self.publish_waiting(frames)

    async def publish_waiting(self, frames: int = 0) -> str:
        await self.quiet()
        await self.leakage.look()
        assert await self.plan() is not None
        lease = await self.lease()
        answer = await self.submit(lease, await self.candidate(lease, better(lease.spec.branches), frames))
        assert answer.published
        return answer.version


def better(branches: Sequence[fleet.RoundBranch]) -> dict[str, Numbers]:
    """Old branches as before, new ones halved."""
    return {
        one.name: Numbers(after=(20, 400), before=(80, 800))
        if one.is_new
        else Numbers(after=(20, 400), before=(20, 400))
        for one in branches
    }


def frame_hash(name: str, number: int) -> bytes:
    return hashlib.sha256(f"{name}: frame {number}".encode()).digest()


def told_by_frames(manifest: ModelManifest, numbers: Mapping[str, Numbers], frames: int) -> ModelManifest:
    """The candidate with so many held-out frames of two atoms a branch, each with the errors of the branch."""

    def each(errors: Errors) -> FrameErrors:
        return FrameErrors(energy_mev_per_atom=(errors[0],) * frames, force_mev_per_angstrom=(errors[1],) * frames)

    def told(branch: BranchManifest) -> BranchManifest:
        of = numbers[branch.name]
        held_out = HeldOutFrames(
            atoms=(2,) * frames,
            after=each(of.after),
            before=None if of.before is None else each(of.before),
            baseline=each(of.baseline),
            hashes=tuple(frame_hash(str(branch.dataset), number).hex() for number in range(frames)),
        )
        return branch.model_copy(update={"held_out_frames": held_out})

    return manifest.model_copy(update={"branches": tuple(told(branch) for branch in manifest.branches)})


def message(reference: BlobRef) -> fleet.Blob:
    return fleet.Blob(key=reference.key, sha256=reference.sha256, size=reference.size)


def nowhere(lease: fleet.Lease) -> fleet.Blob:
    """A reference to an object of the round that was never stored."""
    return message(blob(f"rounds/{lease.round_id}/never-stored.json"))


@asynccontextmanager
async def opened(
    dsn: str, blobs_folder: Path, policy: GrowthPolicy, presets: Presets | None = None
) -> AsyncIterator[Bench]:
    """The bench on an empty schema."""
    settings = RegistrySettings(
        database_dsn=SecretStr(dsn),
        blobs_url=blobs_folder.as_uri(),
        growth_policy=blobs_folder / "unused.json",
        fleet_token=TOKEN,
        open_queries=True,
        signing_key=SIGNING_KEY,
    )
    async with foundation("registry", settings) as base:
        bench = Bench(base.database, base.blobs, policy, presets)
        querying = Querying.built(settings, base.database, base.blobs, bench.store)
        entries = [
            ServiceEntry(
                add_FleetServiceServicer_to_server,
                FleetServicer(base.database, bench.rounds, bench.growth),
                "contracts.fleet.v1.FleetService",
                TOKEN,
            ),
            ServiceEntry(
                add_ScoringServiceServicer_to_server,
                ScoringServicer(base.database, bench.scorings),
                "contracts.fleet.v1.ScoringService",
                TOKEN,
            ),
            ServiceEntry(add_queries, querying.internal(), SERVICE),
            ServiceEntry(
                add_OperatorServiceServicer_to_server,
                OperatorServicer(base.database, bench.store, bench.rounds.life_seconds, policy.max_attempts),
                "contracts.operator.v1.OperatorService",
                TOKEN,
            ),
        ]
        async with serve("127.0.0.1:0", entries, grace_seconds=0.1) as port:
            bench.address = f"127.0.0.1:{port}"
            async with channel(bench.address, TOKEN) as connection:
                bench.fleet = FleetServiceStub(connection)
                bench.scoring = ScoringServiceStub(connection)
                bench.queries = RegistryServiceStub(connection)
                bench.operator = OperatorServiceStub(connection)
                yield bench


async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    """Status and details of a call that must not succeed."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details() or ""
    raise AssertionError("the call succeeded")

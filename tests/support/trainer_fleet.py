"""A registry of one round at a time, as trainers see it, and the stored datasets that it offers."""

import asyncio
import inspect
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import grpc
import psutil
from contracts import keys
from contracts.artifacts import DatasetManifest, FrameVerdict, Histogram, MetricReport, ModelManifest
from contracts.base import BlobRef, DatasetRef, LevelOfTheory, RuleResult
from contracts.fleet.v1 import fleet_pb2 as pb
from contracts.fleet.v1 import fleet_pb2_grpc, scoring_pb2_grpc
from contracts.fleet.v1 import scoring_pb2 as scoring
from frames.frame import Frame
from frames.store import DATA_FILE, write
from google.protobuf.duration_pb2 import Duration
from kit.blobs import Blobs
from kit.rpc import ServiceEntry, serve
from pydantic import SecretStr

TOKEN = "token-of-the-fleet"
PRESETS = Path(__file__).parents[2] / "deploy" / "presets"


@dataclass
class FakeFleet(fleet_pb2_grpc.FleetServiceServicer):
    """Fences and leases as contracts.fleet.v1 promises; everything that it hears is kept."""

    ttl: float = 3.0
    spec: pb.RoundSpec | None = None
    round_id: UUID = field(default_factory=uuid4)
    fence: int = 0
    expires: float = 0.0
    newest: pb.StoredCheckpoint | None = None
    workers: list[pb.Worker] = field(default_factory=list)
    """What they announced, each time one asked."""
    leases: list[pb.Lease] = field(default_factory=list)
    reports: list[pb.ReportRequest] = field(default_factory=list)
    checkpoints: list[pb.CheckpointRequest] = field(default_factory=list)
    hand_backs: list[pb.HandBackRequest] = field(default_factory=list)
    failures: list[pb.FailRequest] = field(default_factory=list)
    submissions: list[pb.SubmitRequest] = field(default_factory=list)
    paused: bool = False
    retries: bool = False
    """Offer a round again after a failure, as the registry does."""
    diverged: bool = False
    stale_calls: int = 0
    beats: int = 0
    usages: list[pb.Usage] = field(default_factory=list)
    """What heartbeats told."""

    def offer(self, spec: pb.RoundSpec) -> None:
        """A new round waits."""
        self.spec, self.round_id, self.newest, self.expires = spec, uuid4(), None, 0.0
        self.diverged = False

    def usurp(self) -> None:
        """As if the lease had run out and another worker had taken it."""
        self.fence += 1
        self.expires = 0.0

    async def _checked(self, request: object, context: object) -> None:
        if (request.round_id, request.fence) != (str(self.round_id), self.fence):  # type: ignore[attr-defined]
            self.stale_calls += 1
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "a successor owns the round")  # type: ignore[attr-defined]
        self.expires = time.monotonic() + self.ttl

    async def Lease(self, request: pb.LeaseRequest, context: object) -> pb.LeaseResponse:
        self.workers.append(request.worker)
        if self.spec is None or self.paused or time.monotonic() < self.expires:
            return pb.LeaseResponse(retry_after=Duration(nanos=200_000_000))
        self.fence += 1
        self.expires = time.monotonic() + self.ttl
        lease = pb.Lease(
            round_id=str(self.round_id),
            fence=self.fence,
            attempt=self.fence,
            ttl=Duration(seconds=int(self.ttl)),
            spec=self.spec,
            resume_from=self.newest,
            learning_rate_factor=0.5 if self.diverged else 1,
        )
        self.leases.append(lease)
        return pb.LeaseResponse(lease=lease)

    async def Heartbeat(self, request: pb.HeartbeatRequest, context: object) -> pb.HeartbeatResponse:
        await self._checked(request, context)
        self.beats += 1
        self.usages.append(request.usage)
        return pb.HeartbeatResponse(ttl=Duration(seconds=int(self.ttl)), hand_back=self.paused)

    async def Report(self, request: pb.ReportRequest, context: object) -> pb.ReportResponse:
        await self._checked(request, context)
        self.reports.append(request)
        return pb.ReportResponse()

    async def Checkpoint(self, request: pb.CheckpointRequest, context: object) -> pb.CheckpointResponse:
        await self._checked(request, context)
        self.checkpoints.append(request)
        self.newest = request.checkpoint
        return pb.CheckpointResponse()

    async def HandBack(self, request: pb.HandBackRequest, context: object) -> pb.HandBackResponse:
        await self._checked(request, context)
        self.hand_backs.append(request)
        self.expires = 0.0
        return pb.HandBackResponse()

    async def Fail(self, request: pb.FailRequest, context: object) -> pb.FailResponse:
        await self._checked(request, context)
        self.failures.append(request)
        self.diverged |= request.rule == "not-finite"
        again = self.retries and request.retryable
        if not again:
            self.spec = None
        self.expires = 0.0
        return pb.FailResponse(will_retry=again)

    async def Submit(self, request: pb.SubmitRequest, context: object) -> pb.SubmitResponse:
        await self._checked(request, context)
        self.submissions.append(request)
        self.spec = None
        return pb.SubmitResponse(version="1.0", published=True)


@dataclass
class FakeScoring(scoring_pb2_grpc.ScoringServiceServicer):
    """Offers `offered` until it is scored or given up; everything that it hears is kept."""

    offered: scoring.ScoringLease | None = None
    hand_back: bool = False
    leases: int = 0
    beats: int = 0
    submissions: list[scoring.SubmitScoresRequest] = field(default_factory=list)
    given_up: list[scoring.GiveUpScoringRequest] = field(default_factory=list)

    async def LeaseScoring(self, request: scoring.LeaseScoringRequest, context: object) -> scoring.LeaseScoringResponse:
        if self.offered is None:
            return scoring.LeaseScoringResponse(retry_after=Duration(nanos=200_000_000))
        self.leases += 1
        return scoring.LeaseScoringResponse(lease=self.offered)

    async def BeatScoring(self, request: scoring.BeatScoringRequest, context: object) -> scoring.BeatScoringResponse:
        self.beats += 1
        return scoring.BeatScoringResponse(ttl=Duration(seconds=3), hand_back=self.hand_back)

    async def SubmitScores(self, request: scoring.SubmitScoresRequest, context: object) -> scoring.SubmitScoresResponse:
        self.submissions.append(request)
        self.offered = None
        return scoring.SubmitScoresResponse()

    async def GiveUpScoring(
        self, request: scoring.GiveUpScoringRequest, context: object
    ) -> scoring.GiveUpScoringResponse:
        self.given_up.append(request)
        self.offered = None
        return scoring.GiveUpScoringResponse()


@asynccontextmanager
async def serving(fleet: FakeFleet, port: int = 0, scorings: FakeScoring | None = None) -> AsyncIterator[int]:
    """Without `scorings` it is a registry that knows nothing of a standard dataset."""
    name = "contracts.fleet.v1.FleetService"
    entries = [ServiceEntry(fleet_pb2_grpc.add_FleetServiceServicer_to_server, fleet, name, SecretStr(TOKEN))]
    if scorings is not None:
        name, add = "contracts.fleet.v1.ScoringService", scoring_pb2_grpc.add_ScoringServiceServicer_to_server
        entries.append(ServiceEntry(add, scorings, name, SecretStr(TOKEN)))
    async with serve(f"127.0.0.1:{port}", entries, grace_seconds=0.1) as bound:
        yield bound


WORKS = 0.02
"""Of one core: a process that waits for an answer or beats takes less, a starved one on a full machine more."""
MOST_WORK = 4
"""Times `seconds`, in seconds of processors: whoever works so long for nothing is caught in a loop."""


async def until(what: str, condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait for a condition, which may be awaited, for as long as processes that this one started work for it.

    On a busy machine work takes longer than `seconds`, but it goes on. Raises TimeoutError with the condition's name
    when none of them did anything worth mentioning for `seconds`, or all together worked for a multiple of it in vain.
    """
    began = marked = _worked()
    end = time.monotonic() + seconds
    while not await _said(condition):
        await asyncio.sleep(0.05)
        if time.monotonic() < end:
            continue
        now = _worked()
        if now - marked < WORKS * seconds or now - began > MOST_WORK * seconds:
            told = f"{now - began:.0f} s of processor time, {now - marked:.1f} of them in the last {seconds:g} s"
            raise TimeoutError(f"waited for: {what}; what was started took {told}")
        marked, end = now, time.monotonic() + seconds


async def _said(condition: Callable[[], object]) -> object:
    said = condition()
    return await said if inspect.isawaitable(said) else said


async def within(seconds: float, what: str, condition: Callable[[], object]) -> None:
    """What must be so by then, however busy the machine is. Raises TimeoutError with its name."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not so after {seconds:g} s: {what}")
        await asyncio.sleep(0.05)


def _worked() -> float:
    """Seconds of processor time of this process's descendants, those that have ended too."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            total += sum(child.cpu_times()[:4])
    return total


def message(ref: BlobRef) -> pb.Blob:
    return pb.Blob(key=ref.key, sha256=ref.sha256, size=ref.size)


async def stored_branch(
    blobs: Blobs,
    folder: Path,
    name: str,
    train: Sequence[Frame],
    held_out: Sequence[Frame],
    *,
    weight: float,
    is_new: bool = True,
    failed_train: Sequence[int] = (),
) -> pb.RoundBranch:
    """Store a dataset and the metric's report of it."""
    ref = DatasetRef(dataset_id=uuid4(), version=1)
    stored = {}
    for split, frames in (("train", train), ("held-out", held_out)):
        path = folder / f"{name}-{split}.lmdb"
        write(path, frames)
        stored[split] = await blobs.put_file(keys.dataset_file("0" * 64, f"{name}-{split}.mdb"), path / DATA_FILE)
    manifest = dataset_manifest(ref, stored["train"], stored["held-out"], train, held_out)
    report = metric_report(ref, failed_train)
    return pb.RoundBranch(
        name=name,
        dataset_id=str(ref.dataset_id),
        dataset_version=1,
        dataset_manifest=message(await blobs.put_model(f"datasets/{name}/manifest.json", manifest)),
        metric_report=message(await blobs.put_model(f"metric/{name}/report.json", report)),
        is_new=is_new,
        weight=weight,
    )


def dataset_manifest(
    ref: DatasetRef, train: BlobRef | None, held_out: BlobRef, train_frames: Sequence[Frame], held: Sequence[Frame]
) -> DatasetManifest:
    nothing = Histogram(edges=(0, 1), counts=(0,))
    frames = [*train_frames, *held]
    return DatasetManifest(
        dataset=ref,
        content_sha256="0" * 64,
        train=train,
        held_out=held_out,
        frames=len(frames),
        train_frames=len(train_frames),
        held_out_frames=len(held),
        duplicate_frames=0,
        atoms=sum(frame.natoms for frame in frames),
        elements=tuple(sorted({symbol for frame in frames for symbol in frame.symbols})),
        compositions=(),
        has_virial=all(frame.virial is not None for frame in frames),
        level_of_theory=LevelOfTheory(code="Morse potential"),
        format="formula",
        set_aside=(),
        energy_per_atom_ev=nothing,
        force_component_ev_per_angstrom=nothing,
        preview=(),
        versions={},
    )


def metric_report(ref: DatasetRef, failed_train: Sequence[int]) -> MetricReport:
    passed = RuleResult(rule="sound", passed=True, sentence="Sound.")
    return MetricReport(
        dataset=ref,
        run_id=uuid4(),
        model_version=None,
        frames_judged=0,
        sound=passed,
        new=passed.model_copy(update={"rule": "new"}),
        checks=(),
        coverage=0,
        threshold_ev_per_angstrom=None,
        branches=(),
        nearest_branch=None,
        energy_shift_ev={},
        new_elements=(),
        parity=(),
        max_force_error_histogram=None,
        verdicts=tuple(FrameVerdict(split="train", index=index, verdict="failed") for index in failed_train),
        pictures={},
        settings={},
        versions={},
    )


class WorkerProcess:
    """`python -m trainer` against a fake fleet."""

    def __init__(self, folder: Path, port: int, blobs_url: str, **settings: str) -> None:
        self._folder = folder
        variables = {
            "REGISTRY_ADDRESS": f"127.0.0.1:{port}",
            "FLEET_TOKEN": TOKEN,
            "PRESETS": str(PRESETS),
            "BLOBS_URL": blobs_url,
            "WORK_FOLDER": str(folder / "work"),
            "REPORT_SECONDS": "0.1",
            "DEADLINE_SECONDS": "2",
            "WARM_START": "false",
            **settings,
        }
        self._environment = {**os.environ, **{f"POTLUCK_TRAINER_{name}": value for name, value in variables.items()}}
        self._process: asyncio.subprocess.Process | None = None

    def speak_to(self, port: int) -> None:
        """Where the registry listens, when it was not known before."""
        self._environment["POTLUCK_TRAINER_REGISTRY_ADDRESS"] = f"127.0.0.1:{port}"

    async def __aenter__(self) -> "WorkerProcess":
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "trainer", env=self._environment, stdout=log, stderr=log
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end(signal.SIGKILL)

    @property
    def log_file(self) -> Path:
        return self._folder / "worker.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def end(self, number: signal.Signals) -> int:
        """Send a signal and wait; returns the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await asyncio.wait_for(self._process.wait(), 60)


def children(pid: int) -> list[int]:
    """Process ids of the direct children."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(child) for child in task.read_text().split()]
    return found


async def candidate(blobs: Blobs, submission: pb.SubmitRequest) -> ModelManifest:
    return await blobs.get_model(submission.manifest.key, ModelManifest)

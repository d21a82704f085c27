"""Leases and fences on the real PostgreSQL, through real gRPC."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from contracts.events import TrainingFailed, TrainingProgress, TrainingStarted
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.fleet.v1.fleet_pb2_grpc import FleetServiceStub
from google.protobuf.duration_pb2 import Duration
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.rpc import channel
from registry_bench import Bench, FreshDatabase, better, message, nowhere, opened, refused
from registry_examples import blob, policy

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT


def beat(lease: fleet.Lease) -> fleet.HeartbeatRequest:
    return fleet.HeartbeatRequest(round_id=lease.round_id, fence=lease.fence)


def report(lease: fleet.Lease, step: int, branch: str = "si", force: float = 300) -> fleet.ReportRequest:
    errors = fleet.BranchError(branch=branch, energy_rmse_mev_per_atom=12, force_rmse_mev_per_angstrom=force)
    return fleet.ReportRequest(
        round_id=lease.round_id,
        fence=lease.fence,
        step=step,
        learning_rate=1e-3,
        branches=[errors],
        frames_per_second=40,
        eta=Duration(seconds=30),
    )


def late_writes(
    bench: Bench, lease: fleet.Lease, retryable: bool = False
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Everything that a worker says after its lease."""
    round_id, fence = lease.round_id, lease.fence
    stored = fleet.StoredCheckpoint(blob=message(blob(f"rounds/{round_id}/x.pt")), step=50)
    return {
        "Heartbeat": lambda: bench.fleet.Heartbeat(beat(lease)),
        "Report": lambda: bench.fleet.Report(report(lease, 50)),
        "Checkpoint": lambda: bench.fleet.Checkpoint(
            fleet.CheckpointRequest(round_id=round_id, fence=fence, checkpoint=stored)
        ),
        "HandBack": lambda: bench.fleet.HandBack(fleet.HandBackRequest(round_id=round_id, fence=fence)),
        "Fail": lambda: bench.fleet.Fail(
            fleet.FailRequest(round_id=round_id, fence=fence, rule="crashed", reason="x", retryable=retryable)
        ),
        "Submit": lambda: bench.fleet.Submit(
            fleet.SubmitRequest(round_id=round_id, fence=fence, manifest=nowhere(lease))
        ),
    }


async def test_a_lease_carries_everything_that_training_needs(bench: Bench) -> None:
    await bench.arrive("Si", train_frames=100)
    await bench.arrive("Water", train_frames=400)
    await bench.quiet()
    await bench.plan()
    lease = await bench.lease("worker-1")
    assert (lease.fence, lease.attempt, lease.ttl.seconds) == (1, 1, 30)
    assert (lease.spec.preset, lease.spec.total_steps, lease.spec.parent_version) == ("laptop", 100, "")
    assert not lease.spec.HasField("parent_manifest")
    assert not lease.HasField("resume_from")
    assert [(one.name, one.is_new) for one in lease.spec.branches] == [("si", True), ("water", True)]
    assert [one.weight for one in lease.spec.branches] == pytest.approx([1 / 3, 2 / 3])
    assert lease.spec.branches[0].dataset_manifest.key.endswith("manifest.json")
    assert await bench.kinds() == ["TrainingQueued", "TrainingStarted"]


async def test_two_dozen_workers_race_for_one_round(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    requests = [fleet.LeaseRequest(worker=fleet.Worker(worker_id=f"worker-{number}")) for number in range(24)]
    answers = await asyncio.gather(*(bench.fleet.Lease(request) for request in requests))
    assert [answer.HasField("lease") for answer in answers].count(True) == 1
    assert all(answer.retry_after.seconds > 0 for answer in answers if not answer.HasField("lease"))
    assert (await bench.kinds()).count("TrainingStarted") == 1


async def test_a_worker_gets_only_presets_that_it_can_run(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    other = fleet.Worker(worker_id="small", presets=["large"])
    assert not (await bench.fleet.Lease(fleet.LeaseRequest(worker=other))).HasField("lease")
    able = fleet.Worker(worker_id="able", presets=["large", "laptop"])
    assert (await bench.fleet.Lease(fleet.LeaseRequest(worker=able))).HasField("lease")


async def test_a_stale_fence_can_write_nothing(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    old = await bench.lease("slow")
    await bench.expire()
    new = await bench.lease("quick")
    assert new.fence == old.fence + 1
    before = await bench.rows("select * from rounds"), await bench.kinds()
    for name, write in late_writes(bench, old).items():
        code, details = await refused(write())
        assert code is FAILED_PRECONDITION, name
        assert "fence 1 was superseded by 2; drop this round and lease again" in details
    assert (await bench.rows("select * from rounds"), await bench.kinds()) == before
    assert await bench.rows("select * from checkpoints") == []
    await bench.fleet.Heartbeat(beat(new))


async def test_a_lost_lease_may_not_write_even_before_a_successor_has_it(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    await bench.expire()
    for name, write in late_writes(bench, lease).items():
        code, details = await refused(write())
        assert code is FAILED_PRECONDITION, name
        assert "was lost or given back" in details


async def test_a_fence_that_was_never_given_out_and_a_round_that_is_none(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    for fence in (0, 2, 2**64 - 1):
        forged = fleet.HeartbeatRequest(round_id=lease.round_id, fence=fence)
        assert (await refused(bench.fleet.Heartbeat(forged)))[0] is FAILED_PRECONDITION
    unknown = fleet.HeartbeatRequest(round_id="00000000-0000-4000-8000-000000000000", fence=1)
    assert (await refused(bench.fleet.Heartbeat(unknown)))[0] is grpc.StatusCode.NOT_FOUND
    code, details = await refused(bench.fleet.Heartbeat(fleet.HeartbeatRequest(round_id="seven", fence=1)))
    assert (code, details) == (INVALID_ARGUMENT, "round_id 'seven' is not a UUID")


async def test_a_lost_lease_is_offered_again_and_resumes_from_the_newest_checkpoint(bench: Bench) -> None:
    plan = await bench.planned("Si", "Water")
    first = await bench.lease("worker-1")
    await bench.checkpoint(first, 20)
    newest = await bench.checkpoint(first, 40)
    await bench.expire()
    second = await bench.lease("worker-2")
    assert (second.round_id, second.fence, second.attempt) == (str(plan.round_id), 2, 2)
    assert (second.resume_from.step, second.resume_from.blob.key) == (40, newest.key)
    assert second.spec == first.spec
    lost, again = (await bench.events())[-2:]
    assert isinstance(lost, TrainingFailed)
    assert (lost.rule, lost.attempt, lost.will_retry) == ("lease-lost", 1, True)
    assert "worker-1 was silent for more than 30 s" in lost.reason
    assert isinstance(again, TrainingStarted)
    assert (again.attempt, again.worker, again.resumed_from_step) == (2, "worker-2", 40)


async def test_a_living_worker_keeps_its_round(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    await bench.rows("update rounds set lease_expires_at = now() - interval '1 s'")
    # Late, but nobody swept yet: a sign of life renews the lease.
    answer = await bench.fleet.Heartbeat(beat(lease))
    assert (answer.ttl.seconds, answer.cancelled) == (30, False)
    async with bench.database.transaction() as conn:
        assert await bench.rounds.sweep(conn) is None


async def test_a_round_that_fails_too_often_blocks_nobody(bench: Bench) -> None:
    """Two attempts are allowed: a lost one and a failed one end the round and set its datasets aside."""
    await bench.publish("Si", "Water")
    await bench.planned("Bad")
    await bench.lease()
    await bench.expire()
    lease = await bench.lease()
    request = fleet.FailRequest(
        round_id=lease.round_id, fence=lease.fence, rule="not-finite", reason="loss is NaN at step 3", retryable=True
    )
    assert not (await bench.fleet.Fail(request)).will_retry
    failed = (await bench.events())[-1]
    assert isinstance(failed, TrainingFailed)
    assert (failed.rule, failed.attempt, failed.will_retry) == ("not-finite", 2, False)
    assert await bench.states() == {"Si": "published", "Water": "published", "Bad": "failed"}
    rounds = await bench.rows("select state, reason from rounds order by sequence")
    assert (rounds[1]["state"], rounds[1]["reason"]) == ("failed", "loss is NaN at step 3")
    following = await bench.planned("Good")
    assert [one.name for one in following.branches] == ["si", "water", "good"]


async def test_workers_may_die_as_often_as_they_advance(bench: Bench) -> None:
    """Two attempts in a row without a new checkpoint end a round; dying after new work was stored does not."""
    await bench.planned("Si", "Water")
    for attempt in range(1, 6):
        lease = await bench.lease()
        assert lease.attempt == attempt
        await bench.checkpoint(lease, 10 * attempt)
        await bench.expire()
    await bench.lease()
    await bench.expire()
    ended = (await bench.events())[-1]
    assert isinstance(ended, TrainingFailed)
    assert (ended.rule, ended.attempt, ended.will_retry) == ("lease-lost", 6, False)


async def test_what_cannot_be_retried_fails_at_once(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    request = fleet.FailRequest(round_id=lease.round_id, fence=lease.fence, rule="data-unreadable", reason="LMDB")
    assert not (await bench.fleet.Fail(request)).will_retry
    assert set((await bench.states()).values()) == {"failed"}


async def test_handing_back_is_no_failure_however_often(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    for attempt in range(1, 6):
        lease = await bench.lease()
        assert lease.attempt == attempt
        request = fleet.HandBackRequest(round_id=lease.round_id, fence=lease.fence, reason="SIGTERM")
        await bench.fleet.HandBack(request)
    assert [row["failures"] for row in await bench.rows("select failures from rounds")] == [0]
    ended = (await bench.events())[-1]
    assert isinstance(ended, TrainingFailed)
    assert (ended.rule, ended.reason, ended.will_retry) == ("handed-back", "SIGTERM", True)


async def test_progress_names_the_dataset_and_is_told_once(bench: Bench) -> None:
    plan = await bench.planned("Si", "Water")
    lease = await bench.lease()
    for step in (0, 10, 10, 20):
        await bench.fleet.Report(report(lease, step))
    told = [event for event in await bench.events() if isinstance(event, TrainingProgress)]
    assert [event.step for event in told] == [0, 10, 20]
    assert told[0].branches[0].dataset == plan.branches[0].member.ref
    assert (told[0].total_steps, told[0].attempt, told[0].eta_seconds) == (100, 1, 30)
    assert [row["step"] for row in await bench.rows("select step from rounds")] == [20]


async def test_wrong_reports_say_what_is_wrong(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    wrong = {
        "branch 'gan' is not part of this round": report(lease, 1, branch="gan"),
        "step 101 is beyond the round's 100 steps": report(lease, 101),
        "branches hold a number that is no error": report(lease, 1, force=math.nan),
    }
    for complaint, request in wrong.items():
        code, details = await refused(bench.fleet.Report(request))
        assert code is INVALID_ARGUMENT
        assert complaint in details
    foreign = fleet.StoredCheckpoint(blob=message(blob("uploads/1/archive")), step=5)
    stored = fleet.CheckpointRequest(round_id=lease.round_id, fence=lease.fence, checkpoint=foreign)
    code, details = await refused(bench.fleet.Checkpoint(stored))
    assert code is INVALID_ARGUMENT
    assert "'uploads/1/archive' does not lie in rounds/" in details
    unwritable = fleet.LeaseRequest(worker=fleet.Worker(worker_id="nul\0"))
    assert (await refused(bench.fleet.Lease(unwritable)))[0] is INVALID_ARGUMENT
    nameless = fleet.LeaseRequest(worker=fleet.Worker())
    assert "worker.worker_id is empty" in (await refused(bench.fleet.Lease(nameless)))[1]
    assert "TrainingProgress" not in await bench.kinds()


ACTS = st.lists(
    st.tuples(st.sampled_from(["lease", "write", "expire", "hand back", "fail"]), st.integers(0, 2)), max_size=14
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ACTS)
def test_whatever_happens_only_the_newest_lease_may_write(
    fresh_database: FreshDatabase, blobs_folder: Path, acts: list[tuple[str, int]]
) -> None:
    """Three workers act in any order; a model of one line says who may write."""
    asyncio.run(act(fresh_database.dsn("registry"), blobs_folder, acts))


async def act(dsn: str, blobs_folder: Path, acts: list[tuple[str, int]]) -> None:
    async with opened(dsn, blobs_folder, policy(max_attempts=100)) as bench:
        await bench.rows("truncate rounds, datasets cascade")
        await bench.planned("Si", "Water")
        leases: dict[int, fleet.Lease] = {}
        holder: int | None = None
        fences = []
        for what, worker in acts:
            mine = leases.get(worker)
            if what == "lease":
                request = fleet.LeaseRequest(worker=fleet.Worker(worker_id=f"worker-{worker}"))
                answer = await bench.fleet.Lease(request)
                assert answer.HasField("lease") == (holder is None)
                if holder is None:
                    holder, leases[worker] = worker, answer.lease
                    fences.append(answer.lease.fence)
            elif what == "expire" and holder is not None:
                await bench.expire()
                holder = None
            elif mine is not None and what != "expire":
                write = {"write": "Heartbeat", "hand back": "HandBack", "fail": "Fail"}[what]
                if worker == holder:
                    await late_writes(bench, mine, retryable=True)[write]()
                    holder = holder if what == "write" else None
                else:
                    code, _ = await refused(late_writes(bench, mine)[write]())
                    assert code is FAILED_PRECONDITION
        assert fences == list(range(1, len(fences) + 1))


async def test_trainers_need_the_fleet_token(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    async with channel(bench.address) as stranger:
        request = fleet.LeaseRequest(worker=fleet.Worker(worker_id="stranger"))
        code, details = await refused(FleetServiceStub(stranger).Lease(request))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "bearer token" in details


async def test_the_trace_of_the_upload_goes_through(bench: Bench) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bench.arrive("Si", traceparent=trace)
    await bench.arrive("Water")
    await bench.quiet()
    await bench.plan()
    lease = await bench.lease()
    assert lease.traceparent == trace
    await bench.submit(lease, await bench.candidate(lease, better(lease.spec.branches)))
    traces = await bench.rows("select distinct traceparent from outbox")
    assert [row["traceparent"] for row in traces] == [trace]


async def test_only_checkpoints_that_nobody_needs_are_deleted(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    stored = [await bench.checkpoint(lease, step) for step in (10, 20, 30, 40)]
    await bench.timer.collect()
    assert [await bench.blobs.exists(one.key) for one in stored] == [False, False, True, True]
    assert [row["step"] for row in await bench.rows("select step from checkpoints order by step")] == [30, 40]


async def test_a_round_that_diverged_is_offered_once_more_with_half_the_learning_rate(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease("first")
    assert lease.learning_rate_factor == 1
    assert (await bench.fleet.Fail(_diverged(lease))).will_retry
    again = await bench.lease("second")
    assert again.learning_rate_factor == 0.5
    # Whatever else happens to it, the rate stays low and the second divergence is not forgotten.
    await bench.fleet.HandBack(fleet.HandBackRequest(round_id=again.round_id, fence=again.fence, reason="shutdown"))
    third = await bench.lease("third")
    assert third.learning_rate_factor == 0.5
    # New work starts the count of failures again, not that of divergences.
    await bench.checkpoint(third, 10)
    assert not (await bench.fleet.Fail(_diverged(third))).will_retry
    failed = (await bench.events())[-1]
    assert isinstance(failed, TrainingFailed)
    assert (failed.rule, failed.will_retry) == ("not-finite", False)


def _diverged(lease: fleet.Lease) -> fleet.FailRequest:
    """As a worker would that knows of no earlier attempt."""
    return fleet.FailRequest(
        round_id=lease.round_id, fence=lease.fence, rule="not-finite", reason="the loss exploded", retryable=True
    )

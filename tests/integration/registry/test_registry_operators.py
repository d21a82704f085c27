"""Operators steer growth: on the real PostgreSQL, through real gRPC. What they see survives a restart."""

import asyncio
from collections.abc import Awaitable

import grpc
import pytest
from contracts.base import DatasetRef
from contracts.events import ModelWithheld, TrainingFailed, TrainingQueued, TrainingReleased
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.operator.v1 import operator_pb2 as pb
from registry.rounds.service import Rounds
from registry.store import Store
from registry_bench import Bench, better, refused
from registry_examples import Numbers

NOT_NOW, NOT_FOUND, WRONG = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
)
NOBODY = "00000000-0000-4000-8000-000000000000"


def ref(dataset: DatasetRef) -> pb.DatasetRef:
    return pb.DatasetRef(dataset_id=str(dataset.dataset_id), version=dataset.version)


def beat(lease: fleet.Lease) -> fleet.HeartbeatRequest:
    return fleet.HeartbeatRequest(round_id=lease.round_id, fence=lease.fence)


async def line(bench: Bench) -> pb.GetLineResponse:
    return await bench.operator.GetLine(pb.GetLineRequest())


async def arrived(bench: Bench, *titles: str) -> dict[str, DatasetRef]:
    found = {title: await bench.arrive(title) for title in titles}
    await bench.quiet()
    return found


async def restarted(bench: Bench) -> None:
    """Another process goes on: nothing but the database is remembered."""
    bench.rounds = Rounds(Store(), bench.policy)


async def train(bench: Bench, *bad: str) -> tuple[list[str], bool]:
    """Plan, lease and submit: withheld when a new branch of that name is in it. New branches, and whether published."""
    await restarted(bench)
    assert await bench.plan() is not None
    lease = await bench.lease()
    numbers = better(lease.spec.branches)
    new = [one.name for one in lease.spec.branches if one.is_new]
    for name in new:
        if set(new) & set(bad):
            numbers[name] = Numbers(after=(80, 800), before=(80, 800), baseline=(81, 801))
    answer = await bench.submit(lease, await bench.candidate(lease, numbers))
    return new, answer.published


# Pause and resume


async def test_a_paused_line_plans_and_leases_nothing_and_asks_the_worker_to_leave(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease("worker-7")
    await bench.checkpoint(lease, 20)
    assert not (await bench.fleet.Heartbeat(beat(lease))).hand_back
    answer = await bench.operator.Pause(pb.PauseRequest(reason="the GPU is needed"))
    assert answer.worker == "worker-7"
    assert (await bench.fleet.Heartbeat(beat(lease))).hand_back
    await bench.fleet.HandBack(fleet.HandBackRequest(round_id=lease.round_id, fence=lease.fence, reason="paused"))
    told = (await bench.events())[-1]
    assert isinstance(told, TrainingFailed)
    assert (told.rule, told.will_retry) == ("paused", True)
    assert "growth is paused (the GPU is needed)" in told.reason
    again = await bench.fleet.Lease(fleet.LeaseRequest(worker=fleet.Worker(worker_id="worker-8")))
    assert not again.HasField("lease")
    seen = await line(bench)
    assert (seen.paused, seen.pause_reason, seen.open_round.state) == (True, "the GPU is needed", "waiting")
    assert (await bench.operator.Resume(pb.ResumeRequest())).resumed
    assert not (await bench.operator.Resume(pb.ResumeRequest())).resumed
    assert (await bench.lease("worker-8")).resume_from.step == 20
    assert [row["failures"] for row in await bench.rows("select failures from rounds")] == [0]


async def test_nothing_is_planned_while_paused(bench: Bench) -> None:
    await arrived(bench, "Si", "Water")
    await bench.operator.Pause(pb.PauseRequest())
    await restarted(bench)
    assert await bench.plan() is None
    assert [one.title for one in (await line(bench)).waiting] == ["Si", "Water"]
    await bench.operator.Resume(pb.ResumeRequest())
    assert await bench.plan() is not None


async def test_a_candidate_that_is_ready_is_judged_though_growth_is_paused(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    await bench.operator.Pause(pb.PauseRequest())
    assert (await bench.submit(lease, await bench.candidate(lease, better(lease.spec.branches)))).published


# Cancel


@pytest.mark.parametrize("leased", [True, False])
async def test_a_cancelled_round_ends_for_its_worker_and_its_contributors_wait_again(
    bench: Bench, leased: bool
) -> None:
    refs = await arrived(bench, "Si", "Water")
    plan = await bench.plan()
    assert plan is not None
    lease = await bench.lease() if leased else None
    answer = await bench.operator.CancelRound(pb.CancelRoundRequest(reason="wrong preset"))
    assert answer.round_id == str(plan.round_id)
    assert {one.dataset_id for one in answer.waiting} == {str(one.dataset_id) for one in refs.values()}
    assert await bench.states() == {"Si": "waiting", "Water": "waiting"}
    released, failed = (await bench.events())[-2:]
    assert isinstance(released, TrainingReleased)
    assert (set(released.datasets), released.outcome, released.rule) == (set(refs.values()), "waits", "cancelled")
    assert "wrong preset. Your dataset waits for another one." in released.reason
    assert isinstance(failed, TrainingFailed)
    assert (failed.rule, failed.will_retry, failed.attempt) == ("cancelled", False, 1)
    if lease is not None:
        assert (await bench.fleet.Heartbeat(beat(lease))).cancelled
        candidate = await bench.candidate(lease, better(lease.spec.branches))
        code, details = await refused(bench.submit(lease, candidate))
        assert code is NOT_NOW
        assert "the round has ended: cancelled" in details
    again = await bench.plan()
    assert again is not None
    assert {branch.member.ref for branch in again.new_branches} == set(refs.values())


async def test_cancel_may_pause_so_that_the_same_round_is_not_planned_at_once(bench: Bench) -> None:
    plan = await bench.planned("Si", "Water")
    await bench.operator.CancelRound(pb.CancelRoundRequest(round_id=str(plan.round_id), reason="look", pause=True))
    assert await bench.plan() is None
    assert (await line(bench)).pause_reason == f"round {plan.round_id} was cancelled: look"


async def test_what_cannot_be_cancelled(bench: Bench) -> None:
    assert await refused(bench.operator.CancelRound(pb.CancelRoundRequest())) == (
        NOT_NOW,
        "no round waits or trains: there is nothing to cancel",
    )
    await bench.publish("Si", "Water")
    (ended,) = await bench.rows("select round_id from rounds")
    request = pb.CancelRoundRequest(round_id=str(ended["round_id"]))
    assert "has ended (published)" in (await refused(bench.operator.CancelRound(request)))[1]
    assert (await refused(bench.operator.CancelRound(pb.CancelRoundRequest(round_id=NOBODY))))[0] is NOT_FOUND
    assert (await refused(bench.operator.CancelRound(pb.CancelRoundRequest(round_id="seven"))))[0] is WRONG


async def test_cancel_and_submit_at_once_end_the_round_once(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate = await bench.candidate(lease, better(lease.spec.branches))
    results = await asyncio.gather(
        bench.submit(lease, candidate), bench.operator.CancelRound(pb.CancelRoundRequest()), return_exceptions=True
    )
    assert sum(isinstance(result, grpc.aio.AioRpcError) for result in results) == 1
    (row,) = await bench.rows("select state from rounds")
    models = await bench.rows("select * from models")
    assert (row["state"], len(models)) in (("published", 1), ("cancelled", 0))
    kinds = await bench.kinds()
    assert ("ModelPublished" in kinds) != ("TrainingReleased" in kinds)


# Bisect and re-run


async def withheld_round(bench: Bench, *titles: str, bad: str = "c") -> tuple[str, dict[str, DatasetRef]]:
    """A round on these titles that ends withheld."""
    refs = await arrived(bench, *titles)
    new, published = await train(bench, bad)
    assert not published
    (row,) = await bench.rows("select round_id from rounds order by sequence desc limit 1")
    assert len(new) == len(titles)
    return str(row["round_id"]), refs


async def test_a_bisection_isolates_the_one_and_publishes_the_others(bench: Bench) -> None:
    bench.policy = bench.policy.model_copy(update={"max_datasets_per_round": 4})
    await bench.publish("Si", "Water")
    round_id, refs = await withheld_round(bench, "A", "B", "C", "D")
    before = len(await bench.events())
    inquiry = (await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))).inquiry
    assert [(one.state, len(one.datasets)) for one in inquiry.groups] == [("split", 4), ("pending", 2), ("pending", 2)]
    assert (await bench.states())["A"] == "reserved"
    # Who arrives meanwhile waits until the search is over.
    await arrived(bench, "Late")
    steps = [await train(bench, "c") for _ in range(3)]
    assert steps == [(["a", "b"], True), (["c"], False), (["d"], True)]
    assert await bench.states() == {
        "Si": "published",
        "Water": "published",
        "A": "published",
        "B": "published",
        "C": "failed",
        "D": "published",
        "Late": "waiting",
    }
    seen = await line(bench)
    assert seen.inquiry.outcome == "1 set aside, 3 published"
    assert {group.state for group in seen.inquiry.groups} == {"split", "published", "set-aside"}
    (why,) = await bench.rows("select reason from datasets where title = 'C'")
    assert why["reason"].startswith("An earlier round with your dataset ended without a new model, and so did a round")
    assert "c from 800.0 to 800.0" in why["reason"]
    events = (await bench.events())[before:]
    released = [event for event in events if isinstance(event, TrainingReleased)]
    assert [(set(one.datasets), one.outcome, one.rule) for one in released] == [
        (set(refs.values()), "waits", "bisecting"),
        ({refs["C"]}, "failed", "isolated"),
    ]
    # That it was set aside is told before its round's verdict.
    assert isinstance(events[events.index(released[1]) + 1], ModelWithheld)
    assert await train(bench) == (["late"], True)


async def test_halves_that_fail_are_halved_again_and_wait_meanwhile(bench: Bench) -> None:
    bench.policy = bench.policy.model_copy(update={"max_datasets_per_round": 4})
    await bench.publish("Si", "Water")
    round_id, _ = await withheld_round(bench, "A", "B", "C", "D", bad="b")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    assert await train(bench, "b") == (["a", "b"], False)
    assert {title: state for title, state in (await bench.states()).items() if title in "ABCD"} == dict.fromkeys(
        "ABCD", "reserved"
    )
    event = next(event for event in reversed(await bench.events()) if isinstance(event, TrainingReleased))
    assert (event.outcome, event.rule) == ("waits", "bisecting")
    assert "A round on 2 datasets ended without a new model" in event.reason
    assert [await train(bench, "b") for _ in range(3)] == [(["a"], True), (["b"], False), (["c", "d"], True)]


async def test_a_step_that_fails_too_often_counts_as_a_round_without_a_model(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, _ = await withheld_round(bench, "A", "C")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    assert await bench.plan() is not None
    lease = await bench.lease()
    reason = "The loss is no number."
    await bench.fleet.Fail(
        fleet.FailRequest(round_id=lease.round_id, fence=lease.fence, rule="not-finite", reason=reason, retryable=False)
    )
    states = await bench.states()
    assert (states["A"], states["C"]) == ("failed", "reserved")
    released, failed = (await bench.events())[-2:]
    assert isinstance(released, TrainingReleased)
    assert released.rule == "isolated"
    assert released.reason.endswith("The loss is no number.")
    assert isinstance(failed, TrainingFailed)


async def test_a_lost_lease_in_a_bisection_is_offered_again_like_any_other(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, _ = await withheld_round(bench, "A", "C")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    await bench.plan()
    first = await bench.lease()
    await bench.expire()
    second = await bench.lease("worker-2")
    assert (second.round_id, second.fence) == (first.round_id, 2)
    code, _ = await refused(bench.fleet.Heartbeat(beat(first)))
    assert code is NOT_NOW
    assert (await bench.submit(second, await bench.candidate(second, better(second.spec.branches)))).published


async def fails(bench: Bench, rule: str, *, retryable: bool = True) -> bool:
    """A worker leases the open round and says that it cannot go on; whether the round is offered again."""
    lease = await bench.lease()
    told = fleet.FailRequest(
        round_id=lease.round_id, fence=lease.fence, rule=rule, reason=f"It was {rule}.", retryable=retryable
    )
    return (await bench.fleet.Fail(told)).will_retry


async def test_an_outage_blames_nobody_and_the_search_goes_on_when_it_is_mended(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, refs = await withheld_round(bench, "A", "C")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    assert await bench.plan() is not None
    assert await fails(bench, "disk-full")
    # One that may be the dataset's own does not add up with those that are not.
    assert await fails(bench, "crashed")
    await bench.lease()
    await bench.expire()
    states = await bench.states()
    assert (states["A"], states["C"]) == ("reserved", "reserved")
    released, failed = (await bench.events())[-2:]
    assert isinstance(released, TrainingReleased)
    assert (released.outcome, released.rule, set(released.datasets)) == ("waits", "bisecting", {refs["A"]})
    assert "not in your dataset" in released.reason
    assert isinstance(failed, TrainingFailed)
    assert (failed.rule, failed.will_retry) == ("lease-lost", False)

    seen = await line(bench)
    assert seen.paused
    assert "was silent for more than 30 s" in seen.pause_reason
    assert await bench.plan() is None
    await bench.operator.Resume(pb.ResumeRequest())
    assert [await train(bench, "c") for _ in range(2)] == [(["a"], True), (["c"], False)]
    assert (await line(bench)).inquiry.outcome == "1 set aside, 1 published"


async def test_failures_that_may_be_the_datasets_end_its_step_whatever_else_broke_meanwhile(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, _ = await withheld_round(bench, "A", "C")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    assert await bench.plan() is not None
    assert await fails(bench, "crashed")
    assert await fails(bench, "device-failed")
    assert not await fails(bench, "crashed")
    states = await bench.states()
    assert (states["A"], states["C"]) == ("failed", "reserved")
    assert not (await line(bench)).paused


async def test_a_parent_that_cannot_be_used_is_no_fault_of_the_dataset_that_is_tried(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, _ = await withheld_round(bench, "A", "C")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    assert await bench.plan() is not None
    assert not await fails(bench, "parent-unusable", retryable=False)
    assert (await bench.states())["A"] == "reserved"
    assert (await line(bench)).paused


async def test_a_rerun_leaves_one_dataset_out(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, refs = await withheld_round(bench, "A", "B", "C")
    request = pb.RerunRoundRequest(round_id=round_id, without=ref(refs["C"]))
    inquiry = (await bench.operator.RerunRound(request)).inquiry
    assert [(one.state, len(one.datasets)) for one in inquiry.groups] == [("pending", 2)]
    assert await train(bench, "c") == (["a", "b"], True)
    states = await bench.states()
    assert [states[title] for title in "ABC"] == ["published", "published", "withheld"]
    seen = await line(bench)
    assert (seen.inquiry.kind, seen.inquiry.outcome) == ("rerun", "the re-run led to a model")
    newest = (await bench.operator.ListRounds(pb.ListRoundsRequest(page_size=1))).rounds[0]
    assert newest.inquiry_id == seen.inquiry.inquiry_id


async def test_a_rerun_that_ends_without_a_model_sets_its_datasets_aside_as_any_round(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, refs = await withheld_round(bench, "A", "B", "C")
    await bench.operator.RerunRound(pb.RerunRoundRequest(round_id=round_id, without=ref(refs["A"])))
    assert await train(bench, "c") == (["b", "c"], False)
    states = await bench.states()
    assert [states[title] for title in "ABC"] == ["withheld"] * 3
    # And the next search may begin.
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))


async def test_a_stopped_search_lets_go_of_what_it_held(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, _ = await withheld_round(bench, "A", "B", "C")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    assert await bench.plan() is not None  # on A
    answer = await bench.operator.StopInquiry(pb.StopInquiryRequest(reason="enough"))
    assert len(answer.waiting) == 2
    states = await bench.states()
    assert [states[title] for title in "ABC"] == ["training", "waiting", "waiting"]
    assert (await line(bench)).inquiry.outcome == "stopped: enough"
    # Its open round is an ordinary one now.
    lease = await bench.lease()
    bad = {one.name: Numbers(after=(80, 800), before=(80, 800)) for one in lease.spec.branches}
    assert not (await bench.submit(lease, await bench.candidate(lease, bad))).published
    assert (await bench.states())["A"] == "withheld"
    assert await train(bench) == (["b", "c"], True)


async def test_cancelling_a_step_stops_the_search(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, _ = await withheld_round(bench, "A", "B", "C")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    await bench.plan()
    await bench.operator.CancelRound(pb.CancelRoundRequest(reason="enough"))
    states = await bench.states()
    assert [states[title] for title in "ABC"] == ["waiting"] * 3
    assert "was cancelled: enough" in (await line(bench)).inquiry.outcome


async def test_searches_that_cannot_begin_say_what_must_happen_first(bench: Bench) -> None:
    operator = bench.operator

    async def why(call: Awaitable[object], status: grpc.StatusCode = NOT_NOW) -> str:
        code, details = await refused(call)
        assert code is status, details
        return details

    assert await why(operator.BisectRound(pb.BisectRoundRequest(round_id=NOBODY)), NOT_FOUND)
    assert "nothing to stop" in await why(operator.StopInquiry(pb.StopInquiryRequest()))
    plan = await bench.planned("Si", "Water")
    open_round = pb.BisectRoundRequest(round_id=str(plan.round_id))
    assert "it is waiting: cancel it first" in await why(operator.BisectRound(open_round))
    await bench.operator.CancelRound(pb.CancelRoundRequest())
    assert await bench.plan() is not None
    assert "2 datasets of round" in await why(operator.BisectRound(open_round))
    lease = await bench.lease()
    await bench.submit(lease, await bench.candidate(lease, better(lease.spec.branches)))
    published = pb.BisectRoundRequest(round_id=lease.round_id)
    assert "it is published: there is nothing to look for" in await why(operator.BisectRound(published))
    round_id, refs = await withheld_round(bench, "C")
    assert "there is nothing to halve" in await why(operator.BisectRound(pb.BisectRoundRequest(round_id=round_id)))
    alone = pb.RerunRoundRequest(round_id=round_id, without=ref(refs["C"]))
    assert "no dataset of round" in await why(operator.RerunRound(alone))
    stranger = pb.RerunRoundRequest(round_id=round_id, without=pb.DatasetRef(dataset_id=NOBODY, version=1))
    assert "was not new in round" in await why(operator.RerunRound(stranger), WRONG)
    nonsense = pb.RerunRoundRequest(round_id=round_id, without=pb.DatasetRef(dataset_id="x"))
    assert "names no dataset" in await why(operator.RerunRound(nonsense), WRONG)
    again = pb.RerunRoundRequest(round_id=round_id)
    await operator.RerunRound(again)
    assert f"a rerun of round {round_id} still goes on: stop it first" in await why(operator.RerunRound(again))


async def test_rounds_are_listed_with_every_rules_numbers(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    await withheld_round(bench, "C")
    listed = (await bench.operator.ListRounds(pb.ListRoundsRequest())).rounds
    assert [(one.state, one.model_version) for one in listed] == [("withheld", ""), ("published", "1.0")]
    rules = {rule.rule: rule for rule in listed[0].rules}
    assert not rules["learned"].passed
    assert rules["learned"].numbers["c.force_rmse_after_mev_per_angstrom"] == 800
    assert "learned" in listed[0].reason
    assert [(one.title, one.state) for one in listed[0].new_datasets] == [("C", "withheld")]
    page = await bench.operator.ListRounds(pb.ListRoundsRequest(page_size=1))
    rest = await bench.operator.ListRounds(pb.ListRoundsRequest(page_size=1, page_token=page.next_page_token))
    assert [one.round_id for one in (*page.rounds, *rest.rounds)] == [one.round_id for one in listed]


async def test_an_operators_weight_counts_from_the_next_round_on(bench: Bench) -> None:
    refs = await arrived(bench, "Si", "Water")
    await bench.operator.SetWeight(pb.SetWeightRequest(dataset=ref(refs["Si"]), weight=30))
    plan = await bench.plan()
    assert plan is not None
    assert [branch.weight for branch in plan.branches] == pytest.approx([0.75, 0.25])
    await bench.operator.CancelRound(pb.CancelRoundRequest())
    await bench.operator.SetWeight(pb.SetWeightRequest(dataset=ref(refs["Si"]), weight=0))
    plan = await bench.plan()
    assert plan is not None
    assert [branch.weight for branch in plan.branches] == pytest.approx([0.5, 0.5])
    for wrong in (-1, float("nan"), float("inf")):
        call = bench.operator.SetWeight(pb.SetWeightRequest(dataset=ref(refs["Si"]), weight=wrong))
        assert (await refused(call))[0] is WRONG
    unknown = pb.SetWeightRequest(dataset=pb.DatasetRef(dataset_id=NOBODY, version=1), weight=1)
    assert (await refused(bench.operator.SetWeight(unknown)))[0] is NOT_FOUND


async def test_queued_events_of_a_search_name_its_datasets(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    round_id, refs = await withheld_round(bench, "A", "C")
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=round_id))
    await bench.plan()
    event = (await bench.events())[-1]
    assert isinstance(event, TrainingQueued)
    assert event.datasets == (refs["A"],)

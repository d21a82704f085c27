"""Withdrawn datasets, aliases and retired versions: on the real PostgreSQL, through real gRPC."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import grpc
import pytest
from contracts.base import Credit, DatasetRef
from contracts.envelope import Attributes
from contracts.events import DatasetMadePublic, DatasetWithdrawn, ModelMarked, ModelRetired, TrainingReleased
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.operator.v1 import operator_pb2 as pb
from contracts.registry.v1 import registry_pb2 as registry
from kit.bus import Delivery
from registry.handlers import Handlers
from registry.operators.operations import Operations
from registry_bench import Bench, better, refused
from registry_examples import blob, metric_passed

NOW = datetime(2026, 11, 25, tzinfo=UTC)
NOT_NOW, NOT_FOUND, WRONG = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
)


async def withdraw(bench: Bench, dataset: DatasetRef, reason: str = "") -> pb.WithdrawDatasetResponse:
    ref = pb.DatasetRef(dataset_id=str(dataset.dataset_id), version=dataset.version)
    return await bench.operator.WithdrawDataset(pb.WithdrawDatasetRequest(dataset=ref, reason=reason))


async def model(bench: Bench, version: str = "latest") -> registry.Model:
    return (await bench.queries.GetModel(registry.GetModelRequest(version_or_alias=version))).model


async def publish(bench: Bench, *titles: str) -> tuple[str, list[DatasetRef]]:
    refs = [await bench.arrive(title) for title in titles]
    return await bench.publish(), refs


async def move(bench: Bench, alias: str, version: str, reason: str = "") -> str:
    request = pb.MoveAliasRequest(alias=alias, version=version, reason=reason)
    return (await bench.operator.MoveAlias(request)).previous_version


async def roll_back(bench: Bench, alias: str) -> tuple[str, str]:
    answer = await bench.operator.RollBackAlias(pb.RollBackAliasRequest(alias=alias))
    return answer.previous_version, answer.version


# Withdrawn datasets


async def test_the_next_round_leaves_a_withdrawn_dataset_out_and_its_versions_are_marked(bench: Bench) -> None:
    _, (si, _) = await publish(bench, "Si", "Water")
    assert (await publish(bench, "SiC"))[0] == "1.1"
    done = await withdraw(bench, si, "wrong functional")
    assert (list(done.trained_versions), list(done.descended_versions)) == (["1.0", "1.1"], [])
    assert done.cancelled_round_id == ""
    await bench.planned("GaN")
    lease = await bench.lease()
    assert [(one.name, one.is_new) for one in lease.spec.branches] == [("water", False), ("sic", False), ("gan", True)]
    assert list(lease.spec.left_out_branches) == ["si"]
    assert sum(one.weight for one in lease.spec.branches) == pytest.approx(1)
    answer = await bench.submit(lease, await bench.candidate(lease, better(lease.spec.branches)))
    assert answer.version == "1.2"
    without = await model(bench)
    assert [row.branch for row in without.datasets] == ["water", "sic", "gan"]
    assert (without.withdrawn_datasets, without.withdrawn_ancestral_datasets) == (0, 1)
    # Versions from before are told at the withdrawal, this one when it is published.
    told = [event for event in await bench.events() if isinstance(event, ModelMarked)]
    assert [(one.version, one.withdrawn_branches, one.withdrawn_ancestral_datasets) for one in told] == [
        ("1.0", ("si",), 0),
        ("1.1", ("si",), 0),
        ("1.2", (), 1),
    ]
    for version in ("1.0", "1.1"):
        marked = await model(bench, version)
        assert (marked.withdrawn_datasets, marked.withdrawn_ancestral_datasets) == (1, 0)
        assert {row.branch: row.withdrawn for row in marked.datasets if row.branch in ("si", "water")} == {
            "si": True,
            "water": False,
        }
    again = await withdraw(bench, si)
    assert (list(again.trained_versions), list(again.descended_versions)) == (["1.0", "1.1"], ["1.2"])


async def test_a_resumed_attempt_leaves_the_same_branches_out(bench: Bench) -> None:
    _, (si, _) = await publish(bench, "Si", "Water")
    await withdraw(bench, si)
    await bench.planned("GaN")
    first = await bench.lease()
    await bench.checkpoint(first, 20)
    await bench.expire()
    second = await bench.lease("worker-2")
    assert second.spec == first.spec
    assert list(second.spec.left_out_branches) == ["si"]


async def test_who_waits_and_is_withdrawn_is_never_trained(bench: Bench) -> None:
    si, water, gone = [await bench.arrive(title) for title in ("Si", "Water", "Gone")]
    await withdraw(bench, gone)
    await bench.quiet()
    plan = await bench.plan()
    assert plan is not None
    assert {branch.member.ref for branch in plan.branches} == {si, water}
    assert (await bench.states())["Gone"] == "withdrawn"


@pytest.mark.parametrize("which", ["new", "old"])
async def test_an_open_round_that_trains_on_it_is_cancelled_and_planned_without_it(bench: Bench, which: str) -> None:
    _, (si, _) = await publish(bench, "Si", "Water")
    sic, gan = [await bench.arrive(title) for title in ("SiC", "GaN")]
    await bench.quiet()
    await bench.plan()
    lease = await bench.lease()
    gone = sic if which == "new" else si
    assert (await withdraw(bench, gone)).cancelled_round_id == lease.round_id
    beat = fleet.HeartbeatRequest(round_id=lease.round_id, fence=lease.fence)
    assert (await bench.fleet.Heartbeat(beat)).cancelled
    released = (await bench.events())[-2]
    assert isinstance(released, TrainingReleased)
    assert "a dataset of the round was withdrawn" in released.reason
    assert set(released.datasets) == ({gan} if which == "new" else {sic, gan})
    plan = await bench.plan()
    assert plan is not None
    assert gone not in {branch.member.ref for branch in plan.branches}
    assert {branch.member.ref for branch in plan.new_branches} == set(released.datasets)


async def test_a_round_without_it_goes_on(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    late = await bench.arrive("Late")
    assert (await withdraw(bench, late)).cancelled_round_id == ""
    await bench.fleet.Heartbeat(fleet.HeartbeatRequest(round_id=lease.round_id, fence=lease.fence))


async def test_a_parent_whose_datasets_were_all_withdrawn_is_left_behind(bench: Bench) -> None:
    _, refs = await publish(bench, "Si", "Water")
    for ref in refs:
        await withdraw(bench, ref)
    assert await bench.publish("GaN", "SiC") == "1.1"
    anew = await model(bench)
    assert (anew.parent_version, anew.withdrawn_ancestral_datasets) == ("", 0)


async def test_a_search_goes_on_without_a_withdrawn_dataset(bench: Bench) -> None:
    await publish(bench, "Si", "Water")
    refs = [await bench.arrive(title) for title in ("A", "B", "C")]
    await bench.quiet()
    await bench.plan()
    lease = await bench.lease()
    failure = fleet.FailRequest(round_id=lease.round_id, fence=lease.fence, rule="not-finite", reason="x")
    await bench.fleet.Fail(failure)
    await bench.operator.BisectRound(pb.BisectRoundRequest(round_id=lease.round_id))
    step = await bench.plan()
    assert step is not None
    assert [branch.name for branch in step.new_branches] == ["a"]
    assert (await withdraw(bench, refs[0])).cancelled_round_id == str(step.round_id)
    # The search goes on with the others, and its first half is passed over.
    step = await bench.plan()
    assert step is not None
    assert [branch.name for branch in step.new_branches] == ["b", "c"]
    line = await bench.operator.GetLine(pb.GetLineRequest())
    assert line.inquiry.outcome == ""
    assert [group.state for group in line.inquiry.groups] == ["split", "released", "training"]
    lease = await bench.lease()
    assert (await bench.submit(lease, await bench.candidate(lease, better(lease.spec.branches)))).published
    assert (await bench.operator.GetLine(pb.GetLineRequest())).inquiry.outcome != ""


async def test_a_dataset_that_nobody_knows_cannot_be_withdrawn(bench: Bench) -> None:
    unknown = DatasetRef.model_validate({"dataset_id": "00000000-0000-4000-8000-000000000000", "version": 1})
    assert (await refused(withdraw(bench, unknown)))[0] is NOT_FOUND


async def test_a_dataset_that_is_told_again_stays_withdrawn(bench: Bench) -> None:
    """Its event may be delivered twice."""
    ref = await bench.arrive("Si")
    await withdraw(bench, ref)
    credit = Credit(title="Si", authors=(), licence="CC0-1.0", private=False)
    event = metric_passed(ref, blob("datasets/again"), credit)
    async with bench.database.transaction() as conn:
        await bench.rounds.join(conn, event, 7, None)
    assert await bench.states() == {"Si": "withdrawn"}


# Aliases


async def test_aliases_move_and_roll_back_and_their_history_only_grows(bench: Bench) -> None:
    for titles in (("Si", "Water"), ("A",), ("B",)):
        await publish(bench, *titles)
    assert await move(bench, "stable", "1.0", "as tested") == ""
    assert await move(bench, "stable", "1.2") == "1.0"
    assert await move(bench, "stable", "1.2") == "1.2"  # already there: no new row
    assert (await model(bench, "stable")).version == "1.2"
    assert list((await model(bench, "1.2")).aliases) == ["latest", "stable"]
    assert await roll_back(bench, "stable") == ("1.2", "1.0")
    assert await roll_back(bench, "latest") == ("1.2", "1.1")
    assert await roll_back(bench, "latest") == ("1.1", "1.0")
    assert (await refused(roll_back(bench, "latest")))[0] is NOT_NOW
    moves = (await bench.queries.ListAliasMoves(registry.ListAliasMovesRequest(alias="stable"))).moves
    assert [(one.version, one.kind, one.reason) for one in moves] == [
        ("1.0", "rollback", "an operator rolled it back"),
        ("1.2", "move", "an operator moved it"),
        ("1.0", "move", "as tested"),
    ]
    first = await bench.queries.ListAliasMoves(registry.ListAliasMovesRequest(alias="latest", page_size=4))
    request = registry.ListAliasMovesRequest(alias="latest", page_size=4, page_token=first.next_page_token)
    rest = await bench.queries.ListAliasMoves(request)
    assert [one.version for one in (*first.moves, *rest.moves)] == ["1.0", "1.1", "1.2", "1.1", "1.0"]
    assert [one.kind for one in rest.moves] == ["publication"]


async def test_the_next_round_grows_from_where_latest_was_rolled_back_to(bench: Bench) -> None:
    for titles in (("Si", "Water"), ("A",)):
        await publish(bench, *titles)
    await roll_back(bench, "latest")
    version, _ = await publish(bench, "B")
    assert version == "1.2"  # no number is given twice
    grown = await model(bench)
    assert (grown.parent_version, [row.branch for row in grown.datasets]) == ("1.0", ["si", "water", "b"])


async def test_latest_stays_while_a_round_grows_from_it(bench: Bench) -> None:
    for titles in (("Si", "Water"), ("A",)):
        await publish(bench, *titles)
    await bench.planned("B")
    for call in (roll_back(bench, "latest"), move(bench, "latest", "1.0")):
        code, details = await refused(call)
        assert code is NOT_NOW
        assert "cancel it first, or wait" in details
    assert await move(bench, "stable", "1.0") == ""


async def test_aliases_that_cannot_move_say_why(bench: Bench) -> None:
    await publish(bench, "Si", "Water")
    for call, status, words in (
        (move(bench, "1.0", "1.0"), WRONG, "is no name for an alias"),
        (move(bench, "stable", "latest"), WRONG, "'latest' is not a version"),
        (move(bench, "stable", "9.9"), NOT_FOUND, "there is no model '9.9'"),
        (roll_back(bench, "stable"), NOT_FOUND, "there is no alias 'stable'"),
        (roll_back(bench, "latest"), NOT_NOW, "pointed to nothing else before"),
    ):
        code, details = await refused(call)
        assert code is status
        assert words in details
    code, details = await refused(bench.queries.ListAliasMoves(registry.ListAliasMovesRequest()))
    assert (code, details) == (WRONG, "alias is empty; ask for 'latest' or 'stable'")


# Retirement


async def test_a_retired_version_is_marked_and_no_alias_leads_to_it(bench: Bench) -> None:
    for titles in (("Si", "Water"), ("A",), ("B",)):
        await publish(bench, *titles)
    code, details = await refused(bench.operator.RetireModel(pb.RetireModelRequest(version="1.2")))
    assert (code, details) == (NOT_NOW, "latest points to model 1.2: move or roll back that first")
    request = pb.RetireModelRequest(version="1.1", reason="forces of B are wrong")
    await bench.operator.RetireModel(request)
    await bench.operator.RetireModel(request)
    retired = [event for event in await bench.events() if isinstance(event, ModelRetired)]
    assert [(event.version, event.reason) for event in retired] == [("1.1", "forces of B are wrong")]
    shown = await model(bench, "1.1")
    assert shown.HasField("retired")
    assert shown.retired_reason == "forces of B are wrong"
    assert not (await model(bench, "1.0")).HasField("retired")
    code, details = await refused(move(bench, "stable", "1.1"))
    assert (code, details) == (NOT_NOW, "model 1.1 is retired: no alias may point to it")
    assert await roll_back(bench, "latest") == ("1.2", "1.0")
    assert (await refused(bench.operator.RetireModel(pb.RetireModelRequest(version="9.9"))))[0] is NOT_FOUND


async def test_an_alias_that_points_to_a_retired_version_resolves_to_nothing(bench: Bench) -> None:
    """Commands never lead there; rows that another hand wrote must not either."""
    await publish(bench, "Si", "Water")
    await bench.rows("update models set retired_at = now(), retired_reason = 'by hand'")
    call = bench.queries.GetModel(registry.GetModelRequest(version_or_alias="latest"))
    assert (await refused(call))[0] is NOT_FOUND


async def test_a_move_and_a_retirement_at_once_leave_no_alias_on_a_retired_version(bench: Bench) -> None:
    for titles in (("Si", "Water"), ("A",)):
        await publish(bench, *titles)
    retire = bench.operator.RetireModel(pb.RetireModelRequest(version="1.0"))
    results = await asyncio.gather(retire, move(bench, "stable", "1.0"), return_exceptions=True)
    assert sum(isinstance(result, grpc.aio.AioRpcError) for result in results) == 1
    pointing = await bench.rows(
        "select alias from alias_moves join models using (version) where alias = 'stable' and retired_at is not null"
    )
    assert pointing == []


# What contributors say over the bus


def told(event: DatasetWithdrawn | DatasetMadePublic, durable: str, identifier: UUID | None = None) -> Delivery:
    attributes = Attributes(
        id=identifier or uuid4(), type=event.ce_type(), source="potluck/gateway", subject=event.about(), time=NOW
    )
    return Delivery(attributes=attributes, durable=durable, attempt=1)


async def test_a_contributors_withdrawal_leaves_the_dataset_out_once(bench: Bench) -> None:
    _, (si, _) = await publish(bench, "Si", "Water")
    handlers = Handlers(bench.database, bench.blobs, bench.rounds, Operations(bench.store))
    event, identifier = DatasetWithdrawn(dataset=si, reason="wrong functional"), uuid4()
    for _ in range(2):
        await handlers.on_dataset_withdrawn(event, told(event, "registry-dataset-withdrawn", identifier))
    assert await bench.states() == {"Si": "withdrawn", "Water": "published"}
    assert (await model(bench)).withdrawn_datasets == 1


async def test_a_dataset_that_is_withdrawn_before_its_check_ends_never_joins(bench: Bench) -> None:
    handlers = Handlers(bench.database, bench.blobs, bench.rounds, Operations(bench.store))
    early = DatasetRef(dataset_id=uuid4(), version=1)
    event = DatasetWithdrawn(dataset=early, reason="too early")
    await handlers.on_dataset_withdrawn(event, told(event, "registry-dataset-withdrawn"))
    await bench.arrive("Si", ref=early)
    await bench.arrive("Water")
    await bench.quiet()
    assert await bench.states() == {"Si": "withdrawn", "Water": "waiting"}
    assert await bench.plan() is None  # the first round takes two


async def test_a_dataset_that_was_made_public_is_named_by_models_to_come(bench: Bench) -> None:
    handlers = Handlers(bench.database, bench.blobs, bench.rounds, Operations(bench.store))
    early = DatasetRef(dataset_id=uuid4(), version=1)
    late = await bench.arrive("Hidden", private=True)
    for ref, title in ((early, "Si"), (late, "Water")):
        credit = Credit(title=title, authors=("Mei Lin",), licence="CC0-1.0", private=False)
        event = DatasetMadePublic(dataset=ref, credit=credit)
        await handlers.on_dataset_made_public(event, told(event, "registry-dataset-made-public"))
    await bench.arrive("Hidden too", private=True, ref=early)
    rows = await bench.rows("select title, private, authors from datasets order by title")
    assert rows == [
        {"title": "Si", "private": False, "authors": ["Mei Lin"]},
        {"title": "Water", "private": False, "authors": ["Mei Lin"]},
    ]


async def test_the_newest_version_that_passed_counts(bench: Bench) -> None:
    _, (si, _) = await publish(bench, "Si", "Water")
    second = await bench.arrive("Si again", ref=DatasetRef(dataset_id=si.dataset_id, version=2))
    third = await bench.arrive("Si thrice", ref=DatasetRef(dataset_id=si.dataset_id, version=3))
    await bench.quiet()
    plan = await bench.plan()
    assert plan is not None
    assert [(one.member.ref, one.is_new) for one in plan.branches][1:] == [(third, True)]
    assert [one.name for one in plan.branches] == ["water", "si-thrice"]
    lease = await bench.lease()
    assert list(lease.spec.left_out_branches) == ["si"]
    # Taken back, the version before it counts again.
    await withdraw(bench, third)
    await bench.quiet()
    again = await bench.plan()
    assert again is not None
    assert [one.member.ref for one in again.branches if one.is_new] == [second]

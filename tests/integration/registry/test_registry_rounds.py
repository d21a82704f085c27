"""Waiting list and planning on the real PostgreSQL; two replicas."""

import asyncio
from collections.abc import Awaitable

import grpc
import pytest
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.events import TrainingQueued
from contracts.registry.v1 import registry_pb2 as registry
from registry.rounds.service import Rounds
from registry.store import Store
from registry_bench import Bench, refused
from registry_examples import metric_passed


async def test_a_dataset_joins_once(bench: Bench) -> None:
    ref = await bench.arrive("Si")
    credit = Credit(title="Again", authors=(), licence="CC0-1.0", private=False)
    again = metric_passed(ref, BlobRef(key="datasets/x", sha256="0" * 64, size=1), credit)
    next_version = metric_passed(DatasetRef(dataset_id=ref.dataset_id, version=2), again.dataset_manifest, credit)
    async with bench.database.transaction() as conn:
        await bench.rounds.join(conn, again, 7, None)
        await bench.rounds.join(conn, next_version, 7, None)
    rows = await bench.rows("select title, version, train_frames from datasets order by arrival")
    assert [tuple(row.values()) for row in rows] == [("Si", 1, 100), ("Again", 2, 7)]


async def test_the_first_round_waits_for_enough_datasets_and_for_quiet(bench: Bench) -> None:
    await bench.arrive("Si")
    await bench.quiet()
    assert await bench.plan() is None
    await bench.arrive("Water")
    assert await bench.plan() is None
    await bench.quiet()
    plan = await bench.plan()
    assert plan is not None
    (queued,) = await bench.events()
    assert isinstance(queued, TrainingQueued)
    assert queued.round_id == plan.round_id
    assert queued.branches == {str(ref): name for ref, name in zip(queued.datasets, ("si", "water"), strict=True)}
    assert (queued.parent_version, queued.preset, queued.total_steps) == (None, "laptop", 100)
    assert await bench.states() == {"Si": "training", "Water": "training"}


async def test_rounds_are_serial_and_a_batch_leaves_the_rest_waiting(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    for title in ("A", "B", "C", "D"):
        await bench.arrive(title)
    await bench.quiet()
    plan = await bench.plan()
    assert plan is not None
    assert [branch.name for branch in plan.new_branches] == ["a", "b", "c"]
    assert await bench.plan() is None
    assert (await bench.states())["D"] == "waiting"


async def test_replicas_that_plan_at_once_plan_one_round(bench: Bench) -> None:
    await bench.arrive("Si")
    await bench.arrive("Water")
    await bench.quiet()
    replicas = [Rounds(Store(), bench.policy) for _ in range(5)]

    async def plan(one: Rounds) -> bool:
        async with bench.database.transaction() as conn:
            return await one.plan_if_due(conn) is not None

    assert sorted(await asyncio.gather(*map(plan, replicas))) == [False, False, False, False, True]
    assert await bench.kinds() == ["TrainingQueued"]


async def test_replicas_that_sweep_at_once_take_a_lost_round_once(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    await bench.lease()
    await bench.rows("update rounds set lease_expires_at = now() - interval '1 s'")

    async def sweep() -> bool:
        async with bench.database.transaction() as conn:
            return await bench.rounds.sweep(conn) is not None

    assert sorted(await asyncio.gather(*(sweep() for _ in range(4)))) == [False, False, False, True]
    assert [row["failures"] for row in await bench.rows("select failures from rounds")] == [1]


async def test_the_timer_sweeps_and_plans_but_leaves_leases_alone_at_first(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    await bench.lease()
    await bench.rows("update rounds set lease_expires_at = now() - interval '1 s'")
    await bench.timer.look(sweep=False)
    assert await bench.kinds() == ["TrainingQueued", "TrainingStarted"]
    await bench.timer.look(sweep=True)
    assert await bench.kinds() == ["TrainingQueued", "TrainingStarted", "TrainingFailed"]


async def test_models_page_and_lineage(bench: Bench) -> None:
    assert [await bench.publish(*titles) for titles in (("Si", "Water"), ("A",), ("B",))] == ["1.0", "1.1", "1.2"]
    first = await bench.queries.ListModels(registry.ListModelsRequest(page_size=2))
    assert [one.version for one in first.models] == ["1.2", "1.1"]
    rest = await bench.queries.ListModels(registry.ListModelsRequest(page_size=2, page_token=first.next_page_token))
    assert ([one.version for one in rest.models], rest.next_page_token) == (["1.0"], "")
    line = await bench.queries.GetLineage(registry.GetLineageRequest(version_or_alias="1.1"))
    assert [(one.version, one.parent_version) for one in line.models] == [("1.1", "1.0"), ("1.0", "")]


async def test_rounds_page(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    await bench.planned("A")
    first = await bench.queries.ListRounds(registry.ListRoundsRequest(page_size=1))
    (waiting,) = first.rounds
    assert (waiting.state, waiting.new_datasets, waiting.attempt) == (registry.ROUND_STATE_WAITING, 1, 0)
    assert (waiting.parent_version, waiting.total_steps, waiting.HasField("ended")) == ("1.0", 90, False)
    rest = await bench.queries.ListRounds(registry.ListRoundsRequest(page_size=1, page_token=first.next_page_token))
    (published,) = rest.rounds
    assert (published.state, published.model_version) == (registry.ROUND_STATE_PUBLISHED, "1.0")
    assert published.HasField("ended")
    assert rest.next_page_token == ""


@pytest.mark.parametrize("asked", ["latest", "1.0", "stable", "x'; drop table models; --"])
async def test_a_model_that_there_is_not(bench: Bench, asked: str) -> None:
    calls: tuple[Awaitable[object], ...] = (
        bench.queries.GetModel(registry.GetModelRequest(version_or_alias=asked)),
        bench.queries.GetLineage(registry.GetLineageRequest(version_or_alias=asked)),
    )
    for call in calls:
        assert await refused(call) == (
            grpc.StatusCode.NOT_FOUND,
            f"there is no model {asked!r}; nothing was published yet",
        )


async def test_wrong_questions_say_what_is_wrong(bench: Bench) -> None:
    calls: dict[str, Awaitable[object]] = {
        "version_or_alias is empty": bench.queries.GetModel(registry.GetModelRequest()),
        "page_token 'x' is not one": bench.queries.ListModels(registry.ListModelsRequest(page_token="x")),
        "page_token '-1' is not one": bench.queries.ListRounds(registry.ListRoundsRequest(page_token="-1")),
    }
    for complaint, call in calls.items():
        code, details = await refused(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert complaint in details

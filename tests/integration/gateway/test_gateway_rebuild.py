"""Read tables from the log, while the site serves: the same as before, whole at every moment, or the old ones."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import patience
import psycopg
from contracts.base import DatasetRef
from contracts.envelope import Event
from contracts.events import DatasetLookedInto
from gateway.stores.rebuild import TABLES
from gateway_bench import Member, Outside, Site, eventually
from gateway_examples import (
    blob,
    covered,
    finished,
    metric_started,
    passed,
    progress,
    published,
    queued,
    reading,
    receipt,
    rejected,
    released,
    started,
    validated,
    withheld,
)
from gateway_views import a_dataset, handled, judged, shared_only, view, watching


async def command(env: dict[str, str]) -> tuple[int, str]:
    """`python -m gateway rebuild`: (exit code, what it said)."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway", "rebuild"),
        env=os.environ | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(child.communicate(), patience.SECONDS)
    assert child.returncode is not None
    return child.returncode, said.decode()


async def rows(env: dict[str, str]) -> dict[str, list[Any]]:
    """Every read table, and what is kept beside them."""
    found = {}
    dsn = env["POTLUCK_GATEWAY_DATABASE_DSN"]
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        for table in (*TABLES, "reruns", "contribution_log", "inbox", "mails", "datasets"):
            # The names of tables come from our own list.
            cursor = await connection.execute(f"select t::text from {table} t order by 1")
            found[table] = [row[0] for row in await cursor.fetchall()]
        cursor = await connection.execute("select delivery_id from webhook_deliveries order by 1")
        found["webhook_deliveries"] = [row[0] for row in await cursor.fetchall()]
    return found


async def history(site: Site, mei: Member, number: int) -> tuple[DatasetRef, list[Event]]:
    """A dataset, and what happened to it in the order in which it happened."""
    dataset, round_id = await a_dataset(mei), uuid4()
    report = await judged(site, dataset)
    trains = [validated(dataset), metric_started(dataset), passed(dataset, report), queued(round_id, dataset)]
    trains += [started(round_id), progress(round_id, 100, 400), progress(round_id, 200, 300), finished(round_id)]
    ways: list[list[Event]] = [
        [*trains, published(round_id, dataset, version=f"1.{number + 1}"), receipt(dataset, round_id)],
        [*trains, withheld(round_id), released(round_id, dataset)],
        [validated(dataset), metric_started(dataset), covered(dataset, report)],
        [rejected(dataset)],
        [reading(dataset, 40)],
    ]
    return dataset, ways[number % len(ways)]


async def test_after_any_history_the_tables_are_the_same(
    site: Site, mei: Member, outside: Outside, gateway_env: dict[str, str]
) -> None:
    hook = {"url": "https://receiver.example.org/", "types": [published(uuid4()).ce_type()]}
    assert (await mei.request("POST", "/api/v1/webhooks", json=hook)).status_code == 201
    begin = datetime.now(UTC)  # after the webhook: it hears nothing of what was before it
    chance = random.Random(20261126)
    told: list[tuple[Event, timedelta]] = []
    for number in range(10):
        _, events = await history(site, mei, number)
        told += [(event, timedelta(milliseconds=place)) for place, event in enumerate(events)]
    chance.shuffle(told)
    for event, after in told:
        identifier = uuid4()
        for _ in range(chance.choice((1, 2))):
            await outside.say(event, at=begin + after, identifier=identifier)
    await handled(site, outside, progress(uuid4(), 1, 1))
    await eventually(lambda: nothing_waits(outside))
    cleaned = blob("shared/x/archive.tar.zst")
    await handled(
        site,
        outside,
        DatasetLookedInto(dataset=await shared_only(mei)),
        DatasetLookedInto(dataset=await shared_only(mei), download=cleaned, removed=("run/POTCAR",)),
        rejected(await shared_only(mei)),
    )
    await shared_only(mei)
    await eventually(lambda: nothing_waits(outside))
    held_up = await a_dataset(mei)
    async with site.base.database.transaction() as connection:
        await connection.execute(
            "update contributions set held_up = 'a step failed', held_up_at = now() + interval '1 s'"
            " where dataset_id = %s",
            (held_up.dataset_id,),
        )
        await connection.execute("update catalogue set held_up = true where dataset_id = %s", (held_up.dataset_id,))
    before = await rows(gateway_env)
    assert before["webhook_deliveries"]
    code, said = await command(gateway_env)
    assert code == 0, said
    assert " 0 rows of 0 datasets differed" in said
    assert await rows(gateway_env) == before
    # What comes afterwards is taken in as ever.
    dataset = await a_dataset(mei)
    await handled(site, outside, validated(dataset))
    assert (await view(site, dataset))["state"] == "validated"


async def nothing_waits(outside: Outside) -> bool:
    consumer = await outside.jetstream.consumer_info("POTLUCK", "gateway-events")
    return bool(consumer.num_pending == 0 and consumer.num_ack_pending == 0)


async def spoil(site: Site) -> None:
    async with site.base.database.transaction() as connection:
        for table in (
            "curve_points",
            "round_starts",
            "round_datasets",
            "rounds",
            "models",
            "dataset_facts",
            "catalogue",
            "catalogue_words",
        ):
            await connection.execute(f"delete from {table}")
        await connection.execute("update contributions set validated = null, metric = null, state = 'uploaded'")


async def test_readers_see_the_old_tables_or_the_new_ones(
    site: Site, mei: Member, outside: Outside, gateway_env: dict[str, str]
) -> None:
    for number in (0, 5, 10):
        _, events = await history(site, mei, number)
        await handled(site, outside, *events)
    dataset, events = await history(site, mei, 15)
    await handled(site, outside, *events)
    right = await rows(gateway_env)
    await spoil(site)
    spoiled = await rows(gateway_env)
    seen: list[tuple[str, int]] = []
    over = asyncio.Event()

    async def read() -> None:
        last = False
        while not last:
            last = over.is_set()  # once more, for what there is afterwards
            async with site.base.database.transaction() as connection:
                cursor = await connection.execute(
                    "select (select count(*) from catalogue) as listed, (select count(*) from curve_points) as points,"
                    " (select count(*) from contributions where state = 'published') as published"
                )
                seen.append(tuple((await cursor.fetchone() or {}).values()))
            assert (await site.http.get(f"/api/v1/datasets/{dataset.dataset_id}")).status_code == 200
            assert (await site.http.get("/api/v1/search")).status_code == 200

    reader = asyncio.create_task(read())
    async with watching(site, dataset) as stream:
        assert (await anext(stream)).data["state"] == "uploaded"
        code, said = await command(gateway_env)
        assert code == 0, said
        shown = await asyncio.wait_for(anext(stream), 60)
        while "state" not in shown.data:
            shown = await asyncio.wait_for(anext(stream), 60)
        assert shown.data["state"] == "published"
    over.set()
    await reader
    now = await rows(gateway_env)
    assert set(seen) <= {(0, 0, 0), (4, 8, 4)}
    assert seen[0] != seen[-1]
    for table in ("rounds", "round_datasets", "curve_points", "models", "catalogue", "catalogue_words"):
        assert now[table] == right[table] != spoiled[table]


async def test_killed_in_the_middle_it_leaves_the_old_tables(
    site: Site, mei: Member, outside: Outside, gateway_env: dict[str, str]
) -> None:
    for number in range(4):
        _, events = await history(site, mei, number)
        await handled(site, outside, *events)
    await spoil(site)
    spoiled = await rows(gateway_env)
    dsn = gateway_env["POTLUCK_GATEWAY_DATABASE_DSN"]
    async with await psycopg.AsyncConnection.connect(dsn) as holder:
        # It waits for this row when it has put most of the new ones in place.
        await holder.execute("insert into models (version, published, event) values ('1.1', now(), '{}')")
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway", "rebuild", env=os.environ | gateway_env
        )
        try:
            await eventually(lambda: waits_for_writers(dsn))
        finally:
            child.send_signal(signal.SIGKILL)
            await child.wait()
        await holder.rollback()
    assert await rows(gateway_env) == spoiled
    await eventually(lambda: no_session(dsn))
    code, said = await command(gateway_env)
    assert code == 0, said
    assert await rows(gateway_env) != spoiled


async def sessions(dsn: str, condition: str) -> int:
    query = "select count(*) from pg_stat_activity where application_name = 'gateway-rebuild'" + condition
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return int(row[0])


async def waits_for_writers(dsn: str) -> bool:
    return await sessions(dsn, " and wait_event_type = 'Lock'") > 0


async def no_session(dsn: str) -> bool:
    return await sessions(dsn, "") == 0

"""What gateway tests say and see: facts told and taken in, views, live streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from contracts.base import BlobRef, DatasetRef
from contracts.envelope import Event
from gateway_bench import Member, Outside, Site, StreamEvent, eventually, read_events
from gateway_examples import report


async def view(site: Site, dataset: DatasetRef) -> dict[str, Any]:
    """As a stranger sees it."""
    return dict((await site.http.get(f"/api/v1/datasets/{dataset.dataset_id}")).json())


async def until(site: Site, dataset: DatasetRef, **expected: Any) -> dict[str, Any]:
    """The view once it has these members."""

    async def there() -> dict[str, Any] | None:
        now = await view(site, dataset)
        return now if all(now[name] == value for name, value in expected.items()) else None

    return dict(await eventually(there))


async def handled(site: Site, outside: Outside, *events: Event) -> None:
    """Say them in this order and wait until the gateway has taken in every one."""
    said = [await outside.say(event) for event in events]

    async def all_in_inbox() -> bool:
        async with site.base.database.transaction() as connection:
            cursor = await connection.execute("select count(*) as known from inbox where event_id = any(%s)", (said,))
            row = await cursor.fetchone()
        return row is not None and row["known"] == len(set(said))

    await eventually(all_in_inbox)


async def judged(site: Site, dataset: DatasetRef) -> BlobRef:
    """A report with one picture, in storage."""
    picture = await site.base.blobs.put_bytes("metric/x/parity-force.svg", b"<svg/>")
    return await site.base.blobs.put_model("metric/x/report.json", report(dataset, {"parity-force.svg": picture}))


async def a_dataset(member: Member, **fields: Any) -> DatasetRef:
    """Published, and its own DatasetUploaded taken in: what comes next is what a test says."""
    made = await member.publish(**fields)

    async def taken_in() -> bool:
        async with member.site.base.database.transaction() as connection:
            cursor = await connection.execute("select position from contributions where dataset_id = %s", (made["id"],))
            row = await cursor.fetchone()
        return row is not None and row["position"] == 1

    await eventually(taken_in)
    return DatasetRef(dataset_id=made["id"], version=made["version"])


async def shared_only(member: Member, **fields: Any) -> DatasetRef:
    """Published without joining the DPA dataset; nobody has looked into its archive yet."""
    made = await member.publish(dpa=False, **fields)
    assert made["state"] == "shared"
    return DatasetRef(dataset_id=made["id"], version=1)


@asynccontextmanager
async def watching(
    site: Site, dataset: DatasetRef, last: str | None = None
) -> AsyncIterator[AsyncIterator[StreamEvent]]:
    headers = {"last-event-id": last} if last is not None else {}
    path = f"/api/v1/datasets/{dataset.dataset_id}/events"
    async with site.http.stream("GET", path, headers=headers, timeout=60) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield read_events(response)


async def take(events: AsyncIterator[StreamEvent], most: int) -> list[StreamEvent]:
    return [await asyncio.wait_for(anext(events), 60) for _ in range(most)]

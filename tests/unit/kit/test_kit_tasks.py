"""A service whose background task failed must not look alive."""

import asyncio

import pytest
from kit.tasks import Tasks


async def test_a_failed_task_ends_the_service() -> None:
    tasks = Tasks()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("relay broke")

    tasks.create_task(fail())
    with pytest.raises(RuntimeError, match="relay broke"):
        await asyncio.wait_for(tasks.wait(asyncio.Event()), 30)


async def test_a_task_that_failed_before_waiting_counts() -> None:
    tasks = Tasks()

    async def fail() -> None:
        raise RuntimeError("at once")

    task = tasks.create_task(fail())
    await asyncio.wait({task})
    with pytest.raises(RuntimeError, match="at once"):
        await asyncio.wait_for(tasks.wait(asyncio.Event()), 30)


async def test_a_task_that_ends_well_ends_nothing() -> None:
    tasks, stop = Tasks(), asyncio.Event()
    tasks.create_task(asyncio.sleep(0))
    asyncio.get_running_loop().call_later(0.05, stop.set)
    await asyncio.wait_for(tasks.wait(stop), 30)


async def test_cancel_waits_for_the_end() -> None:
    tasks, ended = Tasks(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    tasks.create_task(work())
    await asyncio.sleep(0)
    await tasks.cancel()
    assert ended.is_set()

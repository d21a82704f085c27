"""How the tests of trainers wait: as long as something is done for it, and no longer."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from trainer_fleet import until, within

WORKING, IDLE = "print(flush=True)\nwhile True: pass", "import time; print(flush=True); time.sleep(60)"


@asynccontextmanager
async def child(program: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()  # its own start is work too
        yield
    finally:
        process.kill()
        await process.wait()


async def test_work_that_takes_longer_is_waited_for() -> None:
    async with child(WORKING):
        end = time.monotonic() + 2.5
        await until("it", lambda: time.monotonic() > end, seconds=1)


async def test_nothing_is_waited_for_when_nobody_works() -> None:
    async with child(IDLE):
        with pytest.raises(TimeoutError, match=r"waited for: it; .* processor time"):
            await until("it", lambda: False, seconds=0.5)


async def test_a_loop_is_not_work_for_ever() -> None:
    async with child(WORKING):
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="waited for: it"):
            await until("it", lambda: False, seconds=0.25)
    assert time.monotonic() - began > 0.5, "not before it was clear that nothing comes of it"


async def test_what_must_be_so_by_then_is_not_waited_for_longer() -> None:
    async with child(WORKING):
        with pytest.raises(TimeoutError, match=r"not so after 0\.1 s: it"):
            await within(0.1, "it", lambda: False)

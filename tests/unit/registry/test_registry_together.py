"""Many who ask at the same time cost few transactions; what one of them meets is no one else's trouble."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from registry.domain.rounds import UnknownModel
from registry.queries.together import AT_ONCE, Together


class Reads:
    """Takes a moment for each transaction, and keeps which versions it read."""

    def __init__(self, error: Exception | None = None) -> None:
        self.done: list[list[str]] = []
        self.error = error

    async def __call__(self, versions: Sequence[str]) -> list[str]:
        self.done.append(list(versions))
        await asyncio.sleep(0.01)
        if self.error is not None:
            raise self.error
        return [f"model {version}" for version in versions]


async def test_one_version_that_all_ask_for_is_read_once() -> None:
    reads = Reads()
    together = Together(reads)
    assert await asyncio.gather(*(together.one("1.0") for _ in range(64))) == ["model 1.0"] * 64
    assert reads.done == [["1.0"]]
    await together.one("1.0")
    assert len(reads.done) == 2  # nothing is kept here


async def test_what_comes_while_one_reads_is_read_by_the_next() -> None:
    reads = Reads()
    together = Together(reads)
    first = asyncio.ensure_future(together.one("1.0"))
    await asyncio.sleep(0.001)
    names = [f"1.{number}" for number in range(1, 2 * AT_ONCE + 2)]
    assert await asyncio.gather(*map(together.one, names)) == [f"model {name}" for name in names]
    assert await first == "model 1.0"
    assert [len(one) for one in reads.done] == [1, AT_ONCE, AT_ONCE, 1]


async def test_everybody_hears_of_a_failure_and_the_next_is_tried() -> None:
    reads = Reads(UnknownModel("1.0"))
    together = Together(reads)
    told: list[Any] = await asyncio.gather(*(together.one("1.0") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [UnknownModel] * 3
    reads.error = None
    assert await together.one("1.0") == "model 1.0"


async def test_who_gives_up_takes_nothing_from_the_others() -> None:
    together = Together(Reads())
    patient, hasty = (asyncio.ensure_future(together.one("1.0")) for _ in range(2))
    await asyncio.sleep(0.001)
    hasty.cancel()
    assert await patient == "model 1.0"
    with pytest.raises(asyncio.CancelledError):
        await hasty

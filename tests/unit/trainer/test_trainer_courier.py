"""What the courier sends, in which order, and what it does when nobody answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from contracts.base import BlobRef, BranchError
from trainer import courier
from trainer.courier import Courier
from trainer.domain import Checkpoint, Lease, LeaseLost, RegistryAway, Report

LEASE = Lease(uuid4(), 3, 1, 30, "smoke", 100, 1, None, None, (), (), None, None)


@dataclass
class Recorder:
    """Registry and storage in one; `away` answers are lost before the next is heard."""

    away: int = 0
    lost: bool = False
    heard: list[object] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)

    def _answer(self, said: object) -> None:
        if self.lost:
            raise LeaseLost("a successor owns the round")
        if self.away:
            self.away -= 1
            raise RegistryAway("UNAVAILABLE")
        self.heard.append(said)

    async def report(self, lease: Lease, report: Report) -> None:
        self._answer(report.step)

    async def checkpoint(self, lease: Lease, checkpoint: Checkpoint) -> None:
        assert checkpoint.blob.key in self.stored
        self._answer(f"checkpoint {checkpoint.step}")

    async def put_file(self, key: str, path: Path) -> BlobRef:
        data = path.read_bytes()
        self.stored.add(key)
        return BlobRef(key=key, sha256="0" * 64, size=len(data))

    async def delete(self, key: str) -> None:
        self.stored.remove(key)


def report(step: int, *, look: bool = False) -> Report:
    """A sign of life, or a look at held-out frames."""
    errors = (BranchError(branch="silicon", energy_rmse_mev_per_atom=1, force_rmse_mev_per_angstrom=1),)
    return Report(step, 1e-3, errors if look else (), 1, 1)


@asynccontextmanager
async def delivering(recorder: Recorder, pause: float = 0.0) -> AsyncIterator[Courier]:
    carrier = Courier(recorder, recorder, LEASE, pause)
    task = asyncio.create_task(carrier.run())
    try:
        yield carrier
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "FIRST_RETRY_SECONDS", 0.001)


async def heard(recorder: Recorder, count: int) -> None:
    """Wait until so much was delivered, and give what else might be a moment."""
    async with asyncio.timeout(30):
        while len(recorder.heard) < count:
            await asyncio.sleep(0)
    await asyncio.sleep(0.01)


async def test_every_look_is_delivered_however_long_nobody_answered() -> None:
    recorder = Recorder()
    async with delivering(recorder, pause=60) as carrier:
        for step in range(1, 9):
            carrier.report(report(step, look=step % 3 == 0))
            await heard(recorder, 1)
        assert recorder.heard == [1]
        await asyncio.wait_for(carrier.flush(), 30)
    assert recorder.heard == [1, 3, 6, 8]


async def test_between_two_signs_of_life_only_the_newest_waits() -> None:
    recorder = Recorder()
    async with delivering(recorder, pause=60) as carrier:
        carrier.report(report(1))
        await heard(recorder, 1)
        carrier.report(report(2))
        carrier.report(report(3))
        await asyncio.sleep(0.01)
        assert recorder.heard == [1]
        await asyncio.wait_for(carrier.flush(), 30)
    assert recorder.heard == [1, 3]


async def test_a_checkpoint_does_not_wait_for_the_next_report(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"a")
    recorder = Recorder()
    async with delivering(recorder, pause=60) as carrier:
        carrier.report(report(1))
        await heard(recorder, 1)
        carrier.report(report(2))
        carrier.saved(tmp_path / "a.pt", 2)
        await heard(recorder, 2)
    assert recorder.heard == [1, "checkpoint 2"]


async def test_the_previous_checkpoint_goes_when_the_newer_is_known(tmp_path: Path) -> None:
    recorder = Recorder()
    async with delivering(recorder) as carrier:
        for step in (10, 20):
            path = tmp_path / f"{step}.pt"
            path.write_bytes(b"x")
            carrier.saved(path, step)
            await asyncio.wait_for(carrier.flush(), 30)
    assert recorder.heard == ["checkpoint 10", "checkpoint 20"]
    assert recorder.stored == {f"rounds/{LEASE.round_id}/checkpoint-3-20.pt"}


async def test_a_checkpoint_that_the_engine_replaced_meanwhile_is_passed_over(tmp_path: Path) -> None:
    recorder = Recorder()
    async with delivering(recorder) as carrier:
        carrier.saved(tmp_path / "gone.pt", 10)
        carrier.report(report(11))
        await asyncio.wait_for(carrier.flush(), 30)
    assert recorder.heard == [11]


async def test_what_the_registry_missed_is_said_again_until_it_answers() -> None:
    recorder = Recorder(away=3)
    async with delivering(recorder) as carrier:
        carrier.report(report(5))
        await asyncio.wait_for(carrier.flush(), 30)
    assert recorder.heard == [5]


async def test_a_lost_lease_ends_the_courier() -> None:
    recorder = Recorder(lost=True)
    carrier = Courier(recorder, recorder, LEASE, 0)
    carrier.report(report(1))
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(carrier.run(), 30)

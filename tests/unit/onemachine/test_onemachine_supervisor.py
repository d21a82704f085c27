"""The supervisor over small programs: order, restart, back-off, nothing left."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from onemachine.errors import CannotStart
from onemachine.process import Command
from onemachine.supervisor import Stage, Supervisor
from onemachine.unit import LOGS_KEPT, Unit, rotate

# Writes its name when it starts and when it is told to stop.
PROGRAM = """
import signal, sys, pathlib, time
name, journal = sys.argv[1], pathlib.Path(sys.argv[2])
def note(word):
    with journal.open("a") as file:
        file.write(f"{word} {name}\\n")
def stop(*_):
    note("stop")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note("start")
while True:
    time.sleep(60)
"""


def unit(name: str, folder: Path, program: str = PROGRAM, ready: bool = True) -> Unit:
    journal = folder / "journal"

    def answers() -> bool:
        return ready and journal.exists() and f"start {name}\n" in journal.read_text()

    command = Command([sys.executable, "-S", "-c", program, name, str(journal)], folder=folder)
    return Unit(name, command, answers, folder / f"{name}.log")


async def stop_when(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            break
        await asyncio.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)


async def test_starts_in_order_and_stops_in_reverse(tmp_path: Path) -> None:
    said: list[str] = []
    first, second = unit("first", tmp_path), unit("second", tmp_path)

    async def between() -> None:
        said.append("between")
        assert first.ready.is_set()
        assert second.pid is None

    def ready() -> None:
        said.append("ready")
        os.kill(os.getpid(), signal.SIGTERM)

    await Supervisor([Stage([first], between), Stage([second])], ready, said.append).run()
    assert said == ["first ready", "between", "second ready", "ready"]
    lines = (tmp_path / "journal").read_text().splitlines()
    assert lines == ["start first", "start second", "stop second", "stop first"]


async def test_starts_again_what_was_killed(tmp_path: Path) -> None:
    said: list[str] = []
    one = unit("one", tmp_path)

    def ready() -> None:
        assert one.pid is not None
        os.kill(one.pid, signal.SIGKILL)

    supervisor = Supervisor([Stage([one])], ready, said.append)
    async with asyncio.timeout(60):
        await asyncio.gather(supervisor.run(), stop_when(lambda: one.starts == 2 and one.ready.is_set()))
    assert said == ["one ready", "one ended (SIGKILL); again in 0.2 s", "one ready"]


async def test_ends_what_a_killed_unit_left_behind(tmp_path: Path) -> None:
    orphan = "import subprocess, sys; child = subprocess.Popen(['sleep', '1000'])\n"
    record = "open(sys.argv[2] + '.child', 'w').write(str(child.pid))\n"
    one = unit("one", tmp_path, orphan + record + PROGRAM)
    pids: list[int] = []

    def ready() -> None:
        pids.append(int((tmp_path / "journal.child").read_text()))
        assert one.pid is not None
        os.kill(one.pid, signal.SIGKILL)

    supervisor = Supervisor([Stage([one])], ready, lambda _sentence: None)
    async with asyncio.timeout(60):
        await asyncio.gather(supervisor.run(), stop_when(lambda: one.starts == 2 and one.ready.is_set()))
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


async def test_gives_up_on_what_never_starts_and_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onemachine.unit.FIRST_DELAY_SECONDS", 0.01)
    monkeypatch.setattr("onemachine.unit.LONGEST_DELAY_SECONDS", 0.02)
    healthy = unit("healthy", tmp_path)
    broken = unit("broken", tmp_path, "import sys; sys.exit('no such setting')", ready=False)
    supervisor = Supervisor([Stage([healthy]), Stage([broken])], lambda: None, lambda _sentence: None)
    with pytest.raises(CannotStart, match="no such setting"):
        await supervisor.run()
    assert (tmp_path / "journal").read_text().splitlines() == ["start healthy", "stop healthy"]


async def test_kills_what_does_not_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onemachine.unit.GRACE_SECONDS", 0.2)
    said: list[str] = []
    deaf = unit(
        "deaf", tmp_path, PROGRAM.replace("signal.signal(signal.SIGTERM, stop)", "signal.signal(15, signal.SIG_IGN)")
    )
    await Supervisor([Stage([deaf])], lambda: os.kill(os.getpid(), signal.SIGTERM), said.append).run()
    assert said == ["deaf ready", "deaf did not stop within 0 s: killed"]


def test_logs_of_the_last_runs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    for run in range(LOGS_KEPT + 3):
        rotate(log)
        log.write_text(str(run))
    rotate(log)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {f"one.log.{number}": str(LOGS_KEPT + 3 - number) for number in range(1, LOGS_KEPT + 1)}

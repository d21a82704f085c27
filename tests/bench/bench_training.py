"""What the platform adds to deepmd's own training: to every step, by looking at held-out frames, and to the start.

The same rendered input, seeds and data on both sides: the laptop preset on the demo's silicon and water, and the small
one where a GPU is. So that other work on the machine meets both alike, they run by turns: steps half a second each,
starts one after the other. Told are ratios of pairs, of wall time and of processor time, which other work disturbs
least.
"""

import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import reference_model
from contracts.fleet.v1 import fleet_pb2 as pb
from dpa.environment import environment
from frames.frame import Frame
from frames.store import write
from kit.blobs import Blobs
from trainer.hardware import installed_gpus
from trainer.preset import load_preset
from trainer.recipe import render
from trainer.work import WORK_FILE, Work, WorkBranch
from trainer_fleet import PRESETS, FakeFleet, WorkerProcess, children, serving, stored_branch, until

STEPS = 500
TURNS = 3
SLICE = 0.5
BRANCHES = tuple(reference_model.BRANCHES)
# What this machine is for.
TRAINABLE = ("laptop", "small") if installed_gpus() else ("laptop",)
FIRST_STEP = re.compile(rb"Batch +1:|batch +1:|batch +1,")


def work_in(folder: Path, steps: int, preset: str) -> Work:
    parts = []
    for name in BRANCHES:
        train, held_out = folder / f"{name}.train.lmdb", folder / f"{name}.held-out.lmdb"
        frames = reference_model.training_frames(name)
        write(train, frames)
        write(held_out, reference_model.held_out_frames(name))
        elements = tuple(sorted({symbol for frame in frames for symbol in frame.symbols}))
        parts.append(
            WorkBranch(
                name=name,
                train=train,
                held_out=held_out,
                has_virial=True,
                elements=elements,
                is_new=True,
                weight=1 / len(BRANCHES),
            )
        )
    work = Work(
        preset=load_preset(PRESETS, preset),
        total_steps=steps,
        seed=1,
        parent=None,
        resume_from=None,
        branches=tuple(parts),
    )
    (folder / WORK_FILE).write_text(work.model_dump_json())
    return work


@pytest.mark.parametrize("preset", TRAINABLE)
def test_overhead_of_a_step_and_of_looking(tmp_path: Path, preset: str) -> None:
    pairs = [in_turns(tmp_path / f"pair-{turn}", preset) for turn in range(TURNS)]
    looked = max(STEPS, 3 * load_preset(PRESETS, preset).evaluate_every)
    whole, use = alone(tmp_path / "whole", preset, looked)
    assert whole["looks"] >= 2
    print(
        f"\n{preset}: {STEPS} steps, both by turns of {SLICE:g} s, {TURNS} pairs; the median of their ratios, and each:"
    )
    for clock, words in (("cpu", "processor time"), ("wall", "wall time of their turns")):
        ratios = [pair["steps"][clock] / pair["bare"][clock] for pair in pairs]
        each = statistics.median(pair["bare"][clock] for pair in pairs) / STEPS
        every = ", ".join(percent(ratio) for ratio in ratios)
        print(f"  {words}: a step of {1e3 * each:.1f} ms costs {percent(statistics.median(ratios))} more ({every})")
    print(f"  {whole['looks']:.0f} looks at held-out frames in {looked:,} steps take, of training without them,")
    for clock, words in (("cpu", "processor time"), ("wall", "wall time")):
        looking = whole[f"looking_{clock}"]
        print(f"    {100 * looking / (whole[clock] - looking):.2f} % of the {words}")
    print(f"  {looked / whole['wall']:.1f} steps a second, looks included{use}")
    print(
        f"  fitting energies at the end takes {whole['aligning_wall']:.2f} s (processor {whole['aligning_cpu']:.2f} s)"
    )


@pytest.mark.parametrize("preset", TRAINABLE)
def test_start_of_a_round(tmp_path: Path, preset: str) -> None:
    """One of each after the other, so that what else the machine does meets all alike."""
    starts: dict[str, list[Start]] = {"bare": [], "warm": [], "cold": []}
    for turn in range(TURNS):
        starts["bare"].append(bare_start(tmp_path / f"bare-{turn}", preset))
        for how in ("warm", "cold"):
            start = asyncio.run(lease_to_first_step(tmp_path / f"{how}-{turn}", preset, warm=how == "warm"))
            starts[how].append(start)
    print(f"\n{preset}: `dp --pt train` from its start to the first step: {told(starts['bare'])}")
    for how in ("warm", "cold"):
        for clock in ("wall", "cpu"):
            ratios = [
                getattr(one, clock) / getattr(peer, clock)
                for one, peer in zip(starts[how], starts["bare"], strict=True)
            ]
            every = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"  lease to first step, {how}: {statistics.median(ratios):.2f} times in {clock} time ({every})")
        print(f"    {told(starts[how])}")


@dataclass(frozen=True)
class Start:
    """Seconds until the first step was told: by the clock, and of processor time of all processes concerned."""

    wall: float
    cpu: float


def told(starts: Sequence[Start]) -> str:
    return ", ".join(f"{one.wall:.1f} s (processor {one.cpu:.1f} s)" for one in starts)


def in_turns(folder: Path, preset: str) -> dict[str, dict[str, float]]:
    """Bare deepmd and the engine's session, of which one runs while the other is stopped. Seconds by way and clock."""
    running, wall, said = {}, {"bare": 0.0, "steps": 0.0}, {}
    with ExitStack() as stack:
        for how in wall:
            work = folder / how
            work.mkdir(parents=True)
            work_in(work, STEPS, preset)
            process = stack.enter_context(trained(work, how))
            stack.callback(process.kill)
            assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1]), "it ended before its first step"
            running[how] = process
        while running:
            for how, process in list(running.items()):
                began = time.monotonic()
                process.send_signal(signal.SIGCONT)
                with suppress(subprocess.TimeoutExpired):
                    said[how] = json.loads(process.communicate(timeout=SLICE)[0].splitlines()[-1])
                    del running[how]
                process.send_signal(signal.SIGSTOP)
                wall[how] += time.monotonic() - began
    return {how: {"cpu": said[how]["cpu"], "wall": wall[how]} for how in wall}


def alone(folder: Path, preset: str, steps: int) -> tuple[dict[str, float], str]:
    """What it took, and in words what it used of a GPU."""
    folder.mkdir()
    work_in(folder, steps, preset)
    with used_of_gpu() as use, trained(folder, "whole") as process:
        found: dict[str, float] = json.loads(process.communicate()[0].splitlines()[-1])
        return found, use(found["wall"])


@contextmanager
def used_of_gpu() -> Iterator[Callable[[float], str]]:
    """What the first GPU was used for in the last so many seconds, by its driver's own count, in words."""
    if not installed_gpus():
        yield lambda _seconds: ""
        return
    query = ("nvidia-smi", "-i", "0", "--query-gpu=name,utilization.gpu,memory.used,power.draw")
    command = (*query, "--format=csv,noheader,nounits", "-lms", str(int(1000 * SLICE)))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sampling:

        def told(seconds: float) -> str:
            sampling.terminate()
            rows = [line.split(", ") for line in sampling.communicate()[0].splitlines() if line.count(",") == 3]
            # The last sample may be of a process that is ending.
            rows = rows[-1 - int(seconds / SLICE) : -1]
            busy, memory, watts = ([float(row[place]) for row in rows] for place in (1, 2, 3))
            return (
                f"; {rows[0][0]} busy {statistics.mean(busy):.0f} % of the time, {max(memory):,.0f} MiB taken, "
                f"{statistics.mean(watts):.0f} W"
            )

        try:
            yield told
        finally:
            sampling.terminate()


def trained(folder: Path, how: str) -> subprocess.Popen[str]:
    script = Path(__file__).parents[1] / "support" / "train_once.py"
    command = [sys.executable, str(script), str(folder), how]
    return subprocess.Popen(
        command, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def bare_start(folder: Path, preset: str) -> Start:
    """Until deepmd's command has told its first step."""
    folder.mkdir()
    work = work_in(folder, 3, preset)
    recipe = render(work, {branch.name: branch.train for branch in work.branches})
    recipe["training"] |= {"disp_training": True, "disp_freq": 1}
    (folder / "input.json").write_text(json.dumps(recipe))
    command = [sys.executable, "-m", "deepmd", "--pt", "train", "input.json", "--skip-neighbor-stat"]
    started = time.monotonic()
    child = subprocess.Popen(
        command, cwd=folder, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout is not None
    said = b""
    for line in child.stdout:
        said += line
        if FIRST_STEP.search(line):
            taken = Start(time.monotonic() - started, used(child.pid))
            child.communicate()
            return taken
    raise AssertionError(said.decode()[-2000:])


async def lease_to_first_step(folder: Path, preset: str, *, warm: bool) -> Start:
    """From the answer to Lease until the report of step 1, held-out errors included, is here."""
    folder.mkdir()
    presets = folder / "presets"
    presets.mkdir()
    described = json.loads((PRESETS / f"{preset}.json").read_text())
    (presets / f"{preset}.json").write_text(json.dumps({**described, "evaluate_every": 1}))
    blobs, fleet = Blobs((folder / "blobs").as_uri()), FakeFleet(ttl=60)
    branches = [
        await stored_branch(
            blobs, folder, name, training(name), reference_model.held_out_frames(name), weight=1 / len(BRANCHES)
        )
        for name in BRANCHES
    ]
    async with serving(fleet) as port:
        settings = {"PRESETS": str(presets), "WARM_START": str(warm).lower()}
        async with WorkerProcess(folder, port, (folder / "blobs").as_uri(), **settings) as worker:
            await until("the worker to be idle", lambda: warm is False or children(worker.pid))
            await idle(worker.pid)
            fleet.offer(pb.RoundSpec(preset=preset, total_steps=1000, seed=1, branches=branches))
            await until("the lease", lambda: fleet.leases)
            leased, before = time.monotonic(), used(worker.pid)
            await until("the first step", lambda: fleet.reports or fleet.failures)
            assert not fleet.failures, fleet.failures
            assert fleet.reports[0].step == 1
            return Start(time.monotonic() - leased, used(worker.pid) - before)


def training(name: str) -> Sequence[Frame]:
    return reference_model.training_frames(name)


async def idle(pid: int) -> None:
    """Until a process and its children have not worked for two seconds."""
    before, quiet = -1.0, 0
    while quiet < 4:
        await asyncio.sleep(0.5)
        now = used(pid)
        quiet = quiet + 1 if now - before < 0.05 else 0
        before = now


def child_environment() -> dict[str, str]:
    paths = [str(Path(__file__).parents[1] / "support"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **environment(), "PYTHONPATH": os.pathsep.join(paths)}


def percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.2f} %"


def used(pid: int) -> float:
    """Seconds of processor time of a process and its children, those that have ended too."""
    own = sum(psutil.Process(pid).cpu_times()[:4])
    return own + sum(sum(psutil.Process(child).cpu_times()[:4]) for child in children(pid))

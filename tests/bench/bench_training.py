"""What the platform adds to deepmd's own training: to every step, by looking at held-out frames, and to the start.

The same rendered input, seeds and data on both sides, the laptop preset on the demo's silicon and water. Seconds are
those of the processor, which other work on the machine disturbs least; each way runs several times, in turn.
"""

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import reference_model
from contracts.fleet.v1 import fleet_pb2 as pb
from dpa.environment import environment
from frames.frame import Frame
from frames.store import write
from kit.blobs import Blobs
from trainer.preset import load_preset
from trainer.recipe import render
from trainer.work import WORK_FILE, Work, WorkBranch
from trainer_fleet import PRESETS, FakeFleet, WorkerProcess, children, serving, stored_branch, until

STEPS = 500
TURNS = 3
BRANCHES = tuple(reference_model.BRANCHES)
FIRST_STEP = re.compile(rb"Batch +1:|batch +1:|batch +1,")


def work_in(folder: Path, steps: int) -> Work:
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
        preset=load_preset(PRESETS, "laptop"),
        total_steps=steps,
        seed=1,
        parent=None,
        resume_from=None,
        branches=tuple(parts),
    )
    (folder / WORK_FILE).write_text(work.model_dump_json())
    return work


def test_overhead_of_a_step_and_of_looking(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "support" / "train_once.py"
    seconds: dict[str, list[float]] = {how: [] for how in ("bare", "steps", "whole")}
    looks = 0
    for turn in range(TURNS):
        for how in seconds:
            folder = tmp_path / f"{how}-{turn}"
            folder.mkdir()
            work_in(folder, STEPS)
            command = [sys.executable, str(script), str(folder), how]
            done = subprocess.run(command, env=child_environment(), capture_output=True, text=True, check=True)
            told = json.loads(done.stdout.splitlines()[-1])
            seconds[how].append(told["cpu"])
            looks = max(looks, told["looks"])
    assert looks >= 2
    best = {how: min(values) for how, values in seconds.items()}
    print(f"\n{STEPS} steps, processor time, best of {TURNS}: " + ", ".join(f"{how} {best[how]:.1f} s" for how in best))
    print(f"  a step costs {percent(best['steps'], best['bare'])} more than in bare deepmd")
    print(f"  {looks} looks at held-out frames cost {percent(best['whole'], best['steps'])} of the training time")
    print(f"  spread of the turns: {', '.join(f'{how} {spread(values)}' for how, values in seconds.items())}")


def test_start_of_a_round(tmp_path: Path) -> None:
    bare = [bare_start(tmp_path / f"bare-{turn}") for turn in range(TURNS)]
    warm = asyncio.run(lease_to_first_step(tmp_path / "warm", warm=True))
    cold = asyncio.run(lease_to_first_step(tmp_path / "cold", warm=False))
    peer = statistics.median(bare)
    every = ", ".join(f"{one:.1f}" for one in bare)
    print(f"\n`dp --pt train` from its start to the first step: {peer:.1f} s (of {every})")
    for name, taken in (("warm", warm), ("cold", cold)):
        print(f"  from a lease to the first step reported, {name} start: {taken:.1f} s, {taken / peer:.2f} times")


def bare_start(folder: Path) -> float:
    """Seconds of wall time until deepmd's command has told its first step."""
    folder.mkdir()
    work = work_in(folder, 3)
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
            taken = time.monotonic() - started
            child.communicate()
            return taken
    raise AssertionError(said.decode()[-2000:])


async def lease_to_first_step(folder: Path, *, warm: bool) -> float:
    """Seconds from the answer to Lease until the report of step 1, held-out errors included, is here."""
    folder.mkdir()
    presets = folder / "presets"
    presets.mkdir()
    preset = json.loads((PRESETS / "laptop.json").read_text())
    (presets / "laptop.json").write_text(json.dumps({**preset, "evaluate_every": 1}))
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
            fleet.offer(pb.RoundSpec(preset="laptop", total_steps=1000, seed=1, branches=branches))
            await until("the lease", lambda: fleet.leases)
            leased = time.monotonic()
            await until("the first step", lambda: fleet.reports or fleet.failures)
            assert not fleet.failures, fleet.failures
            assert fleet.reports[0].step == 1
            return time.monotonic() - leased


def training(name: str) -> Sequence[Frame]:
    return reference_model.training_frames(name)


async def idle(pid: int) -> None:
    """Until a process and its children have not worked for two seconds."""
    before, quiet = -1.0, 0
    while quiet < 4:
        await asyncio.sleep(0.5)
        family = [psutil.Process(pid), *(psutil.Process(child) for child in children(pid))]
        now = sum(sum(one.cpu_times()[:2]) for one in family)
        quiet = quiet + 1 if now - before < 0.05 else 0
        before = now


def child_environment() -> dict[str, str]:
    support = str(Path(__file__).parents[1] / "support")
    return {**os.environ, **environment(), "PYTHONPATH": support}


def percent(mine: float, peer: float) -> str:
    return f"{100 * (mine / peer - 1):+.2f} %"


def spread(values: Sequence[float]) -> str:
    return f"{100 * (max(values) / min(values) - 1):.1f} %"

"""`python -m registry <command>`: what an operator types, and what comes back."""

import asyncio
import os
import sys
from dataclasses import dataclass

import patience
import pytest
from ports import free_port
from registry_bench import TOKEN, Bench, better
from registry_examples import Numbers


@dataclass
class Answer:
    code: int
    out: str
    err: str


async def operate(*arguments: str, **settings: str) -> Answer:
    """The command in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_REGISTRY_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "registry",
        *arguments,
        env={**environment, **{f"POTLUCK_REGISTRY_{name}": value for name, value in settings.items()}},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), patience.SECONDS)
    assert process.returncode is not None
    return Answer(process.returncode, out.decode(), err.decode())


@pytest.fixture
def settings(bench: Bench) -> dict[str, str]:
    return {"ADDRESS": bench.address, "OPERATOR_TOKEN": TOKEN.get_secret_value()}


async def test_an_operator_finds_what_made_a_round_fail(bench: Bench, settings: dict[str, str]) -> None:
    await bench.publish("Si", "Water")
    refs = {title: await bench.arrive(title) for title in ("A", "B")}
    await bench.quiet()
    assert await bench.plan() is not None
    lease = await bench.lease()
    numbers = better(lease.spec.branches) | {"b": Numbers(after=(80, 800), before=(80, 800))}
    assert not (await bench.submit(lease, await bench.candidate(lease, numbers))).published

    rounds = await operate("rounds", "--count", "1", **settings)
    assert rounds.code == 0, rounds.err
    assert f"{lease.round_id}  withheld  grows 1.0" in rounds.out
    assert "✗ learned: Not every new dataset was learned" in rounds.out
    assert "b.force_rmse_after_mev_per_angstrom = 800" in rounds.out
    assert "1.0" not in rounds.out.split("withheld")[0]

    begun = await operate("bisect", lease.round_id, **settings)
    assert begun.out.startswith(f"bisect of round {lease.round_id} goes on")
    assert f"pending: {refs['A']}" in begun.out
    twice = await operate("bisect", lease.round_id, **settings)
    assert (twice.code, twice.out) == (1, "")
    assert "refused: a bisect of round" in twice.err
    assert (await operate("stop", **settings)).out == "stopped; 2 datasets wait again\n"


async def test_every_other_command_says_what_it_did(bench: Bench, settings: dict[str, str]) -> None:
    await bench.publish("Si", "Water")
    await bench.publish("A")
    late = await bench.arrive("Late")
    said = {
        ("pause", "--reason", "maintenance"): "paused: nothing is planned or leased until you resume",
        ("status",): "paused: maintenance",
        ("resume",): "resumed",
        ("alias", "stable", "1.0"): "stable: new → 1.0",
        ("rollback", "latest"): "latest: 1.1 → 1.0",
        ("retire", "1.1", "--reason", "x"): "model 1.1 is retired",
        ("weigh", str(late), "12.5"): "weight 12.5 from the next round on",
        ("withdraw", str(late.dataset_id)): "withdrawn: the next round leaves it out",
        ("cancel",): "",
    }
    for arguments, words in said.items():
        answer = await operate(*arguments, **settings)
        assert answer.out.startswith(words), answer
        assert answer.code == (0 if words else 1)
    assert "trained on it: no version" in (await operate("withdraw", str(late), **settings)).out


async def test_what_goes_wrong_is_told_with_a_code_of_its_own(bench: Bench, settings: dict[str, str]) -> None:
    nobody = await operate("status", **settings | {"OPERATOR_TOKEN": "wrong"})
    assert (nobody.code, nobody.out) == (1, "")
    assert "does not know this token" in nobody.err
    unset = await operate("status")
    assert (unset.code, unset.err) == (2, "POTLUCK_REGISTRY_ADDRESS: Field required\n")
    away = await operate("status", **settings | {"ADDRESS": f"127.0.0.1:{free_port()}", "DEADLINE_SECONDS": "3"})
    assert away.code == 3
    assert "no registry answers at 127.0.0.1:" in away.err
    wrong = await operate("rounds", "--count", "-1", **settings)
    assert wrong.code == 2
    assert "'-1' is not a number from 1 to 200" in wrong.err
    assert (await operate("weigh", "x", "1", **settings)).err.startswith("refused: 'x' version 1 names no dataset")


async def test_an_operator_sees_what_is_in_the_standard_dataset_and_who_is_scored_on_it(
    bench: Bench, settings: dict[str, str]
) -> None:
    assert "no standard dataset yet" in (await operate("standard", **settings)).out
    si = await bench.arrive("Si", private=True)
    await bench.arrive("Water")
    await bench.publish_waiting(frames=5)
    await bench.publish("SiC", frames=5)
    await bench.publish("Ge", frames=5)
    shown = await operate("standard", **settings)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == "S3  of model 1.2: 20 frames of 4 branches  (current)"
    assert any(line.endswith(f"5 frames of {si}, private") for line in lines)
    assert "S1  of model 1.0: 10 frames of 2 branches" in lines
    scored = lines[lines.index("scores:") + 1 :]
    assert [line.split(":")[0].strip() for line in scored] == ["1.2  scored", "1.1  scored", "1.0  waiting"]
    assert "on S2" in scored[2]

"""Growing by a branch of its own against deepmd's `--finetune`, and ten rounds of growth in a row.

Numbers and charts in docs/growth are rewritten with UPDATE_DOCS=1.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import build_reference_model
import growing
import stream
from contracts.artifacts import ModelManifest
from dpa.environment import environment
from growing import Growing, Grown
from line_chart import Line, chart
from registry.domain.policy import GrowthPolicy, score

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs" / "growth"
SUPPORT = ROOT / "tests" / "support"
WAYS = {
    "round": "own, moments and turns",
    "turns": "own, turns",
    "moments": "own, moments",
    "own": "own, neither",
    "copy": "--finetune, copied head",
    "random": "--finetune, new head",
}
COLOURS = {"round": "known", "turns": "guide", "moments": "ink", "own": "muted", "copy": "force", "random": "energy"}
DATASETS = {"sic-first": "SiC, a new element", "si-lda": "silicon with LDA, old structures"}
SEEDS = (1, 2, 3)
STEPS = 400

Curves = dict[str, list[list[float]]]


def test_growing_a_branch_against_finetune(tmp_path: Path) -> None:
    (tmp_path / "parent").mkdir()
    parent = tmp_path / "parent" / asyncio.run(build_reference_model.trained(tmp_path / "parent")).checkpoint
    found: dict[str, dict[str, list[Curves]]] = {}
    for dataset, words in DATASETS.items():
        runs = [curves(parent, dataset, seed) for seed in SEEDS]
        found[dataset] = {way: [run[way] for run in runs] for way in WAYS}
        print(f"\n{words}: held-out force RMSE in meV/Å, mean of {len(SEEDS)} seeds")
        mine = mean(found[dataset]["round"], dataset)
        for way, name in WAYS.items():
            curve = mean(found[dataset][way], dataset)
            along = [statistics.geometric_mean(value for _, value in run[dataset]) for run in found[dataset][way]]
            steps = ", ".join(f"{step:.0f}: {value:.0f}" for step, value in curve if step in (0, 100, 200, STEPS))
            old = {one: mean(found[dataset][way], one)[-1][1] for one in found[dataset][way][0] if one != dataset}
            print(f"  {name:26} {steps}; old branches {', '.join(f'{one} {value:.0f}' for one, value in old.items())}")
            each = ", ".join(f"{one:.0f}" for one in along)
            print(f"    along the way {statistics.fmean(along):.0f} ({each})")
            reached = next((step for step, value in mine if value <= curve[-1][1]), None)
            if way != "round":
                print(f"    its last error is reached by a round after {reached} steps")
    folder = DOCS if os.environ.get("UPDATE_DOCS") else tmp_path
    folder.mkdir(exist_ok=True)
    (folder / "ways.json").write_text(json.dumps(found) + "\n")
    for dataset, words in DATASETS.items():
        drawn_ways(folder / f"ways-{dataset}.svg", dataset, words, found[dataset])


def curves(parent: Path, dataset: str, seed: int) -> dict[str, Curves]:
    """By way."""
    script = str(SUPPORT / "ways_to_grow.py")
    command = [sys.executable, script, str(parent), dataset, str(seed), str(STEPS), "laptop", *WAYS]
    env = {**os.environ, **environment(), "PYTHONPATH": str(SUPPORT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


def mean(runs: list[Curves], branch: str) -> list[tuple[float, float]]:
    """Over seeds, by step."""
    return [
        (points[0][0], statistics.fmean(point[1] for point in points))
        for points in zip(*(run[branch] for run in runs), strict=True)
    ]


def drawn_ways(path: Path, dataset: str, words: str, runs: dict[str, list[Curves]]) -> None:
    lines = []
    for way in runs:
        for run in runs[way]:
            points = [(step, value) for step, value in run[dataset]]
            lines.append(Line("", points, COLOURS[way], 0.6, "2 3"))
        lines.append(Line(WAYS[way], mean(runs[way], dataset), COLOURS[way], 2.4))
    title = f"Growing by {words}: way by way"
    described = "Held-out force error by step, each seed (thin) and their mean, on a logarithmic axis."
    ticks = {float(step): str(step) for step in range(0, STEPS + 1, 100)}
    chart(path, title, described, ("step", "held-out force RMSE, meV/Å"), lines, ticks)


def test_ten_rounds_in_a_row(tmp_path: Path) -> None:
    """A round withheld by the policy counts as one: its dataset does not enter, and the stream goes on."""
    policy = GrowthPolicy.load(ROOT / "deploy" / "policy" / "growth.json")
    history = asyncio.run(grown_ten_times(tmp_path, policy))
    told = [row(one) for one in history]
    first, last = told[0], [one for one in told if one["version"]][-1]
    best = {
        name: min(one["force"][name] for one in told if one["version"] and name in one["force"])
        for name in last["force"]
    }
    worst = max(last["force"][name] / best[name] - 1 for name in best)
    print(f"\n{growing.shares([*stream.founders(), *stream.ten()])} (frames for training + held out)")
    for one in told:
        errors = ", ".join(f"{name} {value:.0f}" for name, value in one["force"].items())
        cost = f"{one['steps']} steps, {one['seconds']:.0f} s"
        print(f"  {one['version'] or 'withheld':8} + {one['added']}, {cost}: {errors}")
        print(f"           score of the first two branches {one['score_first']:.4f}, of all {one['score_all']:.4f}")
    withheld = [one["added"] for one in told if not one["version"]]
    print(f"  withheld: {', '.join(withheld) or 'none'}")
    print(f"  the worst branch is {100 * worst:+.1f} % from its best")
    start, end = first["score_first"], last["score_first"]
    print(f"  score of the first two branches: {start:.4f} at the start, {end:.4f} at the end")
    assert len(told) == 11
    folder = DOCS if os.environ.get("UPDATE_DOCS") else tmp_path
    folder.mkdir(exist_ok=True)
    (folder / "ten-rounds.json").write_text(json.dumps(told, indent=1) + "\n")
    drawn_rounds(folder / "ten-rounds.svg", told)


async def grown_ten_times(folder: Path, policy: GrowthPolicy) -> list[Grown]:
    line = Growing(folder, policy)
    batches = [stream.founders(), *((one,) for one in stream.ten())]
    return [await line.round(*batch) for batch in batches]


def row(grown: Grown) -> dict[str, Any]:
    branches = grown.manifest.branches
    return {
        "version": grown.version,
        "added": ", ".join(one.name for one in grown.plan.new_branches),
        "steps": grown.plan.total_steps,
        "seconds": round(grown.seconds, 1),
        "force": {one.name: round(one.held_out.force_rmse_mev_per_angstrom, 1) for one in branches},
        "energy": {one.name: round(one.held_out.energy_rmse_mev_per_atom, 2) for one in branches},
        "zero_shot": {one.branch: round(one.force_rmse_mev_per_angstrom, 1) for one in grown.manifest.zero_shot},
        "start": {one.branch: round(one.force_rmse_mev_per_angstrom, 1) for one in grown.manifest.start},
        "score_first": round(score_of_first(grown.manifest), 5),
        "score_all": round(grown.verdict.standard_score or 1.0, 5),
        "failed": {rule.rule: rule.sentence for rule in grown.verdict.rules if not rule.passed},
    }


def score_of_first(manifest: ModelManifest) -> float:
    """On the branches that every version has: the same frames at the start and at the end."""
    names = {one.title for one in stream.founders()}
    return score((one.held_out, one) for one in manifest.branches if one.name in names)


def drawn_rounds(path: Path, told: list[dict[str, Any]]) -> None:
    published = [(number, one) for number, one in enumerate(told) if one["version"]]
    names = list(published[-1][1]["force"])
    palette = ("known", "energy", "force", "muted", "guide", "ink")
    lines = []
    for place, name in enumerate(names):
        points = [(float(number), one["force"][name]) for number, one in published if name in one["force"]]
        lines.append(Line(name, points, palette[place % len(palette)], 1.8, None if place < len(palette) else "5 3"))
    ticks = {float(number): one["version"] or "–" for number, one in enumerate(told)}
    chart(
        path,
        "Ten rounds of growth: every branch's held-out force error",
        "One line a branch, from the round that brought it; a dash in place of a version is a round that was withheld.",
        ("version", "held-out force RMSE, meV/Å"),
        lines,
        ticks,
    )

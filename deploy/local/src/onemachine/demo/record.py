"""What the demo leaves behind: the table in the terminal and demo-report.json with the same numbers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from potluck import wording
from potluck.resources import Dataset, Model
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from onemachine.demo.conditions import Condition
from onemachine.demo.outcome import Outcome

CONTRIBUTIONS = ("a", "b", "c", "d")


def write(outcome: Outcome, file: Path) -> None:
    """Errors in meV/Å, coverage 0..1, sizes in bytes, timings in seconds since the demo began."""
    report = {
        "contributions": [
            contribution(outcome.datasets[label]) for label in CONTRIBUTIONS if label in outcome.datasets
        ],
        "models": [model(one) for one in outcome.models],
        "timings": outcome.timings,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(file)


def contribution(dataset: Dataset) -> dict[str, Any]:
    metric, training = dataset.metric, dataset.training
    return {
        "name": dataset.name,
        "stage": dataset.stage,
        "verdict": dataset.verdict,
        "coverage": metric.coverage if metric else None,
        "force_rmse_zero_shot_mev_per_angstrom": metric.force_rmse_zero_shot_mev_per_angstrom if metric else None,
        "force_rmse_after_mev_per_angstrom": training.force_rmse_after_mev_per_angstrom if training else None,
        "model": dataset.model,
    }


def model(one: Model) -> dict[str, Any]:
    return {
        "version": one.version,
        "parent": one.parent,
        "datasets": [row.name for row in one.datasets],
        "contributors": list(one.contributors),
        "files": [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in one.files],
    }


def print_table(outcome: Outcome, console: Console) -> None:
    """Dataset, verdict, force RMSE before → after, model."""
    table = Table("", "dataset", "verdict", "force RMSE, meV/Å", "model", title="What became of the data")
    for label, dataset in sorted(outcome.datasets.items(), key=lambda item: (item[0] in CONTRIBUTIONS, item[0])):
        verdict = dataset.verdict or dataset.state
        if dataset.metric and dataset.metric.model_version:
            verdict += f" ({dataset.metric.coverage:.0%} covered)"
        table.add_row(label, escape(dataset.name), verdict, wording.rmse(dataset), dataset.model or "–")
    console.print(table)
    for label, dataset in sorted(outcome.datasets.items()):
        for line in wording.details(dataset):
            console.print(f"  {label}  {line}", markup=False, soft_wrap=True)


def print_conditions(conditions: Sequence[Condition], console: Console) -> None:
    for one in conditions:
        mark = "[green]✓[/]" if one.kept else "[red]✗[/]"
        found = "" if one.kept else f": {escape(one.found)}"
        console.print(f"  {mark} {one.label}  {escape(one.promise)}{found}", soft_wrap=True)

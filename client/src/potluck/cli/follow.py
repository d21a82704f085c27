"""A dataset on its way, live: a picture that changes in a terminal, plain lines elsewhere, JSON lines for scripts."""

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from potluck import wording
from potluck.cli.output import out, print_json
from potluck.client import Client
from potluck.errors import Exit
from potluck.resources import Dataset


def follow(client: Client, dataset: Dataset, *, as_json: bool) -> Exit:
    """Shows every change until nothing more will happen; the exit code says how it ended."""
    last = dataset
    if as_json:
        for last in client.follow(dataset.id):
            print_json(last)
    elif out.is_terminal:
        with Live(picture(dataset), console=out, refresh_per_second=4) as live:
            for last in client.follow(dataset.id):
                live.update(picture(last))
        for line in wording.details(last):
            out.print(f"  {escape(line)}")
    else:
        said = ""
        for last in client.follow(dataset.id):
            words = f"{last.stage}: {wording.headline(last)}"
            if words != said:
                out.print(escape(words))
                said = words
        for line in wording.details(last):
            out.print(f"  {escape(line)}")
    return wording.outcome(last)


def show(dataset: Dataset) -> None:
    """Where it stands now, once."""
    out.print(picture(dataset))
    for line in wording.details(dataset):
        out.print(f"  {escape(line)}")


def picture(dataset: Dataset) -> RenderableType:
    """Name, stages, one sentence, and the training's bar while it trains."""
    rows: list[RenderableType] = [
        f"[bold]{escape(dataset.name)}[/]  [dim]{dataset.id}[/]",
        wording.stage_line(dataset),
        escape(wording.headline(dataset)),
    ]
    run = dataset.training
    if dataset.state == "training" and run and run.step is not None and run.total_steps:
        grid = Table.grid(padding=(0, 1))
        grid.add_row(
            ProgressBar(total=run.total_steps, completed=run.step, width=40), f"{run.step / run.total_steps:.0%}"
        )
        rows.append(grid)
    return Group(*rows)

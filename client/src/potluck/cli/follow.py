"""A dataset on its way, live: a picture that changes in a terminal, plain lines elsewhere, JSON lines for scripts."""

from time import monotonic

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

READING_PAUSE_SECONDS = 5.0


def follow(client: Client, dataset: Dataset, *, as_json: bool) -> Exit:
    """Shows every change until nothing more will happen; the exit code says how it ended."""
    last = dataset
    if as_json:
        for last in client.follow(dataset.id):
            print_json(last)
    elif out.is_terminal:
        with Live(picture(client, dataset), console=out, refresh_per_second=4) as live:
            for last in client.follow(dataset.id):
                live.update(picture(client, last))
        for line in wording.details(last):
            out.print(f"  {escape(line)}")
    else:
        out.print(escape(f"{dataset.name}: {page(client, dataset)}"))
        said, spoke_at = "", -READING_PAUSE_SECONDS
        for last in client.follow(dataset.id):
            words = f"{last.stage}: {wording.headline(last)}"
            # Numbers of the reading move every second; a log wants a line now and then.
            if words == said or (last.reading and monotonic() - spoke_at < READING_PAUSE_SECONDS):
                continue
            out.print(escape(words))
            said, spoke_at = words, monotonic()
        for line in wording.details(last):
            out.print(f"  {escape(line)}")
    return wording.outcome(last)


def show(client: Client, dataset: Dataset) -> None:
    """Where it stands now, once."""
    out.print(picture(client, dataset))
    for line in wording.details(dataset):
        out.print(f"  {escape(line)}")


def page(client: Client, dataset: Dataset) -> str:
    """Its address, which every command takes for its id, and where pictures and all frames are to be looked at."""
    return f"{client.server}/datasets/{dataset.id}"


def picture(client: Client, dataset: Dataset) -> RenderableType:
    """Name, page, stages, one sentence, and a bar while it is read or trains."""
    rows: list[RenderableType] = [
        f"[bold]{escape(dataset.name)}[/]  [dim]{escape(page(client, dataset))}[/]",
        wording.stage_line(dataset),
        escape(wording.headline(dataset)),
    ]
    reading = dataset.reading
    if dataset.state == "uploaded" and reading and reading.calculations:
        rows.append(_bar(reading.parsed, reading.calculations))
    run = dataset.training
    if dataset.state == "training" and run and run.step is not None and run.total_steps:
        rows.append(_bar(run.step, run.total_steps))
    return Group(*rows)


def _bar(done: int, total: int) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=total, completed=done, width=40), f"{done / total:.0%}")
    return grid

"""`potluck metric report` and `potluck metric rerun`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from potluck import wording
from potluck.cli.fetching import fetched
from potluck.cli.options import AsJson, Server, connect, where
from potluck.cli.output import out, print_json
from potluck.client import Client
from potluck.errors import Exit, LocalFileError

app = typer.Typer(
    help="The check of a dataset: its report, and whether it can be repeated.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Which = Annotated[str, typer.Argument(help="Id of the dataset, or the address of its page.", metavar="DATASET")]


@app.command()
def report(
    dataset: Which,
    save: Annotated[
        Path | None,
        typer.Option("--save", help="Folder for report.json, pictures (SVG, PNG) and tables.", file_okay=False),
    ] = None,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """What the check found: both verdicts and every rule with its numbers."""
    identity, server = where(dataset, server)
    with connect(server) as client:
        found = client.metric_report(identity)
        saved = _saved(client, found, save, quiet=as_json) if save else []
    if as_json:
        print_json(found)
        return
    for verdict in ("sound", "new"):
        rule = found[verdict]
        out.print(f"{_mark(rule)} [bold]{verdict}[/]: {escape(rule['sentence'])}")
    if found.get("checks"):
        out.print(_table(found["checks"]))
    for path in saved:
        out.print(str(path))


@app.command()
def rerun(
    dataset: Which,
    patience: Annotated[float, typer.Option("--timeout", help="Seconds to wait for the result.", min=1)] = 3600.0,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Repeat the check with its own data, model, settings and seed. Ends with 0 when everything is the same."""
    identity, server = where(dataset, server)
    with connect(server, patience_seconds=60.0) as client:
        found = client.wait_for_rerun(identity, client.rerun(identity), patience)
    if as_json:
        print_json(found)
    else:
        out.print(escape(wording.rerun(found)))
        for line in wording.rerun_details(found):
            out.print(f"  {escape(line)}")
    if not found.same:
        raise typer.Exit(Exit.FAILED if found.state == "failed" else Exit.NEEDS_YOU)


def _saved(client: Client, found: dict[str, Any], folder: Path, *, quiet: bool) -> list[Path]:
    paths = fetched(client, client.report_files(found), folder, quiet=quiet)
    path = folder / "report.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, ensure_ascii=False, indent=1), encoding="utf-8")
    except OSError as error:
        raise LocalFileError(
            f"cannot write there: {error.strerror}", where=str(path), remedy="Choose another folder with --save."
        ) from error
    return [path, *paths]


def _table(checks: list[dict[str, Any]]) -> Table:
    table = Table("check", "", "what was found", box=None, pad_edge=False)
    for one in checks:
        table.add_row(escape(one["rule"]), _mark(one), escape(one["sentence"]))
    return table


def _mark(rule: dict[str, Any]) -> str:
    """What could not be told neither holds nor fails."""
    return "✓" if rule["passed"] else "?" if rule.get("unknown") else "✗"

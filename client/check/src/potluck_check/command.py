"""`potluck check`: what the platform would say, without uploading anything."""

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import structlog
import typer
from contracts.base import LevelOfTheory
from ingest.domain import IngestBroken
from metric.domain.run_settings import RunSettings
from metric.prediction import PredictionFailed
from potluck.cli.options import AsJson, Server, connect
from potluck.cli.output import err, out, print_json, transfer_bar
from potluck.client import Client
from potluck.errors import Exit, PotluckError, Unreachable
from rich.markup import escape

from potluck_check import asking, words
from potluck_check.asking import Asked
from potluck_check.dryrun import Answer, Wanted
from potluck_check.dryrun import check as dry_run

NO_MODEL = "none"
OUTCOMES_TO_MEND = frozenset({"rejected", "not-sound"})


def check(
    source: Annotated[Path, typer.Argument(help="Folder, or the archive that you would upload.")],
    format: Annotated[str, typer.Option("--format", help="dpdata's name of the DFT format.")] = "detect",  # noqa: A002
    functional: Annotated[str | None, typer.Option("--functional", help="As you would declare it: PBE.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="As you would declare it: the DFT program.")] = None,
    model: Annotated[
        str, typer.Option("--model", help="Version to ask what is new; 'latest'; 'none' stays offline.")
    ] = "latest",
    save: Annotated[
        Path | None, typer.Option("--save", help="Folder for the report, its pictures and tables.", file_okay=False)
    ] = None,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Read and judge a dataset on this machine as the platform would. Nothing is uploaded."""
    # What the services log is for those who run them.
    structlog.configure(processors=[_drop])
    declared = LevelOfTheory(functional=functional, code=code) if functional or code else None
    settings, asked = _asked(server, model, quiet=as_json)
    with tempfile.TemporaryDirectory(prefix="potluck-check-") as name:
        # Confined children run as another user when this one is root.
        Path(name).chmod(0o711)
        answer = _answer(Wanted(source, format, declared, settings, asked), Path(name), save, quiet=as_json)
    if as_json:
        print_json(words.document(answer))
    else:
        for line in words.lines(answer, asked):
            out.print(line)
    raise typer.Exit(Exit.NEEDS_YOU if answer.outcome in OUTCOMES_TO_MEND else Exit.OK)


def _answer(wanted: Wanted, folder: Path, save: Path | None, *, quiet: bool) -> Answer:
    shown = err.status("starting") if err.is_terminal and not quiet else nullcontext()
    with shown as status:
        say: Callable[[str], None] = status.update if status is not None else _nothing
        try:
            return asyncio.run(dry_run(wanted, folder, save, say))
        except IngestBroken as error:
            raise PotluckError(
                f"this machine cannot read datasets as the platform does: {error}",
                remedy="The check needs Linux on x86_64 or aarch64, and room in the temporary folder (TMPDIR).",
            ) from error
        except PredictionFailed as error:
            raise PotluckError(
                f"the model cannot be asked here: {error}", remedy="Leave the model out: --model none."
            ) from error


def _asked(server: str | None, model: str, *, quiet: bool) -> tuple[RunSettings, Asked | None]:
    """The platform's settings and model; without a platform, its defaults and no model, and that is said."""
    if model == NO_MODEL:
        return asking.default_settings(), None
    try:
        with connect(server) as client, transfer_bar(quiet=quiet) as bar:
            task = bar.add_task(f"model {model}", total=None)
            settings = asking.settings_of(client)
            asked = _model(client, model, lambda have, size: bar.update(task, completed=have, total=size))
        if asked is None:
            err.print(
                "[yellow]The model is not asked:[/] the platform has none yet, so whatever is sound is new to it."
            )
        return settings, asked
    except Unreachable as error:
        if model != "latest":
            raise
        err.print(f"[yellow]The model is not asked:[/] {escape(error.what)}. --server names another platform.")
        return asking.default_settings(), None


def _model(client: Client, version: str, report: asking.Report) -> Asked | None:
    """None when there is no model yet: then everything is new."""
    if version == "latest" and not client.models():
        return None
    return asking.fetch(client, version, report)


def _drop(_logger: object, _method: str, _fields: object) -> str:
    raise structlog.DropEvent


def _nothing(_words: str) -> None:
    """Nobody watches."""

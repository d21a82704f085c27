"""`potluck upload` and `potluck status`."""

from pathlib import Path
from typing import Annotated

import typer

from potluck import config
from potluck.cli.entries import agreed, authors_of, text_of
from potluck.cli.follow import follow, show
from potluck.cli.options import Agree, AsJson, Follow, Server, connect, resumable, where
from potluck.cli.output import out, print_json, transfer_bar
from potluck.client import Client
from potluck.errors import PotluckError
from potluck.resources import Dataset

PATIENCE_SECONDS = 300.0
NEAREST = "nearest"


def upload(
    archive: Annotated[Path, typer.Argument(help="zip, tar(.gz, .bz2, .xz, .zst) or one plain file, below 4 GB.")],
    name: Annotated[str, typer.Option("--name", help="Name of the dataset.")],
    author: Annotated[
        list[str] | None,
        typer.Option("--author", help="An author, as 'Name' or 'Name (ORCID iD)'; repeat it, the order is kept."),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="dpdata's name of the DFT format.")] = "detect",  # noqa: A002
    licence: Annotated[str | None, typer.Option("--licence", help="SPDX identifier; default: CC-BY-4.0.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Train on it, but show it to nobody.")] = False,
    shared_only: Annotated[bool, typer.Option("--shared-only", help="Share it; no model is trained on it.")] = False,
    version_of: Annotated[
        str | None, typer.Option("--version-of", help="Your dataset of which this is the next version.")
    ] = None,
    region: Annotated[str | None, typer.Option("--region", help="Storage region, or 'nearest': measured.")] = None,
    description: Annotated[Path | None, typer.Option("--description", help="Markdown file.", dir_okay=False)] = None,
    functional: Annotated[str | None, typer.Option("--functional", help="Where files do not tell: PBE.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="Where files do not tell: the DFT program.")] = None,
    cutoff: Annotated[float | None, typer.Option("--cutoff-ev", help="Plane-wave cut-off, eV.", min=1)] = None,
    k_points: Annotated[str | None, typer.Option("--k-points", help="k-mesh, such as '4 4 4'.")] = None,
    basis: Annotated[str | None, typer.Option("--basis", help="Basis set or pseudopotentials.")] = None,
    parallel: Annotated[
        int | None,
        typer.Option(
            "--parallel",
            help="Connections for a large archive; default: 4, to this machine 1.",
            min=1,
            max=config.MOST_PARALLEL,
        ),
    ] = None,
    agree: Agree = False,
    stay: Follow = False,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Contribute a dataset. Broke off? The same command again goes on where it stopped."""
    chosen = config.settings()
    authors = author or list(chosen.authors)
    if not authors:
        raise PotluckError("nobody is named as author", where="--author", remedy="Name who made the data: --author.")
    text = text_of(description) if description else ""
    agreed(agree)
    told = {"functional": functional, "code": code, "cutoff_ev": cutoff, "k_points": k_points, "basis": basis}
    with (
        connect(server, patience_seconds=PATIENCE_SECONDS) as client,
        resumable("upload"),
        transfer_bar(quiet=as_json) as bar,
    ):
        task = bar.add_task(archive.name, total=None)
        dataset = client.upload(
            archive,
            name=name,
            authors=authors_of(authors),
            format=format,
            licence=licence or chosen.licence or "CC-BY-4.0",
            private=private,
            shared_only=shared_only,
            version_of=where(version_of, server)[0] if version_of else None,
            region=_region(client, region or chosen.region),
            description=text,
            level_of_theory={key: value for key, value in told.items() if value},
            parallel=parallel,
            report=lambda sent, total: bar.update(
                task, completed=sent, total=total, description=_how(archive.name, sent, total)
            ),
        )
    with connect(server, patience_seconds=PATIENCE_SECONDS) as client:
        _report(client, dataset, stay=stay, as_json=as_json)


def status(
    dataset: Annotated[str, typer.Argument(help="Id of the dataset, or the address of its page.")],
    stay: Follow = False,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Where a dataset stands: stage, verdict, training, model."""
    identity, server = where(dataset, server)
    with connect(server, patience_seconds=PATIENCE_SECONDS if stay else 10.0) as client:
        _report(client, client.dataset(identity), stay=stay, as_json=as_json)


def _how(name: str, sent: int, total: int) -> str:
    """Beside the bar: after the last byte the server still puts parts together, verifies and records."""
    return name if sent < total else f"{name}: arrived, the server takes it in"


def _region(client: Client, asked: str | None) -> str | None:
    if asked != NEAREST:
        return asked
    nearest = client.nearest_region()
    return nearest.id if nearest else None


def _report(client: Client, dataset: Dataset, *, stay: bool, as_json: bool) -> None:
    if stay:
        with resumable("status", f"The platform goes on. potluck status {dataset.id} --follow looks again."):
            raise typer.Exit(follow(client, dataset, as_json=as_json))
    if as_json:
        print_json(dataset)
    else:
        show(client, dataset)
        if not dataset.finished:
            out.print(f"[dim]potluck status {dataset.id} --follow[/] shows what happens next.")

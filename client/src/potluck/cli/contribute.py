"""`potluck upload` and `potluck status`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from potluck.cli.follow import follow, show
from potluck.cli.options import AsJson, Follow, Server, connect
from potluck.cli.output import out, print_json, transfer_bar
from potluck.client import Client
from potluck.errors import LocalFileError, PotluckError
from potluck.resources import Dataset

AGREEMENT = (
    "By publishing you confirm that you may share this data under the licence you chose, and that DPA models "
    "trained on it, private data included, are public."
)

PATIENCE_SECONDS = 300.0


def upload(
    archive: Annotated[Path, typer.Argument(help="zip, tar(.gz, .bz2, .xz, .zst) or one plain file, below 4 GB.")],
    name: Annotated[str, typer.Option("--name", help="Name of the dataset.")],
    author: Annotated[list[str], typer.Option("--author", help="An author; repeat it, the order is kept.")],
    format: Annotated[str, typer.Option("--format", help="dpdata's name of the DFT format.")] = "detect",  # noqa: A002
    licence: Annotated[str, typer.Option("--licence", help="SPDX identifier.")] = "CC-BY-4.0",
    private: Annotated[bool, typer.Option("--private", help="Train on it, but show it to nobody.")] = False,
    description: Annotated[Path | None, typer.Option("--description", help="Markdown file.", dir_okay=False)] = None,
    functional: Annotated[str | None, typer.Option("--functional", help="Where files do not tell: PBE.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="Where files do not tell: the DFT program.")] = None,
    cutoff: Annotated[float | None, typer.Option("--cutoff-ev", help="Plane-wave cut-off, eV.", min=1)] = None,
    k_points: Annotated[str | None, typer.Option("--k-points", help="k-mesh, such as '4 4 4'.")] = None,
    basis: Annotated[str | None, typer.Option("--basis", help="Basis set or pseudopotentials.")] = None,
    agree: Annotated[bool, typer.Option("--agree", help="I agree: I may share this data under this licence.")] = False,
    stay: Follow = False,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Contribute a dataset. Broke off? The same command again goes on where it stopped."""
    text = _text(description)
    _agreed(agree)
    told = {"functional": functional, "code": code, "cutoff_ev": cutoff, "k_points": k_points, "basis": basis}
    level = {key: value for key, value in told.items() if value}
    with connect(server, patience_seconds=PATIENCE_SECONDS) as client, transfer_bar(quiet=as_json) as bar:
        task = bar.add_task(archive.name, total=None)
        dataset = client.upload(
            archive,
            name=name,
            authors=author,
            format=format,
            licence=licence,
            private=private,
            description=text,
            level_of_theory=level,
            report=lambda sent, total: bar.update(task, completed=sent, total=total),
        )
    with connect(server, patience_seconds=PATIENCE_SECONDS) as client:
        _report(client, dataset, stay=stay, as_json=as_json)


def status(
    dataset: Annotated[str, typer.Argument(help="Id of the dataset, as `potluck upload` printed it.")],
    stay: Follow = False,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Where a dataset stands: stage, verdict, training, model."""
    with connect(server, patience_seconds=PATIENCE_SECONDS if stay else 10.0) as client:
        _report(client, client.dataset(dataset), stay=stay, as_json=as_json)


def _report(client: Client, dataset: Dataset, *, stay: bool, as_json: bool) -> None:
    if stay:
        raise typer.Exit(follow(client, dataset, as_json=as_json))
    if as_json:
        print_json(dataset)
    else:
        show(dataset)
        if not dataset.finished:
            out.print(f"[dim]potluck status {dataset.id} --follow[/] shows what happens next.")


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalFileError(
            f"the description cannot be read: {error}", where=str(path), remedy="Give a Markdown file in UTF-8."
        ) from error


def _agreed(agree: bool) -> None:
    if agree:
        return
    if not sys.stdin.isatty():
        raise PotluckError("publishing needs your agreement", remedy=f"Add --agree. {AGREEMENT}")
    out.print(AGREEMENT)
    typer.confirm("Do you agree?", abort=True, err=True)

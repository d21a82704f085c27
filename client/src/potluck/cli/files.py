"""`potluck download` and `potluck verify`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from potluck import config
from potluck.cli.fetching import fetched
from potluck.cli.options import AsJson, Server, connect, dataset_or_version, resumable
from potluck.cli.output import out, print_json
from potluck.client import Client
from potluck.errors import Exit, PotluckError
from potluck.resources import Model, ModelFile

PATIENCE_SECONDS = 120.0

MaybeFolder = Annotated[
    Path | None, typer.Option("--output", "-o", help="Folder to write to; default: this one.", file_okay=False)
]


def download(
    what: Annotated[
        str,
        typer.Argument(
            help="Version of the model (1.1) or alias (latest), a dataset's id, or the address of the page of either.",
            metavar="VERSION|DATASET",
        ),
    ],
    file: Annotated[list[str] | None, typer.Option("--file", help="Only this file; repeat it for more.")] = None,
    frames: Annotated[
        bool, typer.Option("--frames", help="Of a dataset: the frames that are trained on (LMDB), not the archive.")
    ] = False,
    folder: MaybeFolder = None,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a model's or dataset's files; continues, and checks every SHA-256."""
    target = folder or config.settings().folder or Path()
    is_dataset, identity, server = dataset_or_version(what, server)
    with connect(server, patience_seconds=PATIENCE_SECONDS) as client, resumable("download"):
        paths = fetched(client, _wanted(client, identity, is_dataset, frames, file or []), target, quiet=as_json)
    if as_json:
        return print_json([str(path) for path in paths])
    for path in paths:
        out.print(escape(str(path)))
    return None


def verify(
    version: Annotated[str, typer.Argument(help="Version, e.g. 1.1, or an alias, e.g. latest.")],
    folder: Annotated[Path, typer.Argument(help="Where its files are.", exists=True, file_okay=False)] = Path(),
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Compare files in a folder with those of a published version.

    Ends with 4 when one differs or none is there; files that were not downloaded count for nothing.
    """
    with connect(server) as client:
        model = client.model(version)
        found = client.verify(model, folder)
    if as_json:
        print_json({"version": model.version, "files": found})
    else:
        for name, state in found.items():
            mark = {"same": "✓", "differs": "✗"}.get(state, "–")
            out.print(f"{mark} {escape(name)}: {state}")
    if "differs" in found.values() or "same" not in found.values():
        raise typer.Exit(Exit.NEEDS_YOU)


def _wanted(client: Client, identity: str, is_dataset: bool, frames: bool, names: list[str]) -> list[ModelFile]:
    if is_dataset:
        files = list(client.archive_files(client.dataset(identity), frames=frames))
        return _chosen(f"dataset {identity}", files, names)
    model: Model = client.model(identity)
    return _chosen(f"model {model.version}", list(model.files), names)


def _chosen(what: str, files: list[ModelFile], names: list[str]) -> list[ModelFile]:
    by_name = {one.name: one for one in files}
    for name in names:
        if name not in by_name:
            raise PotluckError(
                f"{what} has no file {name!r}", where="--file", remedy=f"It has: {', '.join(by_name) or 'none'}"
            )
    return [by_name[name] for name in names] or files

"""`potluck datasets`, `potluck models` and `potluck download`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from potluck import wording
from potluck.cli.fetching import fetched
from potluck.cli.options import AsJson, Folder, Server, connect
from potluck.cli.output import out, print_json
from potluck.errors import PotluckError
from potluck.resources import Model, ModelFile


def datasets(
    mine: Annotated[bool, typer.Option("--mine", help="Only what this account contributed.")] = False,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """List datasets, newest first."""
    with connect(server) as client:
        found = client.datasets(mine=mine)
    if as_json:
        return print_json(found)
    table = Table("id", "name", "stage", "verdict", "force RMSE, meV/Å", "model", box=None, pad_edge=False)
    for one in found:
        rmse = f"{wording.zero_shot(one)} → {wording.after(one)}"
        table.add_row(one.id, escape(one.name), one.stage, one.verdict or "–", rmse, one.model or "–")
    out.print(table if found else "No datasets yet. `potluck upload` brings the first.")
    return None


def models(server: Server = None, as_json: AsJson = False) -> None:
    """List the versions of the model, newest first."""
    with connect(server) as client:
        found = client.models()
    if as_json:
        return print_json(found)
    table = Table("version", "grew from", "datasets", "contributors", "published", box=None, pad_edge=False)
    for one in found:
        names = ", ".join(escape(row.name) for row in one.datasets)
        table.add_row(one.version, one.parent or "–", names, escape(", ".join(one.contributors)), one.published)
    out.print(table if found else "No model yet: the first one comes with the first datasets.")
    return None


def download(
    version: Annotated[str, typer.Argument(help="Version, e.g. 1.1, or an alias, e.g. latest.")],
    file: Annotated[list[str] | None, typer.Option("--file", help="Only this file; repeat it for more.")] = None,
    folder: Folder = Path(),
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a model's files; continues where it broke off, and checks every SHA-256."""
    with connect(server) as client:
        model = client.model(version)
        paths = fetched(client, _chosen(model, file or []), folder, quiet=as_json)
    if as_json:
        return print_json([str(path) for path in paths])
    for path in paths:
        out.print(str(path))
    return None


def _chosen(model: Model, names: list[str]) -> list[ModelFile]:
    by_name = {one.name: one for one in model.files}
    for name in names:
        if name not in by_name:
            raise PotluckError(
                f"model {model.version} has no file {name!r}",
                where="--file",
                remedy=f"It has: {', '.join(by_name) or 'none'}",
            )
    return [by_name[name] for name in names] or list(model.files)

"""`potluck datasets`, `potluck cite` and `potluck models`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from potluck import wording
from potluck.cli.options import AsJson, Server, connect, dataset_or_version
from potluck.cli.output import out, print_json
from potluck.errors import LocalFileError
from potluck.resources import Catalogue, Dataset, Found

LISTED = 100
"""Of everybody's datasets; one's own are listed all."""
ID_WIDTH = 36


def datasets(
    words: Annotated[list[str] | None, typer.Argument(help="Words, authors, formulas (SiC) to look for.")] = None,
    element: Annotated[
        list[str] | None, typer.Option("--element", help="Only with this element; repeat it for more.")
    ] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only what this account contributed.")] = False,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """List datasets, newest first; with words or elements, search them."""
    if words or element:
        if mine:
            raise typer.BadParameter("--mine lists all of yours: it goes without words and elements")
        with connect(server) as client:
            page = client.search(" ".join(words or ()), elements=element or ())
        return print_json(page) if as_json else _found(page)
    with connect(server) as client:
        found = client.datasets(mine=mine, most=None if mine else LISTED + 1)
    there_are_more = not mine and len(found) > LISTED
    found = found[:LISTED] if there_are_more else found
    if as_json:
        return print_json(found)
    table = _table("stage", "verdict", "force RMSE,\nmeV/Å", "model")
    for one in found:
        table.add_row(_named(one), one.stage, one.verdict or "–", wording.rmse(one), one.model or "–")
    out.print(table if found else "No datasets yet. `potluck upload` brings the first.")
    if there_are_more:
        out.print(f"The newest {LISTED}. Words or --element find the others: potluck datasets SiC")
    return None


def cite(
    what: Annotated[
        str,
        typer.Argument(
            help="Version of the model (1.1) or alias (latest), a dataset's id, or the address of the page of either.",
            metavar="VERSION|DATASET",
        ),
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="bibtex, cff for CITATION.cff, or datacite for DataCite's JSON.",
            autocompletion=lambda: ["bibtex", "cff", "datacite"],
        ),
    ] = "bibtex",
    save: Annotated[Path | None, typer.Option("--save", help="Write it to this file.", dir_okay=False)] = None,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """How to cite a dataset or a version of the model."""
    is_dataset, identity, server = dataset_or_version(what, server)
    with connect(server) as client:
        text = client.citation(identity, form) if is_dataset else client.model_citation(identity, form)
    if save is not None:
        try:
            save.write_text(text, encoding="utf-8")
        except OSError as error:
            raise LocalFileError(
                f"cannot write there: {error.strerror}", where=str(save), remedy="Name another file with --save."
            ) from error
    if as_json:
        return print_json({"format": form, "citation": text})
    print(text, end="")
    return None


def models(server: Server = None, as_json: AsJson = False) -> None:
    """List the versions of the model, newest first."""
    with connect(server) as client:
        found = client.models()
    if as_json:
        return print_json(found)
    table = Table("version", "names", "grew from", "datasets", "contributors", "published", box=None, pad_edge=False)
    for one in found:
        # Names have commas in them.
        names = "; ".join(escape(row.name) for row in one.datasets)
        contributors = escape(", ".join(one.contributors))
        table.add_row(one.version, ", ".join(one.aliases), one.parent or "–", names, contributors, one.published[:10])
    out.print(table if found else "No model yet: the first one comes with the first datasets.")
    return None


def _table(*columns: str) -> Table:
    """Of datasets: the first column is wide enough for an id, which every other command asks for."""
    wide = [Column(one, no_wrap=one != "elements") for one in columns]
    return Table(Column("dataset", min_width=ID_WIDTH), *wide, box=None, pad_edge=False)


def _named(one: Dataset | Found) -> str:
    """Its name, and its id on a line of its own: side by side they leave no room in eighty columns."""
    return f"{escape(one.name)}\n[dim]{one.id}[/]"


def _found(page: Catalogue) -> None:
    if page.corrected is not None:
        out.print(f"Nothing has these words. This is for “{escape(page.corrected)}”:")
    table = _table("elements", "frames", "licence", "stage", "model")
    for one in page.datasets:
        elements = ", ".join(one.elements)
        table.add_row(_named(one), elements, f"{one.frames:,}", one.licence, one.stage, one.model or "–")
    out.print(table if page.datasets else "Nothing was found. Fewer words find more.")
    if page.later:
        out.print(f"{len(page.datasets)} of {page.found:,}{' or more' if page.more_found else ''}.")

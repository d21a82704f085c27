"""What an upload may choose from: formats, licences, regions, the agreement."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from potluck.cli.options import AsJson, Server, connect
from potluck.cli.output import out, print_json


def formats(server: Server = None, as_json: AsJson = False) -> None:
    """List the formats that an archive may be in."""
    with connect(server) as client:
        found = client.formats()
    if as_json:
        return print_json(found)
    table = Table("name", "title", "one calculation is", box=None, pad_edge=False)
    for one in found:
        table.add_row(escape(one.name), escape(one.title), escape(one.example or f"a {one.reads}"))
    out.print(table)
    return None


def licences(server: Server = None, as_json: AsJson = False) -> None:
    """List the licences that a dataset may have."""
    with connect(server) as client:
        found = client.licences()
    if as_json:
        return print_json(found)
    table = Table("id", "name", "in short", box=None, pad_edge=False)
    for one in found:
        table.add_row(one.id, escape(one.name), escape(one.short))
    out.print(table)
    return None


def regions(server: Server = None, as_json: AsJson = False) -> None:
    """List the storage regions, and how far away each is."""
    with connect(server) as client:
        told = [(one, client.seconds_to(one)) for one in client.regions()]
    if as_json:
        return print_json([{"id": one.id, "title": one.title, "seconds": seconds} for one, seconds in told])
    table = Table("id", "title", "answers in", box=None, pad_edge=False)
    for one, seconds in told:
        table.add_row(one.id, escape(one.title), f"{1000 * seconds:.0f} ms" if seconds is not None else "not at all")
    out.print(table)
    return None


class Language(StrEnum):
    """Those that the agreement is written in."""

    en = "en"
    zh = "zh"


def agreement(
    language: Annotated[Language, typer.Option("--language", help="Of the text.")] = Language.en,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Print the contribution agreement in force."""
    with connect(server) as client:
        text = client.agreement(language)
    if as_json:
        return print_json(text)
    out.print(f"[bold]Contributor agreement {escape(text.version)}[/]\n")
    print(text.content)
    return None

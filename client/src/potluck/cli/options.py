"""Options that several commands share, and the client they lead to."""

from pathlib import Path
from typing import Annotated

import typer

from potluck.client import Client

Server = Annotated[
    str | None, typer.Option("--server", help="Address of the platform, e.g. https://potluck.example.org.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts: JSON on standard output, nothing else.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Stay and show each stage as it happens.")]
Folder = Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.", file_okay=False)]


def connect(server: str | None, *, patience_seconds: float = 10.0) -> Client:
    """Who waits at a prompt wants to hear soon that nobody answers; an upload is worth more patience."""
    return Client(server, patience_seconds=patience_seconds)

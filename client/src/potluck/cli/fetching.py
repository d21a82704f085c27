"""Files from the server into a folder, with a bar for each."""

from collections.abc import Iterable
from pathlib import Path

from potluck.cli.output import transfer_bar
from potluck.client import Client
from potluck.resources import ModelFile


def fetched(client: Client, files: Iterable[ModelFile], folder: Path, *, quiet: bool) -> list[Path]:
    """Where they are now; every SHA-256 is checked. Raises as `Client.download` does."""
    paths = []
    with transfer_bar(quiet=quiet) as bar:
        for one in files:
            task = bar.add_task(one.name, total=one.size)
            paths.append(
                client.download(
                    one,
                    folder,
                    lambda have, _, task=task: bar.update(task, completed=have),  # type: ignore[misc]
                )
            )
    return paths

"""Where words go: results to standard output, progress and errors to standard error."""

import json
import sys
from dataclasses import asdict, is_dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from potluck.errors import PotluckError

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def print_json(content: Any) -> None:
    """One JSON document on one line."""
    print(json.dumps(_plain(content), ensure_ascii=False), flush=True)


def _plain(content: Any) -> Any:
    if is_dataclass(content) and not isinstance(content, type):
        return asdict(content)
    if isinstance(content, tuple | list):
        return [_plain(one) for one in content]
    return content


def transfer_bar(*, quiet: bool) -> Progress:
    """A bar with size, speed and time left; silent where nobody looks."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=err,
        disable=quiet or not err.is_terminal,
    )


def print_error(error: PotluckError, *, as_json: bool) -> None:
    """What happened, where, and what to do."""
    if as_json:
        print(json.dumps({"error": error.as_dict()}, ensure_ascii=False), file=sys.stderr)
        return
    err.print(f"[bold red]{escape(error.what)}[/]")
    if error.where:
        err.print(f"  Where: {escape(error.where)}")
    if error.remedy:
        err.print(f"  What to do: {escape(error.remedy)}")

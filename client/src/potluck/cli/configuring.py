"""`potluck config` and `potluck completion`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from typer.completion import get_completion_script  # type: ignore[attr-defined]  # there, and not in its __all__

from potluck import config as settings
from potluck.cli.app import COMPLETE
from potluck.cli.options import AsJson
from potluck.cli.output import out, print_json


class Shell(StrEnum):
    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def config(as_json: AsJson = False) -> None:
    """What is set, and where.

    An option goes before the environment, that before config.toml, that before the last login and what is built in.
    """
    told = settings.told()
    file = settings.config_file()
    if as_json:
        shown = [{"name": one.name, "value": _plain(one.value), "source": one.source} for one in told]
        return print_json({"file": str(file), "settings": shown})
    table = Table("setting", "value", "set by", box=None, pad_edge=False)
    for one in told:
        table.add_row(one.name, escape(_in_words(one.value)), escape(one.source))
    out.print(table)
    out.print(f"[dim]{escape(str(file))}[/]{'' if file.exists() else ' (not there)'}")
    return None


def completion(
    shell: Annotated[Shell, typer.Argument(help="Which shell.")],
    as_json: AsJson = False,
) -> None:
    """Print the script that completes commands: bash, zsh or fish.

    For bash: potluck completion bash > ~/.local/share/bash-completion/completions/potluck
    """
    script = get_completion_script(prog_name="potluck", complete_var=COMPLETE, shell=shell.value) + "\n"
    if as_json:
        return print_json({"shell": shell.value, "script": script})
    print(script, end="")
    return None


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _in_words(value: object) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)

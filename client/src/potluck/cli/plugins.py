"""Commands that other packages bring: entry points of the group `potluck.commands`.

An entry point's name is the command's name; it loads a `typer.Typer` or a function that Typer can read. None is
imported before it is called: the list of commands shows what the package's metadata say of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from potluck.errors import PotluckError

GROUP = "potluck.commands"


@dataclass(frozen=True, slots=True)
class Extra:
    """A command that is offered although it has to be installed."""

    summary: str
    install: str


EXTRAS = {
    "check": Extra(
        "Say what the platform would say of your data; nothing is sent.",
        'pip install "potluck[check]"',
    ),
    "model": Extra(
        "Derive a model's published scores again from its files (model verify).",
        'pip install "potluck[check]" "deepmd-kit[torch]"',
    ),
}


class CommandGroup(TyperGroup):
    """Our own commands first; a plugin cannot take the name of one of them."""

    @cached_property
    def _plugins(self) -> dict[str, EntryPoint]:
        return {one.name: one for one in entry_points(group=GROUP) if one.name not in self.commands}

    def list_commands(self, ctx: Any) -> list[str]:
        return [*self.commands, *sorted(self._plugins.keys() | EXTRAS.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Of a plugin a stand-in with its name and summary: `resolve_command` alone loads it."""
        own = self.commands.get(cmd_name)
        if own is not None:
            return own
        plugin = self._plugins.get(cmd_name)
        if plugin is None and cmd_name not in EXTRAS:
            return None
        # Square brackets are markup to the page of help.
        return TyperCommand(cmd_name, help=escape(_summary(cmd_name, plugin)))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = args[0]
        if name not in self.commands:
            if plugin := self._plugins.get(name):
                return name, _loaded(plugin), args[1:]
            if extra := EXTRAS.get(name):
                raise PotluckError(f"`potluck {name}` is not installed here", remedy=f"Install it: {extra.install}")
        return super().resolve_command(ctx, args)


def _summary(name: str, plugin: EntryPoint | None) -> str:
    if name in EXTRAS:
        missing = f" Needs: {EXTRAS[name].install}" if plugin is None else ""
        return EXTRAS[name].summary + missing
    return plugin.dist.metadata["Summary"] or "" if plugin and plugin.dist else ""


def _loaded(plugin: EntryPoint) -> Any:
    """The command that the entry point names. Raises PotluckError when its package cannot be used."""
    package = plugin.dist.name if plugin.dist else plugin.value
    try:
        found = plugin.load()
    except (ImportError, AttributeError) as error:
        again = EXTRAS[plugin.name].install if plugin.name in EXTRAS else f"pip install --force-reinstall {package}"
        raise PotluckError(
            f"`potluck {plugin.name}` cannot be started: {error}",
            where=f"package {package}",
            remedy=f"Install it again: {again}",
        ) from error
    command = typer.main.get_command(found if isinstance(found, typer.Typer) else _app_of(found))
    command.name = plugin.name
    return command


def _app_of(function: Callable[..., object]) -> typer.Typer:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    return app

"""Commands that load when they are called: our own, and those of other packages (entry points of `potluck.commands`).

The list of commands shows a sentence of each; reading it imports none of them. An entry point's name is the command's
name; it loads a `typer.Typer` or a function that Typer can read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from potluck.errors import PotluckError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "potluck.commands"


@dataclass(frozen=True, slots=True)
class Own:
    """A command of ours: a function, or a Typer, of a module beside this one. `summary`: what it says of itself."""

    module: str
    name: str
    summary: str


OWN = {
    "login": Own("account", "login", "Sign in: by the browser, with a token, or with e-mail and password."),
    "logout": Own("account", "logout", "Forget the token that is kept on this machine."),
    "signup": Own("account", "signup", "Create an account, and sign in."),
    "whoami": Own("account", "whoami", "Say who is signed in, and where."),
    "upload": Own(
        "contribute", "upload", "Contribute a dataset. Broke off? The same command again goes on where it stopped."
    ),
    "status": Own("contribute", "status", "Where a dataset stands: stage, verdict, training, model."),
    "publish": Own("entries", "publish", "Make the latest version of a private dataset public, for good."),
    "withdraw": Own("entries", "withdraw", "Take a dataset back, all versions of it."),
    "metric": Own("metric", "app", "The check of a dataset: its report, and whether it can be repeated."),
    "receipt": Own("receipt", "receipt", "Fetch a dataset's receipts and verify their signatures."),
    "datasets": Own("browse", "datasets", "List datasets, newest first; with words or elements, search them."),
    "cite": Own("browse", "cite", "How to cite a dataset or a version of the model."),
    "models": Own("browse", "models", "List the versions of the model, newest first."),
    "download": Own("files", "download", "Fetch a model's or dataset's files; continues, and checks every SHA-256."),
    "verify": Own("files", "verify", "Compare files in a folder with those of a published version."),
    "formats": Own("choices", "formats", "List the formats that an archive may be in."),
    "licences": Own("choices", "licences", "List the licences that a dataset may have."),
    "regions": Own("choices", "regions", "List the storage regions, and how far away each is."),
    "agreement": Own("choices", "agreement", "Print the contribution agreement in force."),
    "config": Own("configuring", "config", "What is set, and where."),
    "completion": Own("configuring", "completion", "Print the script that completes commands: bash, zsh or fish."),
}


@dataclass(frozen=True, slots=True)
class Extra:
    """A command that is offered although it has to be installed."""

    summary: str
    install: str


# They are the services' own code, which is in no package index.
CHECKOUT = "`make setup` in a checkout of Potluck, then .venv/bin/potluck there"
EXTRAS = {
    "check": Extra(
        "Say what the platform would say of your data; nothing is sent.",
        CHECKOUT,
    ),
    "model": Extra(
        "Derive a model's published scores again from its files (model verify).",
        CHECKOUT,
    ),
}


class CommandGroup(TyperGroup):
    """Our own commands first; a plugin cannot take the name of one of them."""

    @cached_property
    def _plugins(self) -> "dict[str, EntryPoint]":
        from importlib.metadata import entry_points

        return {one.name: one for one in entry_points(group=GROUP) if one.name not in OWN}

    def list_commands(self, ctx: Any) -> list[str]:
        return [*OWN, *sorted(self._plugins.keys() | EXTRAS.keys())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in with name and summary: `resolve_command` alone loads the command."""
        if cmd_name in OWN:
            return TyperCommand(cmd_name, help=OWN[cmd_name].summary)
        plugin = self._plugins.get(cmd_name)
        if plugin is None and cmd_name not in EXTRAS:
            return None
        return TyperCommand(cmd_name, help=_summary(cmd_name, plugin))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = args[0]
        if name in OWN:
            return name, own(name), args[1:]
        if plugin := self._plugins.get(name):
            return name, _loaded(plugin), args[1:]
        # While a line is completed nothing may fail.
        if (extra := EXTRAS.get(name)) and not ctx.resilient_parsing:
            raise PotluckError(f"`potluck {name}` is not installed here", remedy=f"Install it: {extra.install}")
        if name not in EXTRAS and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, self.list_commands(ctx), 3)
            ctx.fail(f"there is no command {name!r}." + (f" Did you mean {' or '.join(near)}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Every summary in full, on as many lines as it takes."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.help) for name in self.list_commands(ctx) if (command := self.get_command(ctx, name))]
            )


def own(name: str) -> Any:
    """One of our commands, ready to run."""
    told = OWN[name]
    found = getattr(import_module(f"potluck.cli.{told.module}"), told.name)
    command = typer.main.get_command(found if isinstance(found, typer.Typer) else _app_of(found))
    command.name = name
    return command


def _summary(name: str, plugin: "EntryPoint | None") -> str:
    if name in EXTRAS:
        missing = f" Needs: {EXTRAS[name].install}" if plugin is None else ""
        return EXTRAS[name].summary + missing
    return plugin.dist.metadata["Summary"] or "" if plugin and plugin.dist else ""


def _loaded(plugin: "EntryPoint") -> Any:
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
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(function)
    return app

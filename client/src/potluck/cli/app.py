"""All commands in one application, those of other packages included, and how it ends."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from potluck.cli.lazily import CommandGroup
from potluck.errors import NO_ROOM, Exit, PotluckError

# Set by the scripts of `potluck completion`.
COMPLETE = "_POTLUCK_COMPLETE"

app = typer.Typer(
    name="potluck",
    cls=CommandGroup,
    help="Everyone brings a DFT dataset, everyone takes home the model that all of it trained.",
    no_args_is_help=True,
    # Typer's own options for it are not offered; a line that is being completed needs what reads it.
    add_completion=COMPLETE in os.environ,
    pretty_exceptions_enable=False,
    # Plain help is there in a third of the time.
    rich_markup_mode=None,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"potluck {version('potluck')}")
        raise typer.Exit


@app.callback()
def potluck(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Everyone brings a DFT dataset, everyone takes home the model that all of it trained."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code: see `potluck.errors.Exit`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            app(args=words, prog_name="potluck")
        finally:
            sys.stdout.flush()
    except PotluckError as error:
        _say(error, words)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(Exit.STOPPED)
    except Exception as error:
        if os.environ.get("POTLUCK_DEBUG"):
            raise
        told = _unsaid(error) or PotluckError(
            f"a fault in the client: {type(error).__name__}: {error}",
            remedy="Run it again with POTLUCK_DEBUG=1 and report what it prints. Nothing on the server is lost.",
        )
        _say(told, words)
        sys.exit(told.exit_code)


def _unsaid(error: Exception) -> PotluckError | None:
    """Where our output goes there is no room. Files have their own words where they are written."""
    if not isinstance(error, OSError) or error.errno not in NO_ROOM:
        return None
    # What is still to be printed would fail again when Python ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PotluckError(
        f"what was asked for cannot be printed: {error.strerror}",
        where="standard output",
        remedy="Make room where it goes, and run the command again.",
    )


def _say(error: PotluckError, words: Sequence[str]) -> None:
    from potluck.cli.output import print_error

    print_error(error, as_json="--json" in words)

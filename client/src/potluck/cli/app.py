"""All commands in one application, those of other packages included, and how it ends."""

import os
import sys
from collections.abc import Sequence

import typer

from potluck.cli import account, browse, contribute, metric, receipt
from potluck.cli.output import print_error
from potluck.cli.plugins import CommandGroup
from potluck.errors import PotluckError

app = typer.Typer(
    name="potluck",
    cls=CommandGroup,
    help="Everyone brings a DFT dataset, everyone takes home the model that all of it trained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(account.login)
app.command()(account.signup)
app.command()(contribute.upload)
app.command()(contribute.status)
app.add_typer(metric.app, name="metric")
app.command()(receipt.receipt)
app.command()(browse.datasets)
app.command()(browse.models)
app.command()(browse.download)


def run(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code: see `potluck.errors.Exit`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=words)
    except PotluckError as error:
        print_error(error, as_json="--json" in words)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("POTLUCK_DEBUG"):
            raise
        fault = PotluckError(
            f"a fault in the client: {type(error).__name__}: {error}",
            remedy="Run it again with POTLUCK_DEBUG=1 and report what it prints. Nothing on the server is lost.",
        )
        print_error(fault, as_json="--json" in words)
        sys.exit(fault.exit_code)

"""`potluck model verify`: are the published scores of a version those of its files?"""

from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from dpa import claims
from dpa.claims import ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
from platformdirs import user_cache_path
from potluck.cli.options import AsJson, Server, connect
from potluck.cli.output import err, out, print_json
from potluck.errors import PotluckError
from potluck.signing import key_from
from rich.markup import escape

from potluck_check.verifying import Verified, verify

app = typer.Typer(help="A published version of the model, looked at closely.", no_args_is_help=True)
_MARKS = {"matches": "[green]✓[/]", "differs": "[red]✗[/]", "not-rederived": "[yellow]?[/]"}


@app.callback()
def _group() -> None:
    """A group, so that the only command keeps its name."""


@app.command("verify")
def verify_command(
    version: Annotated[str, typer.Argument(help="Version, e.g. 1.1, or an alias, e.g. latest.")],
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="Public key (base64) or file of keys that you trust; else the platform's are asked."
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Keep what is fetched here; default: the cache.", file_okay=False)
    ] = None,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a version with the held-out frames of its public datasets, measure it anew, compare with what is published.

    Ends with 0 when everything public came out again, 1 when something differs, 2 when nothing differs and something
    could not be derived.
    """
    if find_spec("deepmd") is None:
        raise PotluckError(
            "the model cannot be asked here: deepmd-kit is not installed",
            remedy='Install it: pip install "deepmd-kit[torch]".',
        )
    trusted = key_from(key) if key else None
    with connect(server) as client:
        # Files of other platforms may have the same version.
        place = folder or user_cache_path("potluck") / "verify" / client.server.replace("://", "-").replace("/", "-")
        shown = err.status("starting") if err.is_terminal and not as_json else nullcontext()
        with shown as status:
            found = verify(client, version, place / version, trusted, status.update if status else _nothing)
    if as_json:
        print_json(document(found))
    else:
        for line in lines(found):
            out.print(line)
    raise typer.Exit(found.exit_code)


def document(found: Verified) -> dict[str, Any]:
    return {"version": found.version, "private_branches": found.private_branches, **claims.document(found.findings)}


def lines(found: Verified) -> list[str]:
    """What differs first, then what could not be derived, then the rest."""
    told = [f"  {_MARKS[one.state]} {escape(claims.sentence(one))}" for one in claims.in_order(found.findings)]
    tolerance = f"within {100 * RELATIVE_TOLERANCE:g} % or {ABSOLUTE_TOLERANCE:g} meV"
    name, count = f"DPA {escape(found.version)}", len(found.findings)
    differ, open_ = len(found.of("differs")), len(found.of("not-rederived"))
    head = (
        f"[bold green]{name} is what it says:[/] all {count} statements came out again, {tolerance}.",
        f"[bold red]{name} is not what it says:[/] {differ} of {count} statements differ ({tolerance}).",
        f"[bold yellow]{name}: nothing differs[/] ({tolerance}), but {open_} of {count} statements cannot be derived.",
    )[found.exit_code]
    private = found.private_branches
    if private:
        told.append(
            f"[dim]{private} {'branch is' if private == 1 else 'branches are'} of private datasets: their scores, and "
            "the score of all branches together, can be derived by who runs the platform alone.[/]"
        )
    return [head, *told]


def _nothing(_words: str) -> None:
    """Nobody watches."""

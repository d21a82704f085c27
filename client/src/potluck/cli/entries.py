"""What publishing needs, and `potluck publish` and `potluck withdraw`."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from potluck.cli.options import Agree, AsJson, Server, connect, where
from potluck.cli.output import out, print_json
from potluck.errors import LocalFileError, PotluckError

AGREEMENT = (
    "By publishing you confirm that you may share this data under the licence you chose, and that DPA models "
    "trained on it, private data included, are public. The whole text: potluck agreement."
)
CONSEQUENCES = (
    "Downloads of every version stop at once, the next round of training leaves it out, models that it trained stay "
    "and are marked, and its page stays as a notice. It cannot be undone."
)
_WITH_ORCID = re.compile(r"(?P<name>.*\S)\s*\((?P<orcid>\d{4}-\d{4}-\d{4}-\d{3}[\dX])\)")

Which = Annotated[str, typer.Argument(help="Id of the dataset, or the address of its page.", metavar="DATASET")]
Author = dict[str, str] | str


def publish(
    dataset: Which,
    licence: Annotated[str | None, typer.Option("--licence", help="Another licence than so far.")] = None,
    author: Annotated[
        list[str] | None, typer.Option("--author", help="Other authors than so far; repeat it, the order is kept.")
    ] = None,
    description: Annotated[Path | None, typer.Option("--description", help="Markdown file.", dir_okay=False)] = None,
    agree: Agree = False,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Make the latest version of a private dataset public, for good.

    Earlier private versions stay private.
    """
    identity, server = where(dataset, server)
    text = text_of(description) if description else None
    agreed(agree)
    with connect(server) as client:
        now = client.make_public(
            identity, licence=licence, authors=authors_of(author) if author else None, description=text
        )
    if as_json:
        return print_json(now)
    out.print(f"{escape(now.name)} is public under {escape(now.licence)}: {client.server}/datasets/{now.id}")
    return None


def withdraw(
    dataset: Which,
    reason: Annotated[str, typer.Option("--reason", help="For the operators of the site only.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="I understand what happens; do not ask.")] = False,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Take a dataset back, all versions of it."""
    identity, server = where(dataset, server)
    if not yes:
        if not sys.stdin.isatty():
            raise PotluckError("withdrawing needs a yes", where="--yes", remedy=f"Add --yes. {CONSEQUENCES}")
        out.print(CONSEQUENCES)
        typer.confirm("Withdraw every version of it?", abort=True, err=True)
    with connect(server) as client:
        now = client.withdraw(identity, reason)
    if as_json:
        return print_json(now)
    out.print(f"{escape(now.name)} is withdrawn.")
    return None


def authors_of(given: list[str]) -> list[Author]:
    """Names, or name and ORCID iD of 'Ada Lovelace (0000-0002-1825-0097)'."""
    found: list[Author] = []
    for one in given:
        match = _WITH_ORCID.fullmatch(one.strip())
        found.append({"name": match["name"], "orcid": match["orcid"]} if match else one)
    return found


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalFileError(
            f"the description cannot be read: {error}", where=str(path), remedy="Give a Markdown file in UTF-8."
        ) from error


def agreed(agree: bool) -> None:
    """Raises PotluckError where nobody can be asked."""
    if agree:
        return
    if not sys.stdin.isatty():
        raise PotluckError("publishing needs your agreement", remedy=f"Add --agree. {AGREEMENT}")
    out.print(AGREEMENT)
    typer.confirm("Do you agree?", abort=True, err=True)

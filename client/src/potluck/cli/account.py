"""`potluck signup` and `potluck login`."""

import platform
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from potluck import config
from potluck.cli.options import AsJson, Server, connect
from potluck.cli.output import err, out, print_json
from potluck.errors import PotluckError

Email = Annotated[str | None, typer.Option("--email", help="E-mail address of the account; asked for when missing.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def login(server: Server = None, email: Email = None, password_stdin: Stdin = False, as_json: AsJson = False) -> None:
    """Sign in: fetches an API token and keeps it on this machine, readable by you alone."""
    email = email or _ask("E-mail")
    _sign_in(server, email, _password(password_stdin), as_json=as_json)


def signup(
    server: Server = None,
    email: Email = None,
    name: Annotated[str | None, typer.Option("--name", help="Your name as others see it.")] = None,
    password_stdin: Stdin = False,
    as_json: AsJson = False,
) -> None:
    """Create an account, and sign in."""
    email = email or _ask("E-mail")
    name = name or _ask("Name")
    password = _password(password_stdin, new=True)
    with connect(server) as client:
        client.sign_up(email, name, password)
    _sign_in(server, email, password, as_json=as_json)


def _sign_in(server: str | None, email: str, password: str, *, as_json: bool) -> None:
    with connect(server) as client:
        address = urlsplit(client.server)
        if address.scheme == "http" and address.hostname not in ("127.0.0.1", "localhost", "::1"):
            err.print(f"[yellow]{client.server} is not encrypted: others on the way can read your password.[/]")
        token = client.new_token(email, password, f"potluck on {platform.node()}")
        path = config.remember(config.SignIn(server=client.server, token=token, email=email))
        if as_json:
            print_json({"server": client.server, "email": email, "stored": str(path)})
        else:
            out.print(f"Signed in at {client.server} as {email}.")


def _ask(what: str) -> str:
    _interactive_or_fail(f"--{what.lower().replace('-', '')}")
    return str(typer.prompt(what, err=True))


def _password(from_stdin: bool, *, new: bool = False) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    _interactive_or_fail("--password-stdin")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=new, err=True))


def _interactive_or_fail(option: str) -> None:
    if not sys.stdin.isatty():
        raise PotluckError("there is no terminal to ask at", where="standard input", remedy=f"Give {option}.")

"""`potluck login`, `logout`, `signup`, `whoami`."""

import os
import platform
import sys
import webbrowser
from typing import Annotated

import typer
from rich.markup import escape

from potluck import config
from potluck.cli.options import AsJson, Server, connect
from potluck.cli.output import err, out, print_json
from potluck.client import Client
from potluck.errors import PotluckError
from potluck.people import DAYS, SCOPES

Email = Annotated[str | None, typer.Option("--email", help="E-mail address of the account; asked for when missing.")]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


def login(
    server: Server = None,
    browser: Annotated[
        bool, typer.Option("--browser", help="Approve a short code on a page of the site; the default at a terminal.")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read a token, made on your account's page, from standard input.")
    ] = False,
    email: Email = None,
    password_stdin: Stdin = False,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="read, contribute or account; repeat it. Browser only.")
    ] = None,
    days: Annotated[int, typer.Option("--days", help="After how many days it ends. Browser only.", min=1)] = DAYS,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the address and open no browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sign in: by the browser, with a token, or with e-mail and password.

    The token is kept on this machine, readable by you alone.
    """
    if sum((browser, token_stdin, bool(email or password_stdin))) > 1:
        raise typer.BadParameter("--browser, --token-stdin and --email are three ways to sign in: choose one")
    if email or password_stdin:
        email = email or _ask("E-mail")
        return _sign_in(server, email, _password(password_stdin), as_json=as_json)
    if token_stdin:
        return _with_token(server, sys.stdin.readline().strip(), as_json=as_json)
    if not browser and not sys.stdin.isatty():
        raise PotluckError(
            "there is no terminal to ask at",
            where="standard input",
            remedy="Give --browser, --token-stdin, or --email with --password-stdin.",
        )
    return _by_browser(server, scope or list(SCOPES), days, opened=not no_open, as_json=as_json)


def logout(server: Server = None, as_json: AsJson = False) -> None:
    """Forget the token that is kept on this machine.

    It stays valid: revoke it on your account's page if others may have seen it.
    """
    chosen = config.chosen_server(server)
    known = config.forget(chosen)
    if as_json:
        return print_json({"server": chosen, "forgotten": known})
    if known:
        out.print(f"Signed out of {chosen} here. {chosen}/account#tokens revokes the token itself.")
    else:
        out.print(f"Nobody was signed in at {chosen}.")
    return None


def whoami(server: Server = None, as_json: AsJson = False) -> None:
    """Say who is signed in, and where."""
    with connect(server) as client:
        me = client.me()
    if as_json:
        return print_json({"server": client.server, "email": me.email, "name": me.name})
    out.print(f"{escape(me.name)} <{me.email}> at {client.server}")
    return None


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
        _warn_of_the_open(client, "password")
        token = client.new_token(email, password, _this_program())
        _remember(client, token, email, as_json=as_json)


def _with_token(server: str | None, token: str, *, as_json: bool) -> None:
    if not token:
        raise PotluckError("no token came", where="standard input", remedy="Pipe it in, on a line of its own.")
    with connect(server) as asked:
        chosen = asked.server
    with Client(chosen, token, patience_seconds=10.0) as client:
        _warn_of_the_open(client, "token")
        _remember(client, token, client.me().email, as_json=as_json)


def _by_browser(server: str | None, scopes: list[str], days: int, *, opened: bool, as_json: bool) -> None:
    with connect(server) as client:
        _warn_of_the_open(client, "token")
        begun = client.begin_browser_sign_in(_this_program(), scopes=scopes, days=days)
        if as_json:
            print_json({"code": begun.code, "url": begun.url, "url_with_code": begun.url_with_code})
        else:
            err.print(f"Open {begun.url_with_code}")
            err.print(
                f"and approve the code [bold]{escape(begun.code)}[/], within {begun.expires_seconds / 60:.0f} min."
            )
        if opened and _can_open():
            webbrowser.open(begun.url_with_code)
        token = client.wait_for_browser(begun)
        chosen = client.server
    with Client(chosen, token, patience_seconds=10.0) as client:
        _remember(client, token, client.me().email, as_json=as_json)


def _can_open() -> bool:
    """Whether a browser would come up where somebody sees it: a text browser would take this terminal."""
    if os.environ.get("SSH_CONNECTION") or not sys.stderr.isatty():
        return False
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _remember(client: Client, token: str, email: str, *, as_json: bool) -> None:
    path = config.remember(config.SignIn(server=client.server, token=token, email=email))
    if as_json:
        print_json({"server": client.server, "email": email, "stored": str(path)})
    else:
        out.print(f"Signed in at {client.server} as {email}.")


def _warn_of_the_open(client: Client, what: str) -> None:
    if client.server.startswith("http:") and not config.on_this_machine(client.server):
        err.print(f"[yellow]{client.server} is not encrypted: others on the way can read your {what}.[/]")


def _this_program() -> str:
    return f"potluck on {platform.node()}"[:100]


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

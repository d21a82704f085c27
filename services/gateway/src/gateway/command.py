"""`python -m gateway operator grant|revoke <e-mail>` and `operator list`: who may steer the platform.

Exit codes: 0 done, 1 there is no such account or it is so already, 2 wrong arguments.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from kit.db import Database
from pydantic import SecretStr

from gateway.store import Store

WHO = "the command line"


def main(arguments: Sequence[str], dsn: SecretStr | None) -> int:
    """The exit code."""
    given = _arguments().parse_args(arguments)
    if dsn is None:
        print("POTLUCK_GATEWAY_DATABASE_DSN is not set", file=sys.stderr)
        return 2
    return asyncio.run(_run(given, dsn.get_secret_value()))


async def _run(given: argparse.Namespace, dsn: str) -> int:
    operating = Store().operating
    async with Database.opened(dsn, "gateway-command", 1) as database, database.transaction() as connection:
        if given.verb == "list":
            for row in await operating.operators(connection):
                print(f"{row['email']}\t{row['name']}")
            return 0
        email = given.email.strip().lower()
        changed = await operating.set_operator(connection, email, given.verb == "grant")
        if changed is None:
            print(f"there is no account {email}, or it is so already", file=sys.stderr)
            return 1
        about = f"{changed['name']} <{changed['email']}>"
        await operating.audit(connection, None, WHO, f"operator.{given.verb}", about, "")
        print(f"{about} is {'an operator' if changed['operator'] else 'no operator any more'}")
        return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gateway", description="without a command: serve the site")
    operator = parser.add_subparsers(required=True, metavar="operator").add_parser("operator", help="who is one")
    verbs = operator.add_subparsers(dest="verb", required=True)
    for verb in ("grant", "revoke"):
        verbs.add_parser(verb).add_argument("email", help="of an account that exists")
    verbs.add_parser("list")
    return parser

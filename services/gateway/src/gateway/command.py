"""What the operator of a gateway does about people: `python -m gateway reset-link <e-mail address>`.

Exit codes: 0 done, 1 there is no such account, 2 wrong arguments.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from kit.db import Database

from gateway.accounts import Accounts
from gateway.problems import Problem
from gateway.resets import Resets
from gateway.settings import GatewaySettings
from gateway.store import Store


async def reset_link(settings: GatewaySettings, email: str) -> int:
    """Print a link that lets one person choose a new password, once."""
    if settings.database_dsn is None:
        print("POTLUCK_GATEWAY_DATABASE_DSN is not set: links are kept in the gateway's database", file=sys.stderr)
        return 2
    dsn = settings.database_dsn.get_secret_value()
    async with Database.opened(dsn, "gateway-command", 1) as database:
        store = Store()
        accounts = Accounts(database, store, settings)
        try:
            link = await Resets(database, store, accounts, settings).link_for(email)
        except Problem as problem:
            print(f"{problem.detail} {problem.remedy}", file=sys.stderr)
            return 2
    if link is None:
        print(f"there is no account with the address {email}", file=sys.stderr)
        return 1
    print(f"{link}\nworks once, for {settings.reset_link_hours:g} hours; whoever has it can sign in as {email}")
    return 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    reset = commands.add_parser("reset-link", help="a link that lets one person choose a new password, once")
    reset.add_argument("email")
    given = parser.parse_args(arguments)
    return asyncio.run(reset_link(GatewaySettings(), given.email))

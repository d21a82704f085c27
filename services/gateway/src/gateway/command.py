"""What an administrator of a gateway does about people: `python -m gateway reset-link <e-mail address>`,
`operator grant|revoke <e-mail address>` or `operator list`: who may steer the platform; and `rebuild`: read tables once
more from the log of events, while the site serves.

Exit codes: 0 done, 1 there is no such account, it is so already, or the log cannot be replayed, 2 wrong arguments or
settings.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from kit import bus
from kit.blobs import Blobs
from kit.db import Database
from kit.settings import told

from gateway.live.rebuild import CannotRebuild, Rebuild
from gateway.people.accounts import Accounts
from gateway.people.resets import Resets
from gateway.problems import Problem
from gateway.settings import GatewaySettings
from gateway.store import Store

WHO = "the command line"


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


async def operator(settings: GatewaySettings, verb: str, email: str | None) -> int:
    """Make somebody an operator, or no longer one; or list them."""
    if settings.database_dsn is None:
        print("POTLUCK_GATEWAY_DATABASE_DSN is not set: operators are kept in the gateway's database", file=sys.stderr)
        return 2
    operating, dsn = Store().operating, settings.database_dsn.get_secret_value()
    async with Database.opened(dsn, "gateway-command", 1) as database, database.transaction() as connection:
        if email is None:
            for row in await operating.operators(connection):
                print(f"{row['email']}\t{row['name']}")
            return 0
        changed = await operating.set_operator(connection, email.strip().lower(), verb == "grant")
        if changed is None:
            print(f"there is no account with the address {email}, or it is so already", file=sys.stderr)
            return 1
        about = f"{changed['name']} <{changed['email']}>"
        await operating.audit(connection, None, WHO, f"operator.{verb}", about, "")
        print(f"{about} is {'an operator' if changed['operator'] else 'no operator any more'}")
        return 0


async def rebuild(settings: GatewaySettings) -> int:
    """Read tables once more from the log, while the site serves."""
    if settings.database_dsn is None or settings.nats_url is None:
        print("POTLUCK_GATEWAY_DATABASE_DSN and POTLUCK_GATEWAY_NATS_URL are needed to rebuild", file=sys.stderr)
        return 2
    client = await bus.connect(settings, "gateway")
    try:
        dsn = settings.database_dsn.get_secret_value()
        done = await Rebuild(dsn, Store(), Blobs(settings.blobs_url), client.jetstream()).run()
    except CannotRebuild as error:
        print(f"nothing was changed: {error}", file=sys.stderr)
        return 1
    finally:
        await bus.disconnect(client)
    print(
        f"{done.events:,} events replayed, {done.left_out} of them left out as they were before;"
        f" {done.rows:,} rows of {len(done.changed):,} datasets differed;"
        f" new events waited for {done.stood_still:.2f} s"
    )
    return 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    reset = commands.add_parser("reset-link", help="a link that lets one person choose a new password, once")
    reset.add_argument("email")
    steers = commands.add_parser("operator", help="who may steer the platform")
    verbs = steers.add_subparsers(dest="verb", required=True)
    for verb in ("grant", "revoke"):
        verbs.add_parser(verb).add_argument("email", help="of an account that exists")
    verbs.add_parser("list").set_defaults(email=None)
    commands.add_parser("rebuild", help="read tables once more from the log of events, while the site serves")
    given = parser.parse_args(arguments)
    settings = told(GatewaySettings)
    if given.command == "rebuild":
        return asyncio.run(rebuild(settings))
    if given.command == "operator":
        return asyncio.run(operator(settings, given.verb, given.email))
    return asyncio.run(reset_link(settings, given.email))

"""`up`, `status`, `down`, `operate`, `people` and `subscribers`. Each returns the exit code."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kit.tls import is_loopback

from onemachine import outside, report
from onemachine.environment import PUBLIC_TOKEN
from onemachine.installation import Installation, inherited
from onemachine.lock import StateLock
from onemachine.ports import Ports
from onemachine.secrets import Secrets
from onemachine.settings import OneMachineSettings
from onemachine.subscribers import Wrong
from onemachine.supervisor import Supervisor

NOT_READY = 1
NOT_RUNNING = 3
STOP_TIMEOUT_SECONDS = 90.0
REPORT = "units.json"
FULL_BYTES = 50_000_000


def say(sentence: str) -> None:
    """Print, if anyone still listens: a terminal that was closed must not stop the platform half-way."""
    with suppress(OSError):
        print(sentence, flush=True)


def up(settings: OneMachineSettings) -> int:
    """Run the platform until SIGTERM or Ctrl-C. Raises CannotStart."""
    installation = Installation(settings)
    installation.state.mkdir(parents=True, exist_ok=True)
    with StateLock(installation.state).held() as announce:
        installation.prepare()
        addresses = installation.addresses()
        announce(addresses.site, addresses.registry_public_address if "registry" in settings.services else "")
        stages = installation.stages(addresses)
        file = installation.state / REPORT

        def changed(sentence: str) -> None:
            say(sentence)
            if installation.free_bytes() < FULL_BYTES:
                say(f"the disk of {installation.state} is full: free some, the services then go on by themselves")
            with suppress(OSError):  # a full disk must not stop the supervisor
                report.write(file, supervisor.units)

        def ready() -> None:
            say(f"\nPotluck is ready at {addresses.site}   (Ctrl-C stops it)")
            if "registry" in settings.services:
                say(f"Programs query the registry at {addresses.registry_public_address} (gRPC, docs/registry.md)")
                if not is_loopback(f"{addresses.gateway[0]}:{addresses.registry_public}"):
                    say(f"with the token in {installation.state / 'secrets' / PUBLIC_TOKEN}")

        supervisor = Supervisor(stages, ready, changed)
        report.write(file, supervisor.units)  # in place of the last run's
        try:
            asyncio.run(supervisor.run())
        finally:
            installation.tidy()
    say(f"stopped; everything is kept in {installation.state}")
    return 0


def status(state: Path) -> int:
    """0: all ready; 1: not yet, or something is down; 3: not running."""
    holder = StateLock(state).holder()
    if holder is None:
        print(f"not running (state folder {state.absolute()})")
        return NOT_RUNNING
    registry = f"\nregistry (gRPC): {holder.registry}" if holder.registry else ""
    print(f"{holder.address}   supervisor pid {holder.pid}{registry}\n")
    try:
        rows = report.read(state / REPORT)
    except FileNotFoundError:
        return NOT_READY
    print(report.table(rows))
    return 0 if all(row["ready"] for row in rows.values()) else NOT_READY


def down(state: Path) -> int:
    """Stop the running platform and wait until it is gone. 0: stopped, or nothing ran; 1: it does not stop."""
    lock = StateLock(state)
    holder = lock.holder()
    if holder is None:
        print(f"not running (state folder {state.absolute()})")
        return 0
    os.kill(holder.pid, signal.SIGTERM)
    if lock.wait_until_free(STOP_TIMEOUT_SECONDS):
        print("stopped")
        return 0
    print(f"supervisor {holder.pid} did not stop within {STOP_TIMEOUT_SECONDS:.0f} s; its logs: {state / 'logs'}")
    return NOT_READY


def operate(state: Path, arguments: Sequence[str]) -> int:
    """The services' own commands, told where the registry runs and with its tokens.

    `verify …` is the trainer's (`python -m trainer verify …`), everything else the registry's.
    """
    if StateLock(state).holder() is None:
        print(f"not running (state folder {state.absolute()})")
        return NOT_RUNNING
    address = f"127.0.0.1:{Ports(state / 'ports.json').known('registry')}"
    secret = Secrets(state / "secrets").get
    service = "trainer" if arguments[:1] == ["verify"] else "registry"
    own = {
        "registry": {
            "POTLUCK_REGISTRY_ADDRESS": address,
            "POTLUCK_REGISTRY_OPERATOR_TOKEN": secret("registry-operator"),
        },
        "trainer": {
            "POTLUCK_TRAINER_REGISTRY_ADDRESS": address,
            "POTLUCK_TRAINER_QUERY_TOKEN": secret("registry-query"),
            "POTLUCK_TRAINER_BLOBS_URL": (state.absolute() / "blobs").as_uri(),
        },
    }
    command = [sys.executable, "-m", service, *(arguments or ("status",))]
    return subprocess.run(command, env=inherited(os.environ, service, own[service]), check=False).returncode


def people(settings: OneMachineSettings, arguments: Sequence[str]) -> int:
    """The gateway's own command (`python -m gateway …`), with its database, its bus and the site's address."""
    holder = StateLock(settings.state).holder()
    if holder is None:
        print(f"not running (state folder {settings.state.absolute()})")
        return NOT_RUNNING
    installation = Installation(settings)
    own = {
        "POTLUCK_GATEWAY_DATABASE_DSN": installation.dsn("gateway") or "",
        "POTLUCK_GATEWAY_BLOBS_URL": installation.blobs.as_uri(),
        "POTLUCK_GATEWAY_PUBLIC_URL": holder.address,
        "POTLUCK_GATEWAY_NATS_URL": f"nats://127.0.0.1:{Ports(settings.state / 'ports.json').known('nats')}",
        "POTLUCK_GATEWAY_NATS_USER": "gateway",
        "POTLUCK_GATEWAY_NATS_PASSWORD": Secrets(settings.state / "secrets").get("nats-gateway"),
    }
    command = [sys.executable, "-m", "gateway", *(arguments or ("--help",))]
    return subprocess.run(command, env=inherited(os.environ, "gateway", own), check=False).returncode


SUBSCRIBERS_USAGE = """\
subscribers list                     who may subscribe, and where
subscribers add <name>               a new credential; its password is shown once
subscribers add <name> <public key>  the same with an NKey, whose seed its owner keeps
subscribers revoke <name>            ends it, and its connections at once\
"""


def subscribers(settings: OneMachineSettings, arguments: Sequence[str]) -> int:
    """Credentials of outsiders. In force at once when the platform runs, else when it starts. 2: wrong arguments."""
    installation = Installation(settings)
    try:
        match list(arguments or ("list",)):
            case ["list"]:
                return _list_subscribers(installation)
            case ["add", name, *key] if len(key) <= 1:
                with installation.subscribers.changing():
                    made = installation.subscribers.add(name, *key)
                    _apply(installation)
                _introduce(installation, made)
                return 0
            case ["revoke", name]:
                with installation.subscribers.changing():
                    installation.subscribers.revoke(name)
                    _apply(installation)
                print(f"{name} is revoked")
                return 0
    except Wrong as error:
        print(error, file=sys.stderr)
        return 2
    print(SUBSCRIBERS_USAGE, file=sys.stderr)
    return 2


def _apply(installation: Installation) -> None:
    server = installation.outside_server()
    if server is not None and StateLock(installation.state).holder() is not None:
        installation.in_force(server)


def _introduce(installation: Installation, made: outside.Subscriber) -> None:
    server = installation.outside_server()
    print(f"server      {server.listener.url if server else 'known once the platform has started'}")
    if server and server.listener.websocket_url:
        print(f"websocket   {server.listener.websocket_url}")
    if made.password is not None:
        print(f"user        {made.name}\npassword    {made.password}   (not shown again)")
    else:
        print(f"NKey        {made.nkey}")
    print(f"consumer    {made.name} of stream {outside.STREAM}, JetStream domain {outside.SUBSCRIBER_DOMAIN}")
    print(f"inbox       {outside.inbox(made.name)}\n\nHow to use it: docs/subscribers.md")


def _list_subscribers(installation: Installation) -> int:
    for one in installation.subscribers.all():
        print(f"{one.name}   {'NKey' if one.nkey else 'password'}   since {one.created}")
    server = installation.outside_server()
    if server is not None:
        print(" ".join(filter(None, ("server", server.listener.url, server.listener.websocket_url))))
    return 0

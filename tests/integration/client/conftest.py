"""A real gateway on real servers; the test speaks for the other services on the bus."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import httpx
import patience
import pytest
import quick_passwords
from contracts.envelope import Attributes, Event, to_headers
from contracts.topology import EVENT_STREAM
from onemachine.nats import ADMIN, NatsServer
from onemachine.provision import administration
from ports import free_port


class GatewayProcess:
    """`python -m gateway` with quick passwords, to be killed and started again on the same port and state."""

    def __init__(self, service_env: Callable[[str], dict[str, str]], streams: NatsServer, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._streams = streams
        own = service_env("gateway") | {"POTLUCK_GATEWAY_ADDRESS": self.url.removeprefix("http://")}
        self.environment = {**os.environ, **own}
        self.blobs = Path(unquote(urlsplit(own["POTLUCK_GATEWAY_BLOBS_URL"]).path))
        self._log = folder / "gateway.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(quick_passwords.PROGRAM)], env=self.environment, stdout=log, stderr=log
            )
        deadline = time.monotonic() + patience.SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the gateway did not start:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def say(self, service: str, event: Event) -> None:
        """Publishes `event` in the name of that service."""
        attributes = Attributes(
            id=uuid4(),
            type=event.ce_type(),
            source=f"potluck/{service}",
            subject=event.about(),
            time=datetime.now(UTC),
        )

        async def publish() -> None:
            async with administration(self._streams.url, ADMIN, f"nats-password-of-{ADMIN}") as jetstream:
                headers = to_headers(attributes)
                await jetstream.publish(event.nats_subject, event.body(), stream=EVENT_STREAM, headers=headers)

        asyncio.run(publish())

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=60)
            self._process = None


@pytest.fixture
def gateway_process(
    service_env: Callable[[str], dict[str, str]], fresh_streams: NatsServer, tmp_path: Path
) -> Iterator[GatewayProcess]:
    gateway = GatewayProcess(service_env, fresh_streams, tmp_path)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.stop()

"""The gateway's bench on fresh servers."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from gateway_bench import Member, Outside, ServedProcess, Site, serving_site
from onemachine.nats import ADMIN, NatsServer
from onemachine.provision import administration
from ports import free_port
from quick_passwords import QuickHash


@pytest.fixture(autouse=True)
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """True ones: test_gateway_accounts.py."""
    monkeypatch.setattr("gateway.people.passwords.PasswordHash", QuickHash)


@pytest.fixture
def gateway_env(service_env: Callable[[str], dict[str, str]], tmp_path: Path) -> dict[str, str]:
    """The environment of a gateway on a free port; a test may add to it before it starts one."""
    return service_env("gateway") | {
        "POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming"),
        "POTLUCK_GATEWAY_RETRY_DELAYS_SECONDS": "[0.1]",
        "POTLUCK_GATEWAY_MAX_ATTEMPTS": "3",
    }


@pytest.fixture
async def site(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with serving_site(gateway_env, monkeypatch) as served:
        yield served


@pytest.fixture
async def mei(site: Site) -> Member:
    """A contributor."""
    return await site.join("mei")


@pytest.fixture
async def outside(fresh_streams: NatsServer) -> AsyncIterator[Outside]:
    async with administration(fresh_streams.url, ADMIN, f"nats-password-of-{ADMIN}") as jetstream:
        yield Outside(jetstream)


@pytest.fixture
def served_process(gateway_env: dict[str, str], tmp_path: Path) -> Iterator[ServedProcess]:
    process = ServedProcess(gateway_env, tmp_path / "gateway.log")
    try:
        process.start()
        yield process
    finally:
        if process.child is not None and process.child.poll() is None:
            process.kill()


@pytest.fixture
def unused_port() -> int:
    return free_port()

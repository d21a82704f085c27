"""Leases under fire, a small one: `make bench` fights the large one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from battlefield import battle
from lease_chaos import check
from onemachine.nats import NatsServer

LEASES = 10


@pytest.mark.timeout(240)
def test_killed_workers_and_registries_end_every_round_once(
    service_env: Callable[[str], dict[str, str]], nats_server: NatsServer, tmp_path: Path
) -> None:
    after = asyncio.run(battle(service_env, nats_server, tmp_path, LEASES, most_seconds=220))
    check(after, LEASES)

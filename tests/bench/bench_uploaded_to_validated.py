"""What the platform adds to parsing: from the commit of an upload's outbox row to DatasetValidated at a consumer.

Real PostgreSQL (with fsync) and nats-server, ingest as a process of its own. Ingest's spans say how long it opened,
parsed and assembled; the rest is overhead: two deliveries, the archive fetched, the dataset stored, two commits.
The peer is the same parsing in one warm process without walls: what it needs less is the price of confinement, which
the spans count as parsing.
"""

import asyncio
import importlib
import json
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from bench_service import service_process, spans
from contracts.base import Credit, DatasetRef
from contracts.envelope import Event
from contracts.events import DatasetRejected, DatasetUploaded, DatasetValidated
from contracts.keys import upload_archive
from ingest.confinement.children import Children, Ending, Feeding, Job
from ingest.engine import Engine, Request, read_catalogue
from ingest.settings import IngestSettings
from kit.bus import Delivery
from kit.outbox import emit
from kit.service import Foundation, running
from kit.settings import ServiceSettings, service_config
from opentelemetry import trace

ROUNDS = 15
WARM_UP = 2
# Long enough for the spare children to be there again, as they are between two contributors.
PAUSE_SECONDS = 4.0
ARCHIVE = Path(__file__).parents[2] / "deploy/demo/si-more-qe-pbe.tar.xz"
PARSING = ("ingest.open", "ingest.parse", "ingest.assemble")
Environment = Callable[[str], dict[str, str]]


class GatewayLike(ServiceSettings):
    model_config = service_config("gateway")


@dataclass(frozen=True)
class Contribution:
    """One upload; moments in seconds since the epoch."""

    trace_id: str
    committed: float
    validated: float


class Contributor:
    """In the gateway's role: tells of uploads, hears what came of them."""

    def __init__(self, base: Foundation[GatewayLike]) -> None:
        self._base = base
        self._heard: dict[UUID, asyncio.Future[float]] = {}

    async def on_event(self, event: Event, _delivery: Delivery) -> None:
        if isinstance(event, DatasetValidated | DatasetRejected):
            heard = self._heard[event.dataset.dataset_id]
            if isinstance(event, DatasetRejected):
                heard.set_exception(AssertionError(event.reason))
            else:
                heard.set_result(time.time())

    async def contribute(self) -> Contribution:
        dataset = DatasetRef(dataset_id=uuid4(), version=1)
        archive = await self._base.blobs.put_file(upload_archive(dataset.dataset_id), ARCHIVE)
        uploaded = DatasetUploaded(
            dataset=dataset,
            owner_id=uuid4(),
            credit=Credit(title="Silicon", authors=("demo contributor",), licence="CC-BY-4.0", private=False),
            archive=archive,
            filename=ARCHIVE.name,
            format="qe/pw/scf",
        )
        heard = self._heard[dataset.dataset_id] = asyncio.get_running_loop().create_future()
        with trace.get_tracer("bench").start_as_current_span("upload") as span:
            async with self._base.database.transaction() as connection:
                await emit(connection, uploaded)
            committed = time.time()
        trace_id = f"0x{span.get_span_context().trace_id:032x}"
        return Contribution(trace_id, committed, await asyncio.wait_for(heard, 120))


async def contribute(pause_seconds: float) -> list[Contribution]:
    """One after another; without those to warm up."""
    made: list[Contributor] = []

    @asynccontextmanager
    async def wired(_settings: GatewayLike, base: Foundation[GatewayLike]) -> AsyncIterator[None]:
        made.append(Contributor(base))
        base.bus.consume("gateway-events", made[0].on_event)
        yield

    contributions = []
    async with running("gateway", GatewayLike(), wired):
        for _ in range(WARM_UP + ROUNDS):
            await asyncio.sleep(pause_seconds)
            contributions.append(await made[0].contribute())
    return contributions[WARM_UP:]


class Pipe:
    """A standard input inside this process."""

    def __init__(self) -> None:
        end, self._end = os.pipe()
        self.buffer = os.fdopen(end, "rb")

    async def send(self, data: bytes) -> None:
        await asyncio.to_thread(os.write, self._end, data)

    async def heard(self, seconds: float) -> None:
        """What is done in a thread calls nobody: it is looked up often."""
        await asyncio.sleep(min(seconds, 0.01))

    def close(self) -> None:
        os.close(self._end)


class WithoutWalls(Children):
    """Does every job in this process, imported once."""

    async def run(self, job: Job, feeding: Feeding | None = None) -> Ending:
        pipe = Pipe()
        doing = asyncio.create_task(asyncio.to_thread(self._do, job, pipe))
        if feeding is not None:
            await feeding(pipe)
        pipe.close()
        await doing
        return Ending(None, None, "")

    @staticmethod
    def _do(job: Job, pipe: Pipe) -> None:
        module, _, name = job.task.partition(":")
        task = getattr(importlib.import_module(module), name)
        here = Path.cwd()
        with ExitStack() as stack:
            stack.enter_context(pytest.MonkeyPatch.context()).setattr("sys.stdin", pipe)
            inputs = [stack.enter_context(path.open("rb")) for path in job.inputs]
            outputs = [stack.enter_context(path.open("xb", buffering=0)) for path in job.outputs]
            stack.callback(os.chdir, here)
            arguments = json.loads(job.line())["arguments"]
            task({**arguments, "walls": {}}, inputs, outputs)


async def parse_without_walls(folder: Path) -> list[float]:
    """Seconds of opening, parsing and assembling alone."""
    settings, children = IngestSettings(), WithoutWalls(folder)
    engine = Engine(settings, children, await read_catalogue(children, settings, folder))
    seconds = []
    for number in range(WARM_UP + ROUNDS):
        work = folder / str(number)
        work.mkdir()
        started = time.perf_counter()
        prepared = await engine.prepare(Request(ARCHIVE, ARCHIVE.name, "qe/pw/scf", None), work)
        seconds.append(time.perf_counter() - started)
        assert prepared.selection.frames == 24
    return seconds[WARM_UP:]


@dataclass(frozen=True)
class Parts:
    """Where the time of one contribution went, in seconds."""

    total: float
    before: float
    between: float
    after: float
    parsing: dict[str, float]

    @property
    def overhead(self) -> float:
        return self.before + self.between + self.after


def parts(contribution: Contribution, traces: Path) -> Parts:
    own = {
        one["name"]: (_seconds(one["start_time"]), _seconds(one["end_time"]))
        for one in spans(traces)
        if one["context"]["trace_id"] == contribution.trace_id and one["name"] in PARSING
    }
    assert set(own) == set(PARSING)
    first, last = own[PARSING[0]][0], own[PARSING[-1]][1]
    parsing = {name: end - start for name, (start, end) in own.items()}
    return Parts(
        total=contribution.validated - contribution.committed,
        before=first - contribution.committed,
        between=last - first - sum(parsing.values()),
        after=contribution.validated - last,
        parsing=parsing,
    )


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def milliseconds(seconds: Iterable[float]) -> float:
    return statistics.median(seconds) * 1e3


def show(title: str, rows: Sequence[Parts], bare: float) -> None:
    """`bare`: milliseconds that parsing takes without walls."""
    total, overhead = milliseconds(one.total for one in rows), milliseconds(one.overhead for one in rows)
    ninth = sorted(one.overhead for one in rows)[int(0.9 * len(rows))] * 1e3
    spent = {name: milliseconds(one.parsing[name] for one in rows) for name in PARSING}
    named = ", ".join(f"{name.removeprefix('ingest.')} {value:.0f}" for name, value in spent.items())
    parsing = milliseconds(sum(one.parsing.values()) for one in rows)
    print(f"\n{title}, {len(rows)} uploads, medians in ms")
    for name, value, note in (
        ("total", total, ""),
        ("parsing", parsing, f"({named})"),
        ("overhead", overhead, f"p90 {ninth:.1f}, {overhead / total:.2f} of the total"),
        ("event in, archive fetched", milliseconds(one.before for one in rows), ""),
        ("between the steps", milliseconds(one.between for one in rows), ""),
        ("stored, event out", milliseconds(one.after for one in rows), ""),
        ("parsing without walls", bare, f"the total is {total / bare:.1f} times that"),
        ("total less that", total - bare, ""),
    ):
        print(f"{name:>28} {value:7.1f}  {note}")


def test_uploaded_to_validated(service_env: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    traces = tmp_path / "traces.jsonl"
    ingest = service_env("ingest") | {
        "POTLUCK_INGEST_WORK_FOLDER": str(tmp_path / "work"),
        "POTLUCK_INGEST_TRACES_FILE": str(traces),
    }
    for key, value in (service_env("gateway") | ingest).items():
        monkeypatch.setenv(key, value)
    with service_process("ingest", ingest, tmp_path / "ingest.log"):
        paused = asyncio.run(contribute(PAUSE_SECONDS))
        pressed = asyncio.run(contribute(0))
    (tmp_path / "bare").mkdir()
    bare = milliseconds(asyncio.run(parse_without_walls(tmp_path / "bare")))
    show(f"uploads {PAUSE_SECONDS:g} s apart", [parts(one, traces) for one in paused], bare)
    show("each upload at once after the last", [parts(one, traces) for one in pressed], bare)
    assert len(paused) == len(pressed) == ROUNDS

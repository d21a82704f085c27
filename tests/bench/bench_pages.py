"""Pages under load: the list of 100,000 datasets at 50 requests a second, and a dataset's page against a bare one.

The bare page is what Starlette and Jinja2 do at least: one template that renders as many bytes from as many values,
served by the same server, without reading anything. Requests come from this process, over loopback.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from bench_service import service_process
from bench_site import publish_dataset, sign_in
from ports import free_port

DATASETS = 100_000
RATE = 50  # requests a second
SECONDS = 20
# Pages that strangers have seen are kept for a moment: with {n}, no two requests are the same.
LISTED = (
    "/datasets",
    "/datasets?q=carbide&n={n}",
    "/datasets?element=Si&sort=name&n={n}",
    "/datasets?stage=done&sort=frames&n={n}",
    "/datasets?q={n}",
)
TURNS, TURN_SECONDS, CLIENTS = 5, 3.0, 4
MEMBERS = 20  # each in a browser of their own

FILL = """
insert into catalogue
select gen_random_uuid(), true, 1, %(owner)s, name, array['Ada Lovelace', 'Demo Contributor'], 'CC-BY-4.0',
       now() - number * interval '1 minute', number * 1000, 10 + number %% 5000, elements, '{}', 'PBE', 'done',
       'not-passed', 'covered', false, null,
       to_tsvector('simple', name || ' Ada Lovelace and others, molecular dynamics from 300 to 2000 K')
       || array_to_tsvector(array['element:' || elements[1], 'element:' || elements[2], 'licence:CC-BY-4.0',
                                  'functional:pbe', 'stage:done', 'verdict:covered', 'frames:3'])
from (select number, 'Dataset ' || number || case when number %% 50 = 0 then ' carbide' else ' oxide' end as name,
             (array['{C,Si}', '{H,O}', '{Fe,Ni}', '{O,Ti}', '{Cu,Zn}']::text[])[1 + number %% 5]::text[] as elements
      from generate_series(1, %(datasets)s) as number) as made
"""

BARE = """
import asyncio
import sys
from granian.constants import Interfaces
from granian.server.embed import Server
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

ROWS = int(sys.argv[2]) // 64
template = Environment(autoescape=True).from_string(
    "<!doctype html><title>{{ title }}</title>"
    "{% for row in rows %}<p class=row>{{ row }} {{ loop.index }}</p>{% endfor %}"
)
values = ["value of forty characters, more or less " for _ in range(ROWS)]

async def page(request):
    return HTMLResponse(template.render(title="bare", rows=values))

app = Starlette(routes=[Route("/", page)])
asyncio.run(Server(app, port=int(sys.argv[1]), interface=Interfaces.ASGINL, log_enabled=False).serve())
"""


@pytest.fixture
def site(service_env: Callable[[str], dict[str, str]], tmp_path: Path) -> dict[str, str]:
    port = free_port()
    return service_env("gateway") | {
        "POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{port}",
        "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming"),
    }


def fill(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        made = connection.execute(
            "insert into people (email, name, password_hash) values ('b@example.org', 'B', '-') returning person_id"
        ).fetchone()
        assert made is not None
        connection.execute(FILL, {"owner": made[0], "datasets": DATASETS})
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze catalogue")


async def paced(client: httpx.AsyncClient, path: str) -> list[float]:
    """Seconds of each answer, requests sent at their time whether earlier ones have been answered or not."""
    times: list[float] = []

    async def one(at: float, number: int) -> None:
        await asyncio.sleep(at - time.perf_counter())
        answer = await client.get(path.format(n=number))
        assert answer.status_code == 200
        times.append(time.perf_counter() - at)  # from when it should have been sent: waiting counts

    begin = time.perf_counter() + 0.1
    await asyncio.gather(*(one(begin + number / RATE, number) for number in range(RATE * SECONDS // len(LISTED))))
    return times


@dataclass(frozen=True, slots=True)
class Served:
    """Answers a second, and processor time that the server spent on each, in ms."""

    rate: float
    cpu_ms: float


async def busy(url: str, server: psutil.Process, cookies: Sequence[str] = ("",)) -> Served:
    """A few clients that ask again at once, in turn as each of these browsers."""
    before = server.cpu_times()
    until = time.perf_counter() + TURN_SECONDS
    done = 0

    async def ask(client: httpx.AsyncClient) -> None:
        nonlocal done
        while time.perf_counter() < until:
            answer = await client.get(url, headers={"cookie": cookies[done % len(cookies)]})
            assert answer.status_code == 200
            done += 1

    async with httpx.AsyncClient(headers={"accept-encoding": "identity"}) as client:
        await asyncio.gather(*(ask(client) for _ in range(CLIENTS)))
    after = server.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return Served(done / TURN_SECONDS, 1000 * spent / done)


def test_the_list_of_a_hundred_thousand_datasets(site: dict[str, str], tmp_path: Path) -> None:
    url = f"http://{site['POTLUCK_GATEWAY_ADDRESS']}"

    async def measure() -> dict[str, list[float]]:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            for path in LISTED * 3:  # warm: templates, plans, pages of the table
                (await client.get(path.format(n="warm"))).raise_for_status()
            return {path: await paced(client, path) for path in LISTED}

    with service_process("gateway", site, tmp_path / "gateway.log"):
        fill(site["POTLUCK_GATEWAY_DATABASE_DSN"])
        found = asyncio.run(measure())
    for path, times in found.items():
        ordered = sorted(times)
        middle, p99 = statistics.median(ordered), ordered[int(0.99 * len(ordered))]
        print(f"\n{path}: median {1000 * middle:.1f} ms, p99 {1000 * p99:.1f} ms at {RATE}/s (60 ms asked)")


def test_a_datasets_page_against_a_bare_one(site: dict[str, str], tmp_path: Path) -> None:
    url = f"http://{site['POTLUCK_GATEWAY_ADDRESS']}"
    with service_process("gateway", site, tmp_path / "gateway.log") as child:
        gateway = psutil.Process(child.pid)
        page = f"{url}/datasets/{publish_dataset(url)[0]}"
        members = [sign_in(url, f"member-{number}@example.org") for number in range(MEMBERS)]
        browsers = {"strangers": [""], "members": members, "its owner": [sign_in(url, "bench@example.org")]}
        size = len(httpx.get(page, headers={"accept-encoding": "identity"}).content)
        with bare_page(size) as (bare, server):
            ours: dict[str, list[Served]] = {who: [] for who in browsers}
            theirs = []
            for _ in range(TURNS):
                theirs.append(asyncio.run(busy(bare, server)))
                for who, cookies in browsers.items():
                    ours[who].append(asyncio.run(busy(page, gateway, cookies)))
    bare_cpu = statistics.median(one.cpu_ms for one in theirs)
    print(f"\na bare page of {size:,} bytes: {bare_cpu:.2f} ms of processor time; requests a second against it:")
    for who, served in ours.items():
        ratios = [one.rate / other.rate for one, other in zip(served, theirs, strict=True)]
        cpu = statistics.median(one.cpu_ms for one in served)
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"for {who}: {statistics.median(ratios):.2f} ({each}), {cpu:.2f} ms of processor time")


@contextmanager
def bare_page(size: int) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a page of about `size` bytes, and who serves it."""
    port = free_port()
    child = subprocess.Popen([sys.executable, "-c", BARE, str(port), str(size)])
    url = f"http://127.0.0.1:{port}/"
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=30)) as client:
            client.get(url).raise_for_status()
        yield url, psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(10)

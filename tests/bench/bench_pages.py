"""Pages under load: the list of 100,000 datasets at 50 requests a second, and a dataset's page against a bare one.

The bare page is what Starlette and Jinja2 do at least: one template that renders as many bytes from as many values,
served by the same server, without reading anything. Requests come from this process, over loopback.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from bench_service import service_process
from bench_site import publish_dataset
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


async def busy(url: str, **headers: str) -> float:
    """Answers a second to a few clients that ask again at once."""
    until = time.perf_counter() + TURN_SECONDS
    done = 0

    async def ask(client: httpx.AsyncClient) -> None:
        nonlocal done
        while time.perf_counter() < until:
            answer = await client.get(url)
            assert answer.status_code == 200
            done += 1

    async with httpx.AsyncClient(headers={"accept-encoding": "identity"} | headers) as client:
        await asyncio.gather(*(ask(client) for _ in range(CLIENTS)))
    return done / TURN_SECONDS


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
    with service_process("gateway", site, tmp_path / "gateway.log"):
        dataset_id, owner = publish_dataset(url)
        page = f"{url}/datasets/{dataset_id}"
        size = len(httpx.get(page, headers={"accept-encoding": "identity"}).content)
        with bare_page(size) as bare:
            bare_size = len(httpx.get(bare).content)
            ratios, made_anew = [], []
            for _ in range(TURNS):
                ours, theirs = asyncio.run(busy(page)), asyncio.run(busy(bare))
                made_anew.append(asyncio.run(busy(page, authorization=owner)) / theirs)
                ratios.append(ours / theirs)
                print(f"\n{ours:.0f}/s of {size:,} bytes, bare {theirs:.0f}/s of {bare_size:,}: {ours / theirs:.2f}")
    print(f"\ndataset page / bare page: {statistics.median(ratios):.2f} (0.5 asked), as many strangers see it;")
    print(f"for somebody who is signed in, made anew each time: {statistics.median(made_anew):.2f}")


@contextmanager
def bare_page(size: int) -> Iterator[str]:
    """The address of a page of about `size` bytes."""
    port = free_port()
    child = subprocess.Popen([sys.executable, "-c", BARE, str(port), str(size)])
    url = f"http://127.0.0.1:{port}/"
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=30)) as client:
            client.get(url).raise_for_status()
        yield url
    finally:
        child.terminate()
        child.wait(10)

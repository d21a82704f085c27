"""What a first visit costs: time to the largest contentful paint, and the scripts that every page sends.

Each page is opened in a profile of its own, so nothing is cached, over loopback. Scripts count as they are sent to who
takes gzip and no brotli, which is smaller. The structure viewer is fetched when it is seen, and told apart.
"""

import statistics
from collections.abc import Callable
from typing import Any

import httpx
from playwright.sync_api import Browser, Page

TURNS = 5
AT_THE_DOOR = ("/sign-in", "/sign-up", "/forgotten")
OPEN = ("/", "/datasets", "/datasets?q=silicon&element=Si", "/models", "/models/1.1", "/dpa", "/dpa/statistics")
DOCUMENTS = ("/queue", "/licences", "/agreements/2026-11", "/api", "/api/events", "/api/grpc")
OWN = ("/upload", "/my-uploads", "/account")

# The last entry before anybody touches the page is the largest; two frames on, nothing more is painted.
LARGEST_PAINT = """
() => new Promise(resolve => {
  let last = null;
  new PerformanceObserver(list => { last = list.getEntries().at(-1).startTime; })
    .observe({type: "largest-contentful-paint", buffered: true});
  setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => resolve(last))), 300);
})
"""
SCRIPTS = """
() => performance.getEntriesByType("resource").map(one => one.name).filter(one => new URL(one).pathname.endsWith(".js"))
"""


def opened(browser: Browser, url: str, cookies: list[Any], path: str) -> tuple[float, set[str]]:
    """Milliseconds to the largest contentful paint, and the scripts that the page loaded."""
    context = browser.new_context(base_url=url, locale="en-GB", viewport={"width": 1280, "height": 900})
    try:
        context.add_cookies(cookies)
        page = context.new_page()
        answer = page.goto(path, wait_until="load")
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"
        paint = page.evaluate(LARGEST_PAINT)
        assert paint, f"{path} painted nothing"
        return float(paint), set(page.evaluate(SCRIPTS))
    finally:
        context.close()


def gzipped(script: str) -> int:
    """Bytes of a script's answer to who takes gzip alone; the smallest scripts are sent as they are."""
    with httpx.stream("GET", script, headers={"accept-encoding": "gzip"}) as answer:
        answer.raise_for_status()
        return sum(map(len, answer.iter_raw()))


def test_first_visits(
    page: Page,
    browser: Browser,
    platform: Any,
    contribution: Callable[..., Any],
    sign_in: Callable[[httpx.Client], None],
) -> None:
    client = platform.client()
    trained = contribution("Silicon carbide", client=client).validated().checking().passed().training()
    trained.progress(0, 1971).progress(450, 610).published("1.1").reaches("published")
    training = contribution("Silicon carbide at 2,000 K", client=client).validated().checking().passed().training()
    training.progress(0, 1971).progress(300, 850).reaches("training")
    sign_in(client)
    cookies: list[Any] = page.context.cookies()
    own = (*OWN, trained.path, training.path, f"{trained.path}/withdraw")
    visits = [(path, []) for path in (*AT_THE_DOOR, *OPEN, *DOCUMENTS)] + [(path, cookies) for path in own]
    sizes: dict[str, int] = {}
    slowest, heaviest = 0.0, 0
    for path, carried in visits:
        turns = [opened(browser, platform.url, carried, path) for _ in range(TURNS)]
        scripts = set().union(*(loaded for _, loaded in turns))
        sizes |= {one: gzipped(one) for one in scripts - sizes.keys()}
        viewer = sum(size for one, size in sizes.items() if one in scripts and "/viewer-" in one)
        total = sum(sizes[one] for one in scripts) - viewer
        paint = statistics.median(milliseconds for milliseconds, _ in turns)
        slowest, heaviest = max(slowest, paint), max(heaviest, total)
        shown = path.replace(trained.path, "/datasets/(trained)").replace(training.path, "/datasets/(training)")
        seen = f", and the viewer {viewer / 1000:.1f} kB" if viewer else ""
        print(f"\n{shown}: largest paint {paint:.0f} ms, scripts {total / 1000:.1f} kB gz{seen}")
    print(f"\nslowest {slowest:.0f} ms (1,500 asked), heaviest {heaviest / 1000:.1f} kB (150 asked), viewer aside")

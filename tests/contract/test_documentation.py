"""The documentation is built with one command, its links lead somewhere, and it asks no other server for anything."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from contracts.topology import EMITS

ROOT = Path(__file__).parents[2]
BASE = "http://site/docs/"


class Links(HTMLParser):
    """Addresses that a page links to, those that it loads, and the names of its parts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if "id" in found:
            self.names.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        for name in ("src", "srcset"):
            if name in found:
                self.loads.append(found[name])
        if tag == "link" and "href" in found:
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documentation")
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def pages(built: Path) -> dict[str, Links]:
    """Address → page."""
    found = {}
    for path in built.rglob("index.html"):
        place = path.relative_to(built).parent.as_posix()
        found[urljoin(BASE, "" if place == "." else f"{place}/")] = Links(path.read_text())
    return found


def test_every_link_leads_somewhere(built: Path, pages: dict[str, Links]) -> None:
    assert len(pages) > 20
    for address, page in pages.items():
        for link in [*page.links, *page.loads]:
            target = urljoin(address, link)
            if not target.startswith(BASE):
                continue
            plain, _, part = target.partition("#")
            path = built / unquote(plain.removeprefix(BASE))
            assert path.is_file() or (path / "index.html").is_file(), f"{address}: {link}"
            assert not part or part in pages[plain].names, f"{address}: {link}"


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(built: Path, pages: dict[str, Links]) -> None:
    for address, page in pages.items():
        assert all(urlsplit(urljoin(address, one)).netloc == "site" for one in page.loads), address
    texts = [path.read_text() for path in built.rglob("*.html")]
    assert not any(re.search(r"<script|@import|<style|style=", text) for text in texts)
    assert "url(" not in (built / "style.css").read_text()


def test_every_page_is_in_the_navigation(pages: dict[str, Links]) -> None:
    listed = {urljoin(BASE, link) for link in pages[BASE].links}
    assert set(pages) - listed == set()


def test_references_are_made_from_the_code(built: Path) -> None:
    settings = (built / "settings/index.html").read_text()
    for variable in ("POTLUCK_GATEWAY_PREDICTIONS_PER_HOUR", "POTLUCK_METRIC_MAX_FRAMES", "POTLUCK_TRAINER_"):
        assert variable in settings
    client = (built / "client-reference/index.html").read_text()
    assert 'id="download"' in client
    assert "SHA-256 verified" in client
    assert "BFGS(FrechetCellFilter(crystal)" in (built / "use/index.html").read_text()


@pytest.mark.parametrize("service", sorted(EMITS))
def test_a_services_readme_names_every_event_that_it_emits(service: str) -> None:
    text = " ".join((ROOT / f"services/{service}/README.md").read_text().split())
    assert [one.nats_subject for one in EMITS[service] if one.nats_subject.removeprefix("potluck.") not in text] == []


def test_what_pages_of_the_site_link_to_is_there(built: Path) -> None:
    templates = (ROOT / "services/gateway/src/gateway/templates").glob("*.html")
    linked = {address for path in templates for address in re.findall(r'href="/docs/([^"]*)"', path.read_text())}
    assert {"", "use/", "tutorial.ipynb"} <= linked
    for address in linked:
        assert (built / address).is_file() or (built / address / "index.html").is_file(), address

"""The documentation is served where it was built, and linked from every page; elsewhere there is no link to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway import pages
from gateway.pages import site as rendering
from gateway_bench import Site, serving_site


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "documentation"
    monkeypatch.setattr(pages, "DOCUMENTATION", place)
    monkeypatch.setattr(rendering, "DOCUMENTATION", place)
    return place


@pytest.fixture(autouse=True)
def rendered_anew() -> Iterator[None]:
    rendering.site.cache_clear()
    yield
    rendering.site.cache_clear()


async def test_it_is_served_and_linked(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "operate").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>Documentation</h1>")
    (folder / "operate/index.html").write_text("<h1>Run it</h1>")
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as site:
        assert 'href="/docs/"' in (await site.http.get("/?lang=en")).text
        assert (await _text(site, "/docs/")) == "<h1>Documentation</h1>"
        assert (await _text(site, "/docs/operate/")) == "<h1>Run it</h1>"
        missing = await site.http.get("/docs/../../settings.py")
        assert missing.status_code == 404
        assert "content-security-policy" in (await site.http.get("/docs/")).headers


async def test_where_it_was_not_built_nothing_leads_there(
    gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    assert not folder.exists()
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as site:
        assert "/docs/" not in (await site.http.get("/?lang=en")).text
        assert (await site.http.get("/docs/")).status_code == 404


async def _text(site: Site, path: str) -> str:
    answer = await site.http.get(path)
    assert answer.status_code == 200, path
    return answer.text

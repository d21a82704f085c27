"""The pictures of docs/contribute.md, taken of the pages that they show: UPDATE_DOCS=1 writes them anew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from guide_pictures import IMAGES, Gallery, referenced
from playwright.sync_api import Locator, Page, ViewportSize, expect

SignIn = Callable[[httpx.Client], None]
NAMES = ("upload.png", "agreement.png", "progress.png", "verdict.png", "model.png")
# A guide's column is 736 pixels wide: what is taken wider cannot be read in it.
DESK: ViewportSize = {"width": 1024, "height": 900}
MARGIN = 16
ERRORS = ((0, 1790), (100, 1320), (200, 905), (300, 702), (400, 588), (500, 520), (600, 471), (700, 433), (800, 412))
DESCRIPTION = """Ab-initio molecular dynamics of **cubic SiC** at 300 to 2,000 K, 8 atoms a cell.

Good for *thermal expansion* and phonons.
"""


@pytest.fixture
def desk(page: Page, platform: Any, sign_in: SignIn) -> Page:
    """Somebody at a desk, signed in, with nothing that moves."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size(DESK)
    sign_in(platform.client())
    return page


def taken(page: Page, name: str, part: Locator, until: Locator | None = None) -> None:
    """The part with a margin, down to the end of `until`, becomes the picture of that name."""
    # At the top: elsewhere the bar of the site lies over the page.
    page.evaluate("() => document.fonts.ready.then(() => { document.activeElement?.blur(); scrollTo(0, 0); })")
    page.mouse.move(0, 0)
    box, end = part.bounding_box(), (until or part).bounding_box()
    assert box is not None
    assert end is not None
    left, top = max(0, box["x"] - MARGIN), max(0, box["y"] - MARGIN)
    right = min(DESK["width"], box["x"] + box["width"] + MARGIN)
    clip = (left, top, right - left, end["y"] + end["height"] + MARGIN - top)
    x, y, width, height = map(round, clip)
    picture = page.screenshot(full_page=True, clip={"x": x, "y": y, "width": width, "height": height})
    Gallery().take(name, picture)


def test_the_guides_show_just_the_pictures_that_are_taken_here() -> None:
    assert set(referenced()) == set(NAMES) == {path.name for path in IMAGES.iterdir()}


def test_uploading(desk: Page, tmp_path: Path) -> None:
    archive = tmp_path / "silicon-carbide.zip"
    archive.write_bytes(bytes(4_200_000))
    desk.goto("/upload")
    desk.get_by_label("Data Name").fill("Cubic silicon carbide")
    for author in ("Mei Lin", "Bo Contributor"):
        desk.get_by_label("Author").fill(author)
        desk.get_by_label("Author").press("Enter")
    desk.get_by_label("Description").fill(DESCRIPTION)
    desk.locator("#file").set_input_files(archive)
    expect(desk.locator("#upload-state")).to_contain_text("uploaded and verified")
    desk.get_by_label("Licence").select_option("CC-BY-4.0")
    taken(desk, "upload.png", desk.get_by_role("main").locator("form.card"))
    desk.get_by_role("button", name="Publish").click()
    dialog = desk.get_by_role("dialog")
    dialog.get_by_label("I have read this and agree").check()
    taken(desk, "agreement.png", dialog)


def contributed(contribution: Callable[..., Any]) -> Any:
    authors, archive = ["Mei Lin", "Bo Contributor"], bytes(4_200_000)
    made = contribution("Cubic silicon carbide", authors=authors, description=DESCRIPTION, content=archive)
    return made.validated().checking().passed().training()


def test_watching(desk: Page, contribution: Callable[..., Any]) -> None:
    dataset = contributed(contribution)
    for step, error in ERRORS:
        dataset.progress(step, error)
    dataset.reaches("training")
    desk.goto(dataset.path)
    expect(desk.locator("#now-value")).to_have_text("412")
    expect(desk.locator("#chart canvas")).to_be_visible()
    taken(desk, "progress.png", desk.locator("#live"), until=desk.get_by_role("region", name="Training"))
    metric = desk.get_by_role("region", name="Metric")
    parity = desk.get_by_role("img", name="Force: predicted against DFT")
    parity.scroll_into_view_if_needed()
    assert parity.evaluate("one => one.decode ? one.decode().then(() => true) : true")
    taken(desk, "verdict.png", metric, until=metric.get_by_role("figure").filter(has=parity))


def test_using(desk: Page, contribution: Callable[..., Any]) -> None:
    contributed(contribution).progress(900, 404).published("1.7").reaches("published")
    desk.goto("/models/1.7")
    expect(desk.get_by_role("row", name="Cubic silicon carbide")).to_contain_text("404")
    used = desk.get_by_role("group", name="Python / ASE")
    taken(desk, "model.png", desk.get_by_role("main").locator(".head"), until=used)

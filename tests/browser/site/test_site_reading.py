"""Reading, waiting and repeating, as a page shows them while it is open, and without any script."""

import re
from collections.abc import Callable
from typing import Any

import httpx
from contracts.base import DatasetRef, Overlap
from playwright.sync_api import Browser, Page, expect

SignIn = Callable[[httpx.Client], None]


def stay(page: Page) -> Callable[[], bool]:
    """Tells later whether this is still the document that was opened."""
    page.evaluate("window.opened = true")
    return lambda: bool(page.evaluate("window.opened === true"))


def test_a_page_shows_the_reading_as_it_happens(page: Page, contribution: Callable[..., Any]) -> None:
    dataset = contribution("Ten thousand OUTCARs")
    page.goto(dataset.path)
    same_document = stay(page)
    card = page.locator("#reading")
    expect(card).to_have_count(0)
    dataset.reading(parsed=3)
    expect(card.locator('[data-reading="frames"]')).to_have_text("30")
    expect(card.get_by_text("Reading the calculations")).to_be_visible()
    dataset.reading(parsed=312)
    expect(card.locator('[data-reading="parsed"]')).to_have_text("312")
    expect(card.locator('[data-reading="frames"]')).to_have_text("3,120")
    expect(card.locator('[data-reading="eta_seconds"]')).to_have_text("1 min 30 s")
    assert card.locator("progress").evaluate("bar => [bar.value, bar.max]") == [312, 1000]
    expect(page.locator('[data-step="submit"] .ring-fg')).to_have_attribute("stroke-dasharray", "31.2 100")
    dataset.validated()
    expect(page.get_by_role("heading", name="What was read")).to_be_visible()
    expect(card).to_have_count(0)
    assert same_document()
    # Late news of the reading changes nothing any more.
    dataset.reading(parsed=999)
    dataset.checking()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Being checked")
    expect(card).to_have_count(0)


def test_a_page_opened_late_shows_it_without_any_script(
    browser: Browser, browser_context_args: dict[str, Any], contribution: Callable[..., Any]
) -> None:
    dataset = contribution("Opened late").reading(parsed=312).knows("reading")
    context = browser.new_context(**browser_context_args, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{dataset.path}?lang=zh")
    card = page.locator("#reading")
    expect(card.get_by_role("heading", name="读取中")).to_be_visible()
    expect(card.get_by_text("正在读取计算")).to_be_visible()
    expect(card.get_by_text("3,120", exact=True)).to_be_visible()
    context.close()


def test_what_was_read_is_told_in_full(page: Page, contribution: Callable[..., Any]) -> None:
    other = contribution("Phonons of silicon").validated().reaches("validated")
    secret = contribution("Nobody knows", private=True, client=other.client)
    shared = [Overlap(dataset=one.ref, title="title", frames=12) for one in (other, secret)]
    dataset = contribution("Read closely", client=other.client).read_closely(*shared).reaches("validated")
    page.goto(dataset.path)
    card = page.get_by_role("region", name="What was read")
    for words in (
        "This looks like VASP: 40 files are OUTCARs.",
        "certain: the content says so",
        "3 frames are kept for testing",
        "SCF not converged: set aside",
        "The files say something other than what was declared.",
        "the licence of VASP forbids sharing them",
    ):
        expect(card.get_by_text(words)).to_be_visible()
    expect(card.get_by_role("row", name=re.compile("Cut-off"))).to_contain_text("520 eV")
    expect(card.get_by_role("row", name=re.compile("Cut-off"))).to_contain_text("400 eV differs")
    expect(card.get_by_role("link", name="Phonons of silicon")).to_have_attribute("href", other.path)
    expect(page.get_by_text("Nobody knows")).to_have_count(0)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download", exact=True).click()
    assert started.value.suggested_filename == "calculations-shared.zip"
    assert started.value.path().read_bytes() == b"cleaned"


def test_the_queue_moves_while_it_is_open(page: Page, contribution: Callable[..., Any]) -> None:
    page.goto("/queue")
    same_document = stay(page)
    dataset = contribution("Joins the queue")
    row = page.get_by_role("row", name=re.compile("Joins the queue"))
    expect(row).to_contain_text("Being read")
    dataset.validated()
    expect(row).to_contain_text("Waiting")
    dataset.checking()
    expect(row).to_contain_text("Being checked")
    assert same_document()


def test_a_check_is_repeated_from_the_page(
    page: Page, contribution: Callable[..., Any], platform: Any, sign_in: SignIn
) -> None:
    dataset = contribution("Once more").validated().checking().covered().reaches("not-passed")
    page.goto(dataset.path)
    expect(page.get_by_role("button", name="Run again")).to_have_count(0)
    sign_in(dataset.client)
    page.goto(dataset.path)
    page.get_by_role("button", name="Run again").click()
    card = page.get_by_role("region", name="Can it be repeated?")
    expect(card.get_by_text("Running again since")).to_be_visible()
    expect(card.get_by_role("button", name="Run again")).to_have_count(0)
    same_document = stay(page)
    (asked,) = dataset.client.get(f"/api/v1{dataset.path}/metric/reruns").json()["reruns"]
    dataset.repeated(asked["run_id"], asked["id"])
    expect(card.get_by_text("The same verdict and the same 212 numbers.")).to_be_visible()
    expect(card.get_by_role("button", name="Run again")).to_be_visible()
    assert same_document()


def test_the_report_can_be_looked_at_and_taken_home(page: Page, contribution: Callable[..., Any]) -> None:
    dataset = contribution("Looked at").validated().checking().passed().reaches("passed")
    page.goto(dataset.path)
    checks = page.get_by_role("region", name="Checks")
    expect(checks.get_by_role("row", name=re.compile("Force limit")).first).to_contain_text("fails above 50 eV/Å")
    expect(checks.get_by_role("row", name=re.compile("SCF convergence"))).to_contain_text("unknown")
    checks.get_by_text("3 frames to look at").click()
    expect(checks.get_by_role("rowheader", name="to train on, 3")).to_be_visible()
    for name in ("frames.csv", "frames.parquet"):
        with page.expect_download() as started:
            checks.get_by_role("link", name="CSV" if name.endswith("csv") else "Parquet").click()
        assert started.value.suggested_filename == name
    expect(page.get_by_role("link", name=re.compile("PNG.*Force: predicted against DFT"))).to_be_visible()
    page.get_by_role("link", name="The report, JSON").click()
    expect(page.locator("body")).to_contain_text('"frames_judged"')


def test_unnamed_references_are_not_shown(page: Page, contribution: Callable[..., Any]) -> None:
    """An overlap with a dataset that this installation does not have."""
    gone = Overlap(
        dataset=DatasetRef(dataset_id="00000000-0000-4000-8000-000000000000", version=1), title="?", frames=1
    )
    dataset = contribution("Alone").read_closely(gone).reaches("validated")
    page.goto(dataset.path)
    expect(page.get_by_role("heading", name="What was read")).to_be_visible()
    expect(page.get_by_role("heading", name="Frames that other datasets have, too")).to_have_count(0)


def test_a_tooltip_stays_while_the_page_moves_on(page: Page, contribution: Callable[..., Any]) -> None:
    """Each update replaces what is shown and may move it: the mouse lies still, or the keyboard stays."""
    dataset = contribution("Read in peace")
    page.goto(dataset.path)
    live, mark, tip = page.locator("#live"), page.locator("#more-done"), page.locator("#tip-done")
    expect(page.locator("#dataset")).to_have_attribute("data-connection", "open")
    mark.hover()
    expect(tip).to_be_visible()
    before = mark.bounding_box()
    # Whether it was ever seen hidden, looked at whenever something is drawn.
    page.evaluate(
        """() => {
        window.hidden = 0;
        const look = () => {
          hidden += getComputedStyle(document.getElementById("tip-done")).visibility === "hidden";
          requestAnimationFrame(look);
        };
        look();
    }"""
    )
    dataset.validated()
    expect(live).to_have_attribute("data-state", "validated")
    assert before != mark.bounding_box(), "the mark did not move: this asks for nothing"
    dataset.checking().passed()
    expect(live).to_have_attribute("data-state", "passed")
    expect(tip).to_be_visible()
    assert page.evaluate("() => hidden") == 0
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()

    mark.focus()
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    dataset.training()
    expect(live).to_have_attribute("data-state", "training")
    expect(mark).to_be_focused()
    page.wait_for_function("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    expect(tip).to_be_hidden()
    page.locator("#more-train").focus()
    expect(page.locator("#tip-train")).to_be_visible()
    page.evaluate("() => { window.hidden = 0; }")
    mark.focus()
    expect(tip).to_be_visible()
    away = page.evaluate("() => { scrollTo(0, 200); window.hidden = 0; return scrollY; }")
    dataset.published("6.1")
    expect(live).to_have_attribute("data-state", "published")
    expect(mark).to_be_focused()
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("DPA 6.1")
    assert page.evaluate("() => hidden") == 0
    assert page.evaluate("() => scrollY") == away > 0

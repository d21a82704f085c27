"""The commons as everybody sees it: top bar, search, versions, the home of DPA. Most of it without any script."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from open_versions import standard_released, version_events
from playwright.sync_api import Browser, Page, expect

SignIn = Callable[[httpx.Client], None]


@pytest.fixture
def plain(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[Page]:
    """A page of a browser that runs no script."""
    context = browser.new_context(**browser_context_args, java_script_enabled=False)
    yield context.new_page()
    context.close()


@pytest.fixture
def versions(platform: Any, contribution: Callable[..., Any]) -> Any:
    """9.0 and 9.1, trained on a public dataset and a private one."""
    dataset = contribution("Silicon carbide of 9.1").validated().checking().passed().reaches("passed")
    for version, parent, ratio in (("9.0", None, 0.4), ("9.1", "9.0", 0.3)):
        events = version_events(
            platform.wait, platform.blobs, dataset.ref, version, parent, ratio, dataset.credit.title
        )
        platform.say(*events)
    platform.say(standard_released(1, "9.0"))

    def known() -> bool:
        return bool(platform.ask("GET", "/api/v1/models/latest").json().get("version") == "9.1")

    wait_for(known)
    return dataset


def wait_for(probe: Callable[[], bool]) -> None:
    for _ in range(600):
        if probe():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


@pytest.mark.parametrize("width", [390, 1440])
def test_the_top_bar(page: Page, platform: Any, sign_in: SignIn, width: int) -> None:
    sign_in(platform.client())
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/")
    bar = page.get_by_role("banner")
    for name in ("Models", "Datasets", "DPA"):
        expect(bar.get_by_role("link", name=name, exact=True)).to_be_visible()
    expect(bar.get_by_role("searchbox", name="Search datasets")).to_be_visible()
    if width == 390:
        bar.get_by_role("button", name="Menu", exact=True).click()
    expect(bar.get_by_role("link", name="中文")).to_be_visible()
    bar.get_by_role("button", name="Upload").click()
    expect(bar.get_by_role("link", name="Upload Data")).to_be_visible()
    page.keyboard.press("Escape")
    bar.get_by_role("button", name="account menu").click()
    for name in ("My Uploads", "Account"):
        menu = bar.get_by_role("navigation", name="Account")
        expect(menu.get_by_role("link", name=name, exact=True)).to_be_visible()
    expect(bar.get_by_role("button", name="Sign out")).to_be_visible()
    page.keyboard.press("Escape")
    bar.get_by_role("link", name="Models", exact=True).click()
    expect(bar.get_by_role("link", name="Models", exact=True)).to_have_attribute("aria-current", "page")


def test_searching_and_filtering_without_any_script(plain: Page, contribution: Callable[..., Any]) -> None:
    contribution("Zirconia at high pressure").validated().reaches("validated")
    contribution("氧化锆 高压", private=True).validated().reaches("validated")
    plain.goto("/?lang=en")
    plain.get_by_role("searchbox", name="Search datasets").fill("zirco")
    plain.get_by_role("banner").get_by_role("button", name="Search").click()
    entries = (
        plain.get_by_role("region", name="Datasets").get_by_role("listitem").filter(has=plain.locator(".entry-title"))
    )
    expect(entries).to_have_count(1)
    expect(plain.get_by_role("main").get_by_role("status")).to_contain_text("1 dataset")
    plain.locator("details summary").click()
    plain.get_by_label("Si", exact=True).check()
    plain.get_by_label("Stage").select_option("check")
    plain.get_by_role("button", name="Apply").click()
    expect(entries).to_have_count(1)
    plain.get_by_label("Fe", exact=True).check()
    plain.get_by_role("button", name="Apply").click()
    expect(plain.get_by_text("No dataset matches.")).to_be_visible()
    plain.get_by_role("link", name="Fe").click()
    expect(entries).to_have_count(1)
    plain.goto("/datasets?q=氧化")
    expect(plain.get_by_text("No dataset matches.")).to_be_visible()


def test_a_misspelt_word_shows_what_was_meant_and_the_word_itself_on_request(
    plain: Page, contribution: Callable[..., Any]
) -> None:
    contribution("Hafnia at high pressure")
    plain.goto("/datasets?q=hafina&lang=en")
    said = plain.get_by_role("main").get_by_role("status")
    expect(said).to_contain_text("Nothing for “hafina”. Showing results for “hafnia”.")
    expect(plain.get_by_role("link", name="Hafnia at high pressure")).to_be_visible()
    expect(plain.get_by_label("Sort by").locator("option:checked")).to_have_text("Relevance")
    said.get_by_role("link", name="Search for exactly “hafina”").click()
    expect(plain.get_by_text("No dataset matches.")).to_be_visible()
    plain.goto("/datasets?q=hafina&lang=zh")
    expect(plain.get_by_role("main").get_by_role("status")).to_contain_text("以下是“hafnia”的结果")
    plain.goto("/datasets?lang=en")
    expect(plain.get_by_label("Sort by").locator("option:checked")).to_have_text("Newest")


def test_the_list_has_pages(plain: Page, contribution: Callable[..., Any], platform: Any) -> None:
    client = platform.client()
    for number in range(9):  # of eight a page
        contribution(f"Gadolinium {number}", client=client)
    plain.goto("/datasets?q=gadolinium&sort=name&lang=en")
    expect(plain.get_by_role("link", name="Gadolinium 0")).to_be_visible()
    plain.get_by_role("link", name="Next").click()
    expect(plain.get_by_role("link", name="Gadolinium 8")).to_be_visible()
    plain.get_by_role("link", name="Previous").click()
    expect(plain.get_by_role("link", name="Gadolinium 0")).to_be_visible()


def test_a_versions_page(plain: Page, versions: Any) -> None:
    plain.goto("/models?lang=en")
    plain.get_by_role("link", name="DPA 9.1").click()
    table = plain.get_by_role("region", name="Datasets it was trained on")
    row = table.get_by_role("row").filter(has_text="Silicon carbide of 9.1")
    expect(row).to_contain_text("20.2")
    expect(row).to_contain_text("404")
    expect(row.get_by_role("link", name="Download")).to_have_attribute("href", f"/api/v1{versions.path}/archive")
    expect(table.get_by_role("row").filter(has_text="a private contribution").get_by_role("link")).to_have_count(0)
    standard = plain.get_by_role("region", name="On the standard dataset")
    expect(standard).to_contain_text("300")
    expect(standard).to_contain_text("−25 %")
    expect(plain.get_by_role("region", name="How to use it")).to_contain_text('DP(model="dpa-9.1.pt", head="sic")')
    expect(plain.get_by_role("region", name="Lineage")).to_contain_text("DPA 9.0")
    expect(plain.get_by_role("region", name="Growth rules")).to_contain_text("by 80 %")
    expect(plain.get_by_role("region", name="Cite")).to_contain_text("@misc{potluck-dpa-9.1")


def test_which_branch_for_my_elements(plain: Page, versions: Any) -> None:
    plain.goto("/models/9.1?lang=en")
    finder = plain.get_by_role("region", name="Which branch for my elements?")
    expect(finder).to_contain_text("1 branch of a private contribution is not offered here")
    finder.get_by_label("Si", exact=True).check()
    finder.get_by_role("button", name="Show the branches").click()
    expect(finder.get_by_role("status")).to_contain_text("Take branch sic")
    expect(finder.get_by_role("status")).to_contain_text("404 meV/Å")
    finder.get_by_label("Fe", exact=True).check()
    finder.get_by_role("button", name="Show the branches").click()
    expect(finder.get_by_role("status")).to_contain_text("Out of domain")
    expect(finder.get_by_role("row").filter(has_text="sic")).to_contain_text("never saw Fe")


def test_the_home_of_dpa(page: Page, versions: Any) -> None:
    page.goto("/dpa?lang=en")
    expect(page.get_by_role("link", name="Join the DPA pre-trained model")).to_have_attribute("href", "/upload")
    row = page.get_by_role("region", name="History").get_by_role("row").filter(has_text="DPA 9.1")
    expect(row).to_contain_text("Silicon carbide of 9.1")
    expect(row).to_contain_text("Demo Contributor")
    expect(row.get_by_role("link", name="Download")).to_have_attribute("href", "/api/v1/models/9.1/files/model.pt")
    expect(page.get_by_role("list", name="Versions").get_by_role("listitem").filter(has_text="9.1")).to_be_visible()
    page.get_by_role("link", name="Statistics").click()
    expect(page.get_by_role("img", name="Force RMSE by version")).to_be_visible()
    scores = page.get_by_role("region", name="On the standard dataset").get_by_role("row").filter(has_text="DPA 9.0")
    expect(scores).to_contain_text("400")
    elements = page.get_by_role("region", name="Elements in the pre-training database")
    expect(elements.get_by_role("link", name="Si", exact=True)).to_have_attribute("href", "/datasets?element=Si")
    expect(elements).to_contain_text("1 private contribution is not counted here.")


def test_home_says_what_is_wanted(plain: Page, versions: Any) -> None:
    plain.goto("/?lang=en")
    expect(plain.get_by_role("region", name="Newest model")).to_contain_text("DPA 9.1")
    wanted = plain.get_by_role("region", name="Wanted data")
    expect(wanted.get_by_role("listitem").filter(has_text="Si").first).to_contain_text("404")
    plain.get_by_role("main").get_by_role("link", name="Join").click()
    expect(plain).to_have_url(re.compile(r"/sign-up$"))

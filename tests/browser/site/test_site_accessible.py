"""Every page, in both languages, both themes and both sizes: axe finds nothing, and nothing overflows."""

from collections.abc import Callable
from typing import Any, Literal

import httpx
import pytest
from accessible import violations
from playwright.sync_api import Page, ViewportSize, expect

WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}

SignIn = Callable[[httpx.Client], None]
Theme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def paths() -> dict[str, str]:
    """Addresses by name; filled when a test first asks for `places`."""
    return {}


@pytest.fixture
def places(paths: dict[str, str], contribution: Callable[..., Any], platform: Any) -> dict[str, str]:
    if paths:
        return paths
    client = platform.client()
    trained = contribution("Silicon carbide", client=client).validated().checking().passed().training()
    trained.progress(0, 1971).progress(450, 610).published("1.1").reaches("published")
    first = contribution("The very first silicon", client=client).validated().passed_before_the_first_model()
    first.training().progress(0, 1209).progress(300, 553).reaches("training")
    training = contribution("Silicon carbide at 2,000 K", client=client).validated().checking().passed().training()
    training.progress(0, 1971).progress(300, 850).reaches("training")
    covered = contribution("Silicon again", client=client).validated().checking().covered().reaches("not-passed")
    reading = contribution("Ten thousand OUTCARs", client=client).reading(parsed=312).knows("reading")
    closely = contribution("Silicon, read closely", client=client).read_closely().reaches("validated")
    unsound = contribution("Silicon in Hartree", client=client).validated().checking().not_sound().reaches("not-passed")
    rejected = contribution("Holiday photographs", client=client).rejected().reaches("rejected")
    withheld = contribution("Water", client=client).validated().passed().training().withheld().reaches("withheld")
    shared = contribution("Copper to look at", client=client, dpa=False).reaches("shared")
    hidden = contribution("Perovskite, private", client=client, private=True)
    withdrawn = contribution("Iron, withdrawn", client=client)
    client.post(f"/api/v1{withdrawn.path}/withdrawal", json={}).raise_for_status()
    paths |= {
        "shared": shared.path,
        "withdrawn": withdrawn.path,
        "publication": f"{hidden.path}/publish",
        "withdrawal": f"{trained.path}/withdraw",
        "licences": "/licences",
        "agreement": "/agreements/2026-11",
        "email": client.headers["x-test-email"],
        "first": first.path,
        "trained": trained.path,
        "training": training.path,
        "covered": covered.path,
        "reading": reading.path,
        "closely": closely.path,
        "unsound": unsound.path,
        "rejected": rejected.path,
        "withheld": withheld.path,
        **{name: f"/{name}" for name in ("datasets", "models", "queue", "my-uploads", "upload", "account")},
        "found": "/datasets?q=silicon&element=Si&sort=name",
        "nothing": "/datasets?q=unobtainium",
        "model": "/models/1.1",
        "branch": "/models/1.1?element=Si&element=Fe",
        "dpa": "/dpa",
        "statistics": "/dpa/statistics",
        "api": "/api",
        "events": "/api/events",
        "grpc": "/api/grpc",
        "home": "/",
    }
    return paths


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("language", "size", "other_size"), [("en", WIDE, PHONE), ("zh", PHONE, WIDE)])
def test_every_page(
    page: Page,
    places: dict[str, str],
    sign_in: SignIn,
    language: str,
    size: ViewportSize,
    other_size: ViewportSize,
    theme: Theme,
) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    found: dict[str, Any] = {}

    def visit(path: str) -> None:
        page.set_viewport_size(size)
        page.goto(f"{path}{'&' if '?' in path else '?'}lang={language}")
        expect(page.locator("html")).to_have_attribute("lang", "zh-Hans" if language == "zh" else "en")
        found[path] = violations(page, fewest_passes=15)
        for width in (size, other_size):
            page.set_viewport_size(width)
            page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")

    for path in ("/sign-in", "/sign-up", "/forgotten", "/"):
        visit(path)
    page.goto("/sign-in?lang=en")
    sign_in(httpx.Client(headers={"x-test-email": places["email"]}))
    for name, path in places.items():
        if name != "email":
            visit(path)
    assert {path: one for path, one in found.items() if one} == {}


@pytest.mark.parametrize(
    ("language", "title", "check", "states"),
    [
        (
            "en",
            "Checks of the files",
            "Dynamics: a short run keeps the total energy",
            ["holds", "unknown", "does not hold"],
        ),
        ("zh", "文件检查", "动力学：短时间运行保持总能量", ["满足", "未知", "不满足"]),
    ],
)
def test_the_models_page_tells_what_its_files_hold(
    page: Page, places: dict[str, str], language: str, title: str, check: str, states: list[str]
) -> None:
    page.goto(f"{places['model']}?lang={language}")
    card = page.get_by_role("region", name=title)
    expect(card).to_contain_text(check)
    for item, state in zip(card.get_by_role("listitem").all(), states, strict=True):
        expect(item.locator("strong .sr")).to_contain_text(state)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_menus_and_tooltips(page: Page, places: dict[str, str], sign_in: SignIn, theme: Theme) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    sign_in(httpx.Client(headers={"x-test-email": places["email"]}))
    page.goto(places["training"])
    page.get_by_role("button", name="account menu").click()
    expect(page.get_by_role("link", name="Account")).to_be_visible()
    assert violations(page, fewest_passes=15) == {}
    page.keyboard.press("Escape")
    page.get_by_role("button", name="About Check").focus()
    expect(page.get_by_role("tooltip").filter(has_text="sound, and is it new")).to_be_visible()
    assert violations(page, fewest_passes=15) == {}

    # A phone: everything of the bar's first row stands beside the name; language and theme are in the menu.
    page.set_viewport_size(PHONE)
    page.goto("/datasets")
    bar = page.get_by_role("banner")
    places_of = [one.bounding_box() for one in (bar.get_by_role("link", name="Potluck"), bar.locator(".avatar").first)]
    brand, avatar = (one["y"] + one["height"] / 2 for one in places_of if one)
    assert abs(brand - avatar) < 4
    bar.get_by_role("button", name="Menu", exact=True).click()
    expect(bar.get_by_role("link", name="中文")).to_be_visible()
    assert violations(page, fewest_passes=15) == {}
    other = "light" if theme == "dark" else "dark"
    bar.get_by_role("button", name=f"Switch to {other}").click()
    expect(page.locator("html")).to_have_attribute("data-theme", other)


def test_tooltips_by_keyboard_and_pointer(page: Page, places: dict[str, str]) -> None:
    page.goto(places["trained"])
    tip = page.locator("#tip-train")
    page.locator("#more-train").hover()
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.locator("#more-done").focus()
    expect(page.locator("#tip-done")).to_be_visible()
    expect(page.locator("#tip-done")).to_contain_text("DPA 1.1")


def test_focus_is_seen_where_the_system_forces_its_colours(page: Page) -> None:
    """Shadows are not drawn there: only an outline is left to show where the keyboard is."""
    page.emulate_media(forced_colors="active")
    page.goto("/")
    for _ in range(3):
        page.keyboard.press("Tab")
    style = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"

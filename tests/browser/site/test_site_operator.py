"""What an operator sees and does in a browser; the registry is away here, which its page says."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any, Literal

import httpx
import patience
import pytest
from accessible import violations
from contracts.base import BlobRef
from gateway_examples import passed
from playwright.sync_api import Page, expect

SignIn = Callable[[httpx.Client], None]


@pytest.fixture
def operator(platform: Any, sign_in: SignIn) -> httpx.Client:
    """Somebody whom the command line made an operator, signed in on the page."""
    client: httpx.Client = platform.client()
    command = [sys.executable, "-m", "gateway", "operator", "grant", client.headers["x-test-email"]]
    subprocess.run(command, env=platform.environment, check=True, timeout=patience.SECONDS)
    sign_in(client)
    return client


@pytest.mark.usefixtures("operator")
def test_an_event_that_is_stuck_is_dropped_with_a_reason(
    page: Page, platform: Any, contribution: Callable[..., Any]
) -> None:
    dataset = contribution("Stuck silicon").validated().reaches("validated")
    platform.say(passed(dataset.ref, BlobRef(key="metric/lost.json", sha256="0" * 64, size=0)))
    dataset.knows("held_up")
    page.goto("/?lang=en")
    page.get_by_role("button", name="account menu").click()
    page.get_by_role("link", name="Operator").click()
    row = page.get_by_role("region", name="Dead letters").get_by_role("row").filter(has_text=str(dataset.ref))
    expect(row).to_contain_text("gateway-events")
    row.get_by_text("Drop").first.click()
    row.get_by_label("Reason").fill("Its report is lost.")
    row.get_by_role("button", name="Drop").click()
    expect(page.get_by_role("row").filter(has_text=str(dataset.ref))).to_have_count(0)
    page.get_by_role("link", name="Audit log").click()
    expect(page.get_by_role("row").filter(has_text=str(dataset.ref))).to_contain_text("Its report is lost.")


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(("language", "theme", "width"), [("en", "light", 1440), ("zh", "dark", 390)])
def test_the_operators_pages_are_accessible(
    page: Page, language: str, theme: Literal["light", "dark"], width: int
) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 900})
    for path in ("/operator", "/operator/people", "/operator/log"):
        page.goto(f"{path}?lang={language}")
        assert violations(page) == {}, path
        page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")
    page.goto("/operator?lang=en")
    expect(page.get_by_text("This site was not told where the registry is.")).to_be_visible()

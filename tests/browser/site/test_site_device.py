"""Letting a program in, in a real browser: both languages, themes and sizes; by the link and by typing the code."""

import os
from collections.abc import Callable
from typing import Any, Literal

import httpx
import pytest
from accessible import violations
from playwright.sync_api import Page, ViewportSize, expect

WIDE: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
WORDS = {
    "en": ("Approve", "Approved. Go back to the program", "Continue"),
    "zh": ("批准", "已批准。请回到该程序", "继续"),
}

SignIn = Callable[[httpx.Client], None]


def begun(client: httpx.Client) -> dict[str, Any]:
    fields = {"name": "potluck on a workstation with a rather long name", "scopes": ["read", "contribute", "account"]}
    return dict(client.post("/api/v1/sign-ins", json=fields).raise_for_status().json())


def ask(client: httpx.Client, waiting: dict[str, Any]) -> httpx.Response:
    return client.post("/api/v1/sign-ins/token", json={"secret": waiting["secret"]})


def looked_at(page: Page, name: str) -> None:
    """axe finds nothing, and nothing overflows at either size. SCREENSHOTS=folder keeps what was seen."""
    assert violations(page) == {}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE), ("en", PHONE), ("zh", WIDE)])
def test_a_program_is_let_in(
    page: Page, platform: Any, sign_in: SignIn, language: str, size: ViewportSize, theme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    client = platform.client()
    sign_in(client)
    page.set_viewport_size(size)
    waiting = begun(client)
    approve, approved, go_on = WORDS[language]
    name = f"{language}-{theme}-{size['width']}"
    page.goto(f"/device?lang={language}")
    looked_at(page, f"code-{name}")
    page.locator("#f-code").fill(waiting["code"].lower().replace("-", " "))
    page.get_by_role("button", name=go_on).click()
    expect(page.locator("#code")).to_have_text(waiting["code"])
    looked_at(page, f"asks-{name}")
    page.locator("input[value=account]").uncheck()
    page.get_by_role("button", name=approve).click()
    expect(page.locator(".banner[role=status]")).to_contain_text(approved)
    looked_at(page, f"approved-{name}")
    token = ask(client, waiting)
    assert token.json()["scopes"] == ["read", "contribute"]


def test_who_is_not_signed_in_comes_back_to_the_code(page: Page, platform: Any) -> None:
    client = platform.client()
    waiting = begun(client)
    page.goto(waiting["url_with_code"])
    page.get_by_label("Email").fill(client.headers["x-test-email"])
    page.get_by_label("Password").fill("a sentence as a password")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()
    expect(page.locator("#code")).to_have_text(waiting["code"])
    page.get_by_role("button", name="Deny").click()
    expect(page.locator(".banner[role=status]")).to_contain_text("Denied.")
    assert ask(client, waiting).status_code == 403


def test_a_wrong_code_keeps_what_was_typed(page: Page, platform: Any, sign_in: SignIn, refusals_expected: None) -> None:
    sign_in(platform.client())
    page.goto("/device")
    page.locator("#f-code").fill("BCDF-BCDF")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#e-code")).to_contain_text("No program waits with this code.")
    expect(page.locator("#f-code")).to_have_value("BCDF-BCDF")
    looked_at(page, "wrong")

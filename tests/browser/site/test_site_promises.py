"""What every page promises: privacy, words for errors, no script needed to read, little script, theme and language."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

SCRIPT_BUDGET = 60_000  # bytes on the wire, compressed

SignIn = Callable[[httpx.Client], None]


@pytest.mark.usefixtures("refusals_expected")
def test_a_private_dataset_is_its_owners_alone(
    page: Page, platform: Any, contribution: Callable[..., Any], sign_in: SignIn
) -> None:
    dataset = contribution("Secret perovskite", private=True).validated().checking().passed().reaches("passed")
    page.goto("/queue")
    expect(page.get_by_text("a private contribution").first).to_be_visible()
    for path in ("/", "/datasets", "/queue"):
        page.goto(path)
        expect(page.get_by_text("Secret perovskite")).to_have_count(0)
    answer = page.goto(dataset.path)
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("Not here")
    sign_in(dataset.client)
    page.goto(dataset.path)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Secret perovskite")


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/models/9.9", 404), ("/datasets/not-an-id", 404)])
@pytest.mark.parametrize(("language", "home"), [("en", "Home"), ("zh", "首页")])
def test_errors_are_pages_in_words(platform: Any, path: str, status: int, language: str, home: str) -> None:
    answer = platform.ask("GET", f"{path}?lang={language}", headers={"accept": "text/html"})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert home in answer.text
    assert "Traceback" not in answer.text
    assert '<span lang="en">' not in answer.text


def test_complaints_are_in_the_readers_language(platform: Any) -> None:
    """Of forms, with the values that are in them, and of the API that the pages' scripts ask."""
    chinese = {"accept-language": "zh-CN"}
    person = {"email": "nobody", "name": "x" * 101, "password": "short"}
    form = platform.ask("POST", "/sign-up", data=person, headers=chinese | {"accept": "text/html"})
    assert form.status_code == 422
    for words in ("姓名为 1 至 100 个字符。", "这不是邮箱地址。", "密码为 8 至 1000 个字符。"):
        assert words in form.text
    told = platform.ask("POST", "/api/v1/accounts", json=person, headers=chinese)
    assert told.headers["content-language"] == "zh"
    assert told.json()["errors"][1]["detail"] == "姓名为 1 至 100 个字符。"
    assert platform.ask("POST", "/api/v1/accounts", json=person).json()["detail"] == "This is not an e-mail address."


def test_a_field_that_is_too_large_is_answered_in_words(platform: Any) -> None:
    field = {"email": (None, "x" * 3_000_000)}
    answer = platform.ask("POST", "/sign-up?lang=zh", files=field, headers={"accept": "text/html"})
    assert answer.status_code == 400
    assert "其中一个字段过大" in answer.text
    assert "Part exceeded" not in answer.text


def test_what_is_refused_or_not_there_is_a_page_in_the_readers_language(platform: Any) -> None:
    reader = {"accept": "text/html"}
    theme = "/theme?lang=zh"
    refused = platform.ask("POST", theme, data={"theme": "dark"}, headers=reader | {"sec-fetch-site": "cross-site"})
    assert (refused.status_code, refused.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "该请求来自其他网站的页面" in refused.text
    program = platform.ask("POST", theme, data={"theme": "dark"}, headers={"sec-fetch-site": "cross-site"})
    assert program.headers["content-type"] == "application/problem+json"
    nowhere = platform.ask("GET", "/nothing/here", headers=reader)
    assert nowhere.status_code == 404
    assert "part of it may be missing or mistyped" in nowhere.text
    # An address of somebody else's private dataset looks the same as one of nothing: whoever has it signs in.
    dataset = f"/datasets/{uuid4()}"
    assert f'href="/sign-in?next={dataset}"' in platform.ask("GET", dataset, headers=reader).text


def test_unseen_characters_of_a_name_are_named(platform: Any) -> None:
    person = {"email": f"{uuid4().hex}@example.org", "password": "a sentence as a password"}
    refused = platform.ask("POST", "/api/v1/accounts", json=person | {"name": "Mei\u202eLin"})
    assert refused.status_code == 422
    assert "U+202E (right-to-left override)" in refused.json()["detail"]
    assert platform.ask("POST", "/api/v1/accounts", json=person | {"name": "Mei 👩\u200d🔬"}).status_code == 201


def test_pages_can_be_read_without_scripts(browser: Browser, platform: Any, contribution: Callable[..., Any]) -> None:
    dataset = contribution("Readable silicon").validated().checking().passed().training()
    dataset.progress(0, 1971).progress(450, 612).learns(450)
    context = browser.new_context(java_script_enabled=False, base_url=platform.url)
    page = context.new_page()
    page.goto(dataset.path)
    expect(page.locator("#now-value")).to_have_text("612")
    expect(page.locator("#chart polyline")).to_be_visible()
    page.goto("/sign-up")
    page.get_by_label("Name").fill("Demo Contributor")
    page.get_by_label("Email").fill(f"{dataset.round_id.hex}@example.org")
    page.get_by_label("Password").fill("a sentence as a password")
    page.get_by_role("button", name="Sign up").click()
    # Chromium reads <noscript> as text even where scripts are switched off: look at what was sent.
    answer = page.goto("/upload")
    assert answer is not None
    assert "potluck upload" in answer.text().partition("<noscript>")[2].partition("</noscript>")[0]
    page.get_by_role("button", name="Switch to dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    context.close()


@pytest.mark.parametrize("name", ["/", "/upload", "dataset"])
def test_scripts_are_small_and_cached(
    page: Page, platform: Any, contribution: Callable[..., Any], sign_in: SignIn, name: str
) -> None:
    path = contribution("Light silicon").path if name == "dataset" else name
    sign_in(platform.client())
    sizes: dict[str, int] = {}

    def weigh(url: str) -> None:
        answer = httpx.head(url, headers={"accept-encoding": "gzip"}, timeout=60)
        assert "immutable" in answer.headers["cache-control"]
        sizes[url] = int(answer.headers["content-length"])

    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(path)
    page.wait_for_load_state("load")
    assert all(url.startswith((platform.url, "data:")) for url in requested)
    for url in requested:
        if url.endswith(".js"):
            weigh(url)
    assert 0 < sum(sizes.values()) < SCRIPT_BUDGET
    assert name != "/" or sum(sizes.values()) < 5_000


def test_theme_and_language_are_remembered(page: Page, platform: Any) -> None:
    page.goto("/datasets?page=1")
    page.get_by_role("button", name="Switch to dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Switch to light")).to_be_focused()
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("数据集")
    page.goto("/queue")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("heading", level=1)).to_have_text("队列")


def test_nobody_is_sent_to_another_site(platform: Any) -> None:
    for target in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\n/evil"):
        answer = platform.ask("POST", "/theme", data={"theme": "dark", "next": target})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"

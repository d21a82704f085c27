"""Webhooks of an account in a real browser: wrong wishes, the secret, what came of each delivery, once more.

Deliveries fail here by themselves: the address is a name of this machine, where nothing is sent to.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import httpx
import psycopg
import pytest
from contracts.events import ModelAliased
from playwright.sync_api import Page, ViewportSize, expect

from .test_site_device import PHONE, WIDE, looked_at

ALIASED, DATASET = "potluck.model.aliased.v1", "potluck.dataset.published.v1"
INSIDE = "https://localhost/potluck"
LONG = "https://hooks.example.org/" + "a-path-that-somebody-made-very-long-" * 25
WORDS = {
    "en": (
        "This is not an address.",
        "Choose at least one kind of event.",
        "Create webhook",
        "Send again",
        "Switch on",
    ),
    "zh": ("这不是有效的地址。", "请至少选择一种事件。", "创建 Webhook", "重新发送", "启用"),
}
# What the sender and the daily look would have written.
OUTCOMES = """
with numbered as (select delivery_id, row_number() over (order by delivery_id) as number from webhook_deliveries
                  where webhook_id = %(hook)s)
update webhook_deliveries set due = now() + interval '5 hours', tried = now(), attempts = number,
    state = case number when 1 then 'delivered' when 2 then 'failed' else 'waiting' end,
    status = case number when 1 then 204 else 503 end,
    problem = case number when 1 then '' else
        '503 Service Unavailable: ' || repeat('upstream-connect-error-or-disconnect/reset-before-headers,', 4) end
from numbered where numbered.delivery_id = webhook_deliveries.delivery_id
"""
MANY = """
insert into webhook_deliveries (webhook_id, event_id, type, about, body, state, attempts, tried, status, due)
select %(hook)s, gen_random_uuid(), 'potluck.model.aliased.v1', 'latest', '{}', 'delivered', 1, now(), 204, now()
from generate_series(1, %(count)s)
"""

SignIn = Callable[[httpx.Client], None]


@contextmanager
def database(platform: Any) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(platform.environment["POTLUCK_GATEWAY_DATABASE_DSN"]) as connection:
        yield connection


def made(client: httpx.Client, url: str, *types: str) -> dict[str, Any]:
    answer = client.post("/api/v1/webhooks", json={"url": url, "types": types or [ALIASED]})
    return dict(answer.raise_for_status().json())


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("zh", PHONE), ("en", PHONE), ("zh", WIDE)])
def test_every_state_is_accessible_and_fits(
    page: Page,
    platform: Any,
    sign_in: SignIn,
    refusals_expected: None,
    language: str,
    size: ViewportSize,
    theme: Literal["light", "dark"],
) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    client = platform.client()
    sign_in(client)
    page.set_viewport_size(size)
    not_an_address, no_kind, create, again, on = WORDS[language]
    name = f"{language}-{theme}-{size['width']}"
    page.goto(f"/account/webhooks?lang={language}")
    looked_at(page, f"webhooks-none-{name}")

    page.locator("#f-url").fill("nonsense")
    for box in page.locator("input[name=types]").all():
        box.uncheck()
    page.get_by_role("button", name=create).click()
    expect(page.get_by_text(not_an_address)).to_be_visible()
    expect(page.get_by_text(no_kind)).to_be_visible()
    expect(page.locator("#f-url")).to_have_value("nonsense")
    looked_at(page, f"webhooks-wrong-{name}")

    page.locator("#f-url").fill(INSIDE)
    page.locator(f"input[value='{ALIASED}']").check()
    page.get_by_role("button", name=create).click()
    expect(page.locator("#new-secret")).to_have_text(re.compile(r"whsec_\S{44}"))
    looked_at(page, f"webhooks-secret-{name}")

    switched_off, failing, long = (made(client, url, ALIASED, DATASET) for url in (INSIDE, INSIDE, LONG))
    with database(platform) as connection:
        off = "update webhooks set disabled = now(), disabled_reason = 'failing' where webhook_id = %s"
        connection.execute(off, (switched_off["id"],))
        connection.execute("update webhooks set failing_since = now() where webhook_id = %s", (failing["id"],))
        connection.execute(MANY, {"hook": long["id"], "count": 3})
        connection.execute(OUTCOMES, {"hook": long["id"]})
    page.goto("/account/webhooks")
    assert "whsec_" not in page.content()
    expect(page.get_by_role("button", name=on)).to_have_count(1)
    looked_at(page, f"webhooks-list-{name}")
    page.goto(f"/account/webhooks/{long['id']}")
    expect(page.get_by_role("button", name=again)).to_have_count(3)
    looked_at(page, f"webhooks-deliveries-{name}")


def test_a_delivery_is_looked_into_and_sent_again(page: Page, platform: Any, sign_in: SignIn) -> None:
    client = platform.client()
    sign_in(client)
    hook = made(client, INSIDE)
    page.goto("/account")
    page.get_by_role("link", name="Your webhooks").click()
    page.get_by_role("link", name=INSIDE).click()
    expect(page.get_by_text("Nothing has been sent yet.")).to_be_visible()
    looked_at(page, "webhooks-nothing")
    platform.say(ModelAliased(alias="latest", version="1.1"))
    row = page.get_by_role("row").filter(has_text=ALIASED)

    def tried() -> tuple[str, int] | None:
        told = client.get(f"/api/v1/webhooks/{hook['id']}/deliveries").json()["deliveries"]
        return (told[0]["tried"], told[0]["attempts"]) if told and told[0]["tried"] else None

    first = eventually(page, tried, lambda now: now is not None)
    page.reload()
    expect(row).to_contain_text("leads to an address that is not on the public internet")
    expect(row).to_contain_text(re.compile(r"[1-9] attempts?"))  # a second one comes by itself after 5 s
    row.get_by_role("button", name="Send again").click()
    expect(page).to_have_url(re.compile(rf"/account/webhooks/{hook['id']}$"))
    eventually(page, tried, lambda now: now is not None and now != first)
    page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Webhooks").click()
    expect(page.get_by_role("row").filter(has_text=INSIDE)).to_contain_text("not answering")
    page.get_by_role("button", name=f"Remove {INSIDE}").click()
    expect(page.get_by_role("row")).to_have_count(0)


def eventually(page: Page, look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    for _ in range(300):
        if wanted(found := look()):
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"never came true; last: {found}")


def test_a_long_log_has_pages(page: Page, platform: Any, sign_in: SignIn) -> None:
    client = platform.client()
    sign_in(client)
    hook = made(client, INSIDE)
    with database(platform) as connection:
        connection.execute(MANY, {"hook": hook["id"], "count": 60})
    page.goto(f"/account/webhooks/{hook['id']}")
    rows = page.get_by_role("row").filter(has_text=ALIASED)
    expect(rows).to_have_count(50)
    page.get_by_role("link", name="Older").click()
    expect(rows).to_have_count(10)
    looked_at(page, "webhooks-older")


def test_an_eleventh_is_refused_and_says_why(
    page: Page, platform: Any, sign_in: SignIn, refusals_expected: None
) -> None:
    client = platform.client()
    sign_in(client)
    for _ in range(10):
        made(client, INSIDE)
    page.goto("/account/webhooks")
    page.locator("#f-url").fill("https://hooks.example.org/")
    page.get_by_role("button", name="Create webhook").click()
    expect(page.get_by_role("alert")).to_contain_text("ten webhooks at most")
    expect(page.locator("#f-url")).to_have_value("https://hooks.example.org/")
    looked_at(page, "webhooks-eleventh")

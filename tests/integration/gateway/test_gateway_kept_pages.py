"""Pages that strangers are shown again are never older than what the gateway has heard."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from contracts.base import Overlap
from contracts.events import DatasetLookedInto, DatasetRejected
from gateway.domain import Person
from gateway.entries.datasets import Datasets
from gateway.live.feed import Feed
from gateway.pages import kept
from gateway_bench import PASSWORD, Member, Outside, Site, eventually, serving_site
from gateway_examples import read_closely, rejected, validated
from gateway_views import a_dataset, handled, shared_only, until

HTML = {"accept": "text/html"}


@pytest.fixture
async def site(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(kept, "SECONDS", 3600.0)  # what is seen to be new here was heard of
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as served:
        yield served


async def read(site: Site, path: str, **headers: str) -> str:
    answer = await site.http.get(path, headers=HTML | headers)
    assert answer.status_code == 200, answer.text[:300]
    return answer.text


async def test_a_change_is_shown_although_the_page_was_kept(site: Site, outside: Outside) -> None:
    dataset = await a_dataset(await site.join("keeper"))
    path = f"/datasets/{dataset.dataset_id}"
    assert "Being read" in await read(site, path)
    assert "Being read" in await read(site, path)
    await outside.say(validated(dataset))
    await until(site, dataset, state="validated")

    async def fresh() -> bool:
        return "Waiting for the check" in await read(site, path)

    await eventually(fresh)


async def test_the_page_of_what_is_shared_only_says_what_was_left_out(site: Site, outside: Outside) -> None:
    clean, potcars, locked = [await shared_only(await site.join(name)) for name in ("clean", "potcars", "locked")]
    page = {one: f"/datasets/{one.dataset_id}" for one in (clean, potcars, locked)}
    for path in page.values():
        before = await read(site, path)
        assert "Its archive is being searched" in before
        assert "/archive?version=1" not in before
        assert "正在检查其压缩包" in await read(site, path, **{"accept-language": "zh"})
    refusal = DatasetRejected(
        dataset=locked,
        rule="nothing-to-share",
        reason="data.zip holds nothing that may be passed on",
        remedy="Add files that may be shared, and upload it again.",
    )
    download = await site.base.blobs.put_bytes("shared/x/archive.tar.zst", b"copy")
    await handled(
        site,
        outside,
        DatasetLookedInto(dataset=clean),
        DatasetLookedInto(dataset=potcars, download=download, removed=("run1/POTCAR",)),
        refusal,
    )

    async def shown(path: str, sentence: str) -> str | None:
        text = await read(site, path)
        return text if sentence in text else None

    offered = await eventually(lambda: shown(page[clean], "/archive?version=1"))
    assert "Its archive is being searched" not in offered
    assert "Left out of the download" not in offered
    offered = await eventually(lambda: shown(page[potcars], "Left out of the download"))
    assert "/archive?version=1" in offered
    assert "POTCAR</code>" in offered
    refused = await eventually(lambda: shown(page[locked], refusal.reason))
    assert refusal.remedy in refused
    assert "/archive?version=1" not in refused
    chinese = await read(site, page[locked], **{"accept-language": "zh"})
    assert "data.zip 中没有可以转发的内容" in chinese


async def test_what_could_not_be_read_is_no_news_and_is_found_all_the_same(site: Site, outside: Outside) -> None:
    mei = await site.join("mei")
    bad, good = await a_dataset(mei, name="Broken archive"), await a_dataset(mei, name="Sound silicon")
    assert "Broken archive" in await read(site, "/")
    await handled(site, outside, rejected(bad), validated(good))

    async def gone() -> bool:
        return "Broken archive" not in await read(site, "/")

    await eventually(gone)
    assert "Sound silicon" in await read(site, "/")
    assert "Broken archive" not in await read(site, "/", **mei.headers)
    assert "Broken archive" in await read(site, "/datasets")


async def test_language_and_theme_have_pages_of_their_own(site: Site) -> None:
    path = f"/datasets/{(await a_dataset(await site.join('speaker'))).dataset_id}"
    assert 'lang="en"' in await read(site, path)
    assert 'lang="zh-Hans"' in await read(site, path, **{"accept-language": "zh"})
    assert 'data-theme="dark"' in await read(site, path, cookie="theme=dark")
    assert 'data-theme="dark"' not in await read(site, path)


async def test_nothing_of_a_reader_is_kept_for_strangers(site: Site) -> None:
    member = await site.join("private")
    dataset = await a_dataset(member, name="Secret perovskite", private=True)
    path = f"/datasets/{dataset.dataset_id}"
    for _ in range(2):
        assert "Secret perovskite" in await read(site, path, **member.headers)
        assert (await site.http.get(path, headers=HTML)).status_code == 404
        assert "Secret perovskite" in await read(site, "/datasets", **member.headers)
        assert "Secret perovskite" not in await read(site, "/datasets")
    assert (await site.http.get(f"/datasets/{uuid4()}", headers=HTML)).status_code == 404


async def browser(site: Site, name: str) -> tuple[Member, dict[str, str]]:
    """Somebody new, and the headers of the browser in which they have signed in."""
    member = await site.join(name)
    signed_in = await site.http.post("/api/v1/sessions", json={"email": member.email, "password": PASSWORD})
    site.http.cookies.clear()
    return member, {"cookie": "; ".join(f"{name}={value}" for name, value in signed_in.cookies.items())}


async def test_members_share_a_page_and_nothing_that_it_says_of_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    past = Datasets.past

    async def counted(self: Datasets, reader: Person | None, dataset_id: UUID, version: int | None = None) -> Any:
        made.append(reader.name if reader else "")
        return await past(self, reader, dataset_id, version)

    monkeypatch.setattr(Datasets, "past", counted)
    path = f"/datasets/{(await a_dataset(await site.join('owner'))).dataset_id}"
    who = {name: (await browser(site, name))[1] for name in ("Ada", "Grace")}
    for _ in range(2):
        for name, other in (("Ada", "Grace"), ("Grace", "Ada")):
            text = await read(site, path, **who[name])
            assert f"account menu of {name}" in text
            assert f"{name.lower()}@example.org" in text
            assert f"account menu of {other}" not in text
            assert f"{other.lower()}@example.org" not in text
            assert f"account menu of {name}" not in await read(site, path)
    assert made == ["Ada", ""]  # once for whoever is signed in, once for strangers
    # Language and theme have pages of their own.
    assert "Ada 的账户菜单" in await read(site, path, **who["Ada"], **{"accept-language": "zh"})
    assert 'data-theme="dark"' in await read(site, path, cookie=f"{who['Ada']['cookie']}; theme=dark")
    assert 'data-theme="dark"' not in await read(site, path, **who["Ada"])


async def test_an_ended_session_and_a_new_name_count_at_the_next_request(site: Site) -> None:
    path = f"/datasets/{(await a_dataset(await site.join('owner'))).dataset_id}"
    member, headers = await browser(site, "Ada")
    assert "account menu of Ada" in await read(site, path, **headers)
    changed = await site.http.patch("/api/v1/me", json={"name": "Ada <Lovelace>"}, headers=headers)
    assert changed.status_code == 200, changed.text
    assert "account menu of Ada &lt;Lovelace&gt;" in await read(site, path, **headers)
    ended = await site.http.delete("/api/v1/sessions/current", headers=headers)
    assert ended.status_code == 204
    text = await read(site, path, **headers)
    assert "account menu" not in text
    assert member.email not in text
    assert 'href="/sign-in"' in text


async def test_who_changed_something_is_shown_it_changed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, headers = await browser(site, "owner")
    dataset = await a_dataset(owner, private=True)
    path = f"/datasets/{dataset.dataset_id}"
    # Whatever the feed hears comes too late.
    monkeypatch.setattr(Feed, "heard", property(lambda self: 1))
    assert f"{path}/publish" in await read(site, path, **headers)
    wanted = {"licence": "CC-BY-4.0", "authors": ["Ada"], "description": "SiC.", "agreement": True}
    public = await owner.request("POST", f"/api/v1{path}/public", json=wanted)
    assert public.status_code == 200, public.text
    assert f"{path}/publish" not in await read(site, path, **headers)
    reader = (await browser(site, "reader"))[1]
    assert f"{path}/archive" not in await read(site, path, **reader)
    assert f"{path}/withdraw" in await read(site, path, **headers)
    assert "Its files stay stored here, closed." in await read(site, f"{path}/withdraw", **headers)
    withdrawn = await owner.request("POST", f"/api/v1{path}/withdrawal", json={})
    assert withdrawn.status_code == 200, withdrawn.text
    for one, owns in ((headers, True), (reader, False)):
        text = await read(site, path, **one)
        assert "Withdrawn on" in text
        assert ("The files stay stored here" in text) == owns


async def test_what_only_some_may_see_is_kept_for_them_alone(site: Site, outside: Outside) -> None:
    owner, owners = await browser(site, "owner")
    overlapped, seers = await browser(site, "seer")
    others = (await browser(site, "other"))[1]
    secret = await a_dataset(overlapped, name="Secret perovskite", private=True)
    dataset = await a_dataset(owner)
    await handled(site, outside, read_closely(dataset, Overlap(dataset=secret, title="Secret perovskite", frames=7)))
    path, private = f"/datasets/{dataset.dataset_id}", f"/datasets/{secret.dataset_id}"
    await until(site, dataset, state="validated")

    async def settled() -> bool:
        return "Waiting for the check" in await read(site, path)

    await eventually(settled)
    for _ in range(2):
        for headers, sees, owns in ((seers, True, False), (others, False, False), (owners, False, True)):
            text = await read(site, path, **headers)
            assert ("Secret perovskite" in text) == sees
            assert (f"{path}/withdraw" in text) == owns
        assert "Secret perovskite" in await read(site, private, **seers)
        for headers in (others, owners):
            assert (await site.http.get(private, headers=HTML | headers)).status_code == 404

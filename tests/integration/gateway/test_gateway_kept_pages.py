"""Pages that strangers are shown again are never older than what the gateway has heard."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from contracts.events import DatasetLookedInto, DatasetRejected
from gateway.pages import kept
from gateway_bench import Outside, Site, eventually, serving_site
from gateway_examples import validated
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

"""The list: search, filters, orders, pages by place, and nothing private to others."""

from typing import Any
from uuid import uuid4

import pytest
from contracts.base import DatasetRef
from contracts.events import DatasetValidated
from gateway import catalogue
from gateway_bench import Member, Outside, Site
from gateway_examples import blob, covered, passed, published, queued, validated
from gateway_views import a_dataset, handled, judged
from manifests import manifest


async def found(site: Site, member: Member | None = None, **criteria: Any) -> list[str]:
    headers = member.headers if member else {}
    answer = await site.http.get("/api/v1/search", params=criteria, headers=headers)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["datasets"]]


@pytest.fixture
def gateway_env(gateway_env: dict[str, str]) -> dict[str, str]:
    return gateway_env | {"POTLUCK_GATEWAY_PAGE_SIZE": "2"}


@pytest.fixture(params=["sorted whole", "in the list's order"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a search finds does not depend on how the database looks for it."""
    if request.param == "in the list's order":
        monkeypatch.setattr(catalogue, "FEW", -1)


async def with_manifest(site: Site, dataset: DatasetRef, **facts: Any) -> DatasetValidated:
    """A validated event whose manifest is in storage."""

    stored = await site.base.blobs.put_model(f"datasets/{dataset.dataset_id}/m.json", manifest(dataset, **facts))
    return validated(dataset).model_copy(update={"manifest": stored})


@pytest.mark.usefixtures("either_way")
async def test_words_authors_formulas_elements_and_chinese_are_found(site: Site, outside: Outside) -> None:
    member = await site.join("finder")
    sic = await a_dataset(member, name="Cubic carbide", authors=["Ada Lovelace"], description="Hot **phonons**.")
    await a_dataset(member, name="碳化硅相变", authors=["李华"], description="")
    await handled(site, outside, await with_manifest(site, sic, formulas=("C4Si4",), pairs=("C-Si",)))
    assert await found(site, q="carb") == ["Cubic carbide"]
    assert await found(site, q="LOVELACE cubic") == ["Cubic carbide"]
    assert await found(site, q="phonon") == ["Cubic carbide"]
    assert await found(site, q="SiC") == ["Cubic carbide"]
    assert await found(site, q="Si") == ["Cubic carbide"]
    assert await found(site, q="Si2C") == []
    assert await found(site, q="硅相") == ["碳化硅相变"]
    assert await found(site, q="相硅") == []
    assert await found(site, q="李华") == ["碳化硅相变"]
    assert await found(site, q="'; drop table catalogue; --") == []
    assert await found(site, element=["C", "Si"]) == ["Cubic carbide"]
    assert await found(site, element=["C", "Fe"]) == []


@pytest.mark.usefixtures("either_way")
async def test_filters_follow_what_becomes_of_a_dataset(site: Site, outside: Outside) -> None:
    member = await site.join("filterer")
    new, old = await a_dataset(member, name="New"), await a_dataset(member, name="Old", licence="CC0-1.0")
    report = await judged(site, new)
    round_id = uuid4()
    await handled(site, outside, validated(new), validated(old), passed(new, report), covered(old, report))
    assert await found(site, coverage="new") == ["New"]
    assert await found(site, coverage="covered") == ["Old"]
    assert await found(site, licence="CC0-1.0") == ["Old"]
    assert await found(site, functional="pbe", sort="name") == ["New", "Old"]
    assert await found(site, frames="3", stage="queue") == ["New"]
    await handled(site, outside, queued(round_id, new), published(round_id, new))
    assert await found(site, stage="queue") == []
    assert await found(site, stage="done", sort="name") == ["New", "Old"]
    (listed,) = (await site.http.get("/api/v1/search", params={"coverage": "new"})).json()["datasets"]
    assert (listed["model"], listed["elements"], listed["new_elements"]) == ("1.1", ["C", "Si"], ["C"])


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("search", [{}, {"q": "set"}], ids=["all", "found"])
@pytest.mark.parametrize("sort", ["newest", "oldest", "name", "frames", "size"])
async def test_pages_lead_forth_and_back(site: Site, sort: str, search: dict[str, str]) -> None:
    member = await site.join("pager")
    for number in range(5):
        await a_dataset(member, name=f"Set {number}", data=b"x" * (number + 1))
    forth = []
    answer = (await site.http.get("/api/v1/search", params=search | {"sort": sort})).json()
    assert (answer["found"], answer["more_found"], answer["earlier"]) == (5, False, None)
    pages = [answer]
    while answer["later"]:
        answer = (await site.http.get("/api/v1/search", params=search | {"sort": sort, "from": answer["later"]})).json()
        pages.append(answer)
    forth = [[one["name"] for one in page["datasets"]] for page in pages]
    assert [len(page) for page in forth] == [2, 2, 1]
    assert len({name for page in forth for name in page}) == 5
    back = [forth[-1]]
    while answer["earlier"]:
        answer = (
            await site.http.get("/api/v1/search", params=search | {"sort": sort, "from": answer["earlier"]})
        ).json()
        back.append([one["name"] for one in answer["datasets"]])
    assert back[::-1] == forth


@pytest.mark.usefixtures("either_way")
async def test_a_private_dataset_is_listed_for_its_owner_alone(site: Site) -> None:
    owner, other = await site.join("owner"), await site.join("other")
    await a_dataset(owner, name="Secret perovskite", private=True)
    await a_dataset(owner, name="Open perovskite")
    assert await found(site, q="perovskite") == ["Open perovskite"]
    assert await found(site, other, q="perovskite") == ["Open perovskite"]
    assert await found(site, owner, q="perovskite", sort="name") == ["Open perovskite", "Secret perovskite"]
    count = (await site.http.get("/api/v1/search", params={"q": "secret"})).json()
    assert (count["found"], count["datasets"]) == (0, [])


@pytest.mark.parametrize("place", ["", "x", "AAAA", "WyJhIiwiYiIsImwiXQ", "bnVsbA", "WzEsMiwzXQ"])
async def test_a_place_that_is_none_is_refused(site: Site, place: str) -> None:
    answer = await site.http.get("/api/v1/search", params={"from": place})
    assert answer.status_code == (422 if place else 200)
    if place:
        assert answer.json()["field"] == "from"


async def test_a_place_of_another_order_is_refused(site: Site) -> None:
    member = await site.join("mixer")
    for number in range(3):
        await a_dataset(member, name=f"Set {number}")
    later = (await site.http.get("/api/v1/search", params={"sort": "name"})).json()["later"]
    for sort in ("newest", "frames", "size"):
        assert (await site.http.get("/api/v1/search", params={"sort": sort, "from": later})).status_code == 422


async def test_a_value_that_is_none_is_named(site: Site) -> None:
    answer = await site.http.get("/api/v1/search", params={"stage": "nowhere"})
    assert (answer.status_code, answer.json()["field"]) == (422, "stage")


async def test_without_its_manifest_a_dataset_is_found_by_all_else(site: Site, outside: Outside) -> None:
    dataset = await a_dataset(await site.join("lost"), name="No manifest")
    await handled(site, outside, validated(dataset).model_copy(update={"manifest": blob("nowhere.json")}))
    assert await found(site, element="Si") == ["No manifest"]

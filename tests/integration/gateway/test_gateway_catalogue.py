"""The list: search, filters, orders, pages by place, and nothing private to others."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from contracts.base import DatasetRef
from contracts.events import DatasetValidated
from gateway.search import catalogue
from gateway_bench import Member, Outside, Site, serving_site
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


@pytest.fixture
async def with_pages(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as served:
        yield served


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
@pytest.mark.parametrize("sort", ["relevance", "newest", "oldest", "name", "frames", "size"])
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


async def test_words_are_sorted_by_where_they_are(site: Site, outside: Outside) -> None:
    member = await site.join("ranker")
    await a_dataset(member, name="One", description="Of silicon carbide, carbide and carbide again.")
    await a_dataset(member, name="Carbides", description="")
    made = await a_dataset(member, name="Two", description="")
    await handled(site, outside, await with_manifest(site, made, formulas=("C1Si1",), pairs=("C-Si",)))
    await a_dataset(member, name="Three", authors=["Carl Carbide"], description="")
    await a_dataset(member, name="Older carbide", description="")
    await a_dataset(member, name="Newer carbide", description="")
    await a_dataset(member, name="Last", description="carbides")
    pages = await all_pages(site, {"q": "carbide"})
    assert pages == [["Newer carbide", "Older carbide"], ["Carbides", "Three"], ["One", "Last"]]
    assert await all_pages(site, {"q": "carbide", "sort": "relevance"}) == pages
    assert (await all_pages(site, {"q": "carbide", "sort": "newest"}))[0] == ["Last", "Newer carbide"]
    assert await all_pages(site, {"q": "older carb"}) == [["Older carbide"]]
    await a_dataset(member, name="Four", authors=["Ms SiC"], description="")
    await a_dataset(member, name="SiC", description="")
    assert await all_pages(site, {"q": "SiC"}) == [["SiC", "Two"], ["Four"]]


async def all_pages(site: Site, asked: dict[str, str]) -> list[list[str]]:
    pages, place = [], None
    while True:
        answer = await site.http.get("/api/v1/search", params=asked | ({"from": place} if place else {}))
        assert answer.status_code == 200, answer.text
        pages.append([one["name"] for one in answer.json()["datasets"]])
        place = answer.json()["later"]
        if place is None:
            return pages


async def test_too_many_are_not_sorted_by_relevance_and_it_says_so(
    with_pages: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = with_pages
    member = await site.join("many")
    await a_dataset(member, name="Carbide")
    await a_dataset(member, name="Newest", description="carbide")
    few = (await site.http.get("/api/v1/search", params={"q": "carbide"})).json()
    assert ([one["name"] for one in few["datasets"]], few["sort"]) == (["Carbide", "Newest"], "relevance")
    said = "Too many to sort by relevance"
    assert said not in (await site.http.get("/datasets", params={"q": "carbide", "lang": "en"})).text
    monkeypatch.setattr(catalogue, "FEW", 1)
    many = (await site.http.get("/api/v1/search", params={"q": "carbide"})).json()
    assert ([one["name"] for one in many["datasets"]], many["sort"]) == (["Newest", "Carbide"], "newest")
    assert said in (await site.http.get("/datasets", params={"q": "carbide", "lang": "en"})).text
    in_chinese = await site.http.get("/datasets", params={"q": "carbide", "lang": "zh"})
    assert "结果太多，无法按相关性排序" in in_chinese.text
    by_choice = await site.http.get("/datasets", params={"q": "carbide", "sort": "newest", "lang": "en"})
    assert said not in by_choice.text


async def searched(site: Site, member: Member | None = None, **criteria: Any) -> tuple[str | None, list[str]]:
    """What was looked for instead, and the names of what was found."""
    headers = member.headers if member else {}
    answer = (await site.http.get("/api/v1/search", params=criteria, headers=headers)).json()
    return answer["corrected"], [one["name"] for one in answer["datasets"]]


@pytest.mark.usefixtures("either_way")
async def test_a_misspelt_word_finds_what_was_meant(site: Site) -> None:
    member = await site.join("speller")
    await a_dataset(member, name="Cubic Perovskite", authors=["Ada Lovelace"], description="Hot **phonons**.")
    name = "Cubic Perovskite"
    assert await searched(site, q="perovksite") == ("perovskite", [name])
    assert await searched(site, q="Lovelce") == ("lovelace", [name])
    assert await searched(site, q="cubic Fhonons 2000") == (None, [])  # nothing has 2000 either
    assert await searched(site, q="cubic fonons") == (None, [])  # two mistakes in a short word
    assert await searched(site, q="Cubic perowskite") == ("Cubic perovskite", [name])
    assert await searched(site, q="perovksite", licence="CC0-1.0") == (None, [])
    assert await searched(site, q="perovksite", literal="1") == (None, [])
    assert await searched(site, q="perovskite") == (None, [name])
    assert await searched(site, q="perovsk") == (None, [name])
    assert (await site.http.get("/api/v1/search", params={"literal": "0"})).status_code == 422


async def test_of_words_that_are_as_near_the_one_that_more_datasets_have_was_meant(site: Site) -> None:
    member = await site.join("weigher")
    for name in ("Graphane", "Graphene", "Graphene oxide"):
        await a_dataset(member, name=name, description="")
    assert await searched(site, q="graphxne") == ("graphene", ["Graphene oxide", "Graphene"])


async def test_pages_of_a_corrected_search_lead_on(site: Site) -> None:
    member = await site.join("leafer")
    for number in range(3):
        await a_dataset(member, name=f"Zirconia {number}")
    pages = await all_pages(site, {"q": "zircnoia"})
    assert pages == [["Zirconia 2", "Zirconia 1"], ["Zirconia 0"]]


async def test_the_page_says_what_it_shows_and_how_to_look_for_the_words_themselves(with_pages: Site) -> None:
    site = with_pages
    await a_dataset(await site.join("shower"), name="Perovskite")
    page = (await site.http.get("/datasets", params={"q": "perovksite", "lang": "en"})).text
    assert "Nothing for “perovksite”. Showing results for “perovskite”." in page
    assert 'href="/datasets?q=perovksite&amp;literal=1"' in page
    page = (await site.http.get("/datasets", params={"q": "perovksite", "lang": "zh"})).text
    assert "没有找到“perovksite”。以下是“perovskite”的结果。" in page
    page = (await site.http.get("/datasets", params={"q": "perovksite", "literal": "1", "lang": "en"})).text
    assert "Showing results for" not in page
    assert "No dataset matches." in page


async def test_words_of_private_and_withdrawn_datasets_are_suggested_to_nobody(site: Site) -> None:
    owner, other = await site.join("keeper"), await site.join("other")
    await a_dataset(owner, name="Secret tourmaline", private=True)
    gone = await a_dataset(owner, name="Withdrawn labradorite")
    for reader in (None, other, owner):
        assert await searched(site, reader, q="tourmalime") == (None, [])
    assert await searched(site, q="labradorit") == (None, ["Withdrawn labradorite"])
    assert await searched(site, other, q="labradortie") == ("labradorite", ["Withdrawn labradorite"])
    answer = await site.http.post(
        f"/api/v1/datasets/{gone.dataset_id}/withdrawal", json={"reason": ""}, headers=owner.headers
    )
    assert answer.status_code in (200, 202, 204), answer.text
    for reader in (other, owner):
        assert await searched(site, reader, q="labradortie") == (None, [])

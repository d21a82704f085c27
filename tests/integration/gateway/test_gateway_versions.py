"""Versions: where their names point, what became of them, which branch, what data is wanted."""

from typing import Any
from uuid import uuid4

from contracts.artifacts import PublishedBranch, PublishedManifest
from contracts.events import ModelAliased, ModelFile, ModelMarked, ModelRetired
from gateway_bench import Outside, Site, eventually
from gateway_examples import published, validated
from gateway_views import a_dataset, handled
from manifests import manifest
from standard_examples import standard_score


async def model(site: Site, version: str) -> dict[str, Any]:
    return dict((await site.http.get(f"/api/v1/models/{version}")).json())


async def test_latest_points_where_the_registry_says(site: Site, outside: Outside) -> None:
    await handled(site, outside, published(uuid4(), None, version="1.1"), published(uuid4(), None, version="1.2"))
    assert (await model(site, "latest"))["version"] == "1.2"  # before any word of aliases
    await handled(
        site,
        outside,
        ModelAliased(alias="latest", version="1.2"),
        ModelAliased(alias="stable", version="1.1"),
        ModelAliased(alias="latest", version="1.1", previous="1.2", reason="an operator rolled it back"),
    )
    assert (await model(site, "latest"))["version"] == "1.1"
    assert (await model(site, "1.1"))["aliases"] == ["latest", "stable"]
    assert (await model(site, "1.2"))["aliases"] == []
    assert (await site.http.get("/api/v1/models/nothing")).status_code == 404


async def test_a_version_says_that_it_is_retired_or_that_its_data_was_withdrawn(site: Site, outside: Outside) -> None:
    dataset = await a_dataset(await site.join("withdrawer"))
    await handled(
        site,
        outside,
        published(uuid4(), dataset, None, version="1.1"),
        ModelRetired(version="1.1", reason="Its forces were wrong."),
        ModelMarked(version="1.1", withdrawn_branches=("branch-0",), withdrawn_ancestral_datasets=2),
    )
    view = await model(site, "1.1")
    assert view["retired_reason"] == "Its forces were wrong."
    assert view["withdrawn_branches"] == ["branch-0"]
    assert view["withdrawn_ancestral_datasets"] == 2
    assert [(one["withdrawn"], one["download"]) for one in view["datasets"]] == [(True, None), (False, None)]


async def test_a_version_is_exported_for_other_programs(site: Site, outside: Outside) -> None:
    public = await a_dataset(await site.join("exporter"))
    await handled(site, outside, published(uuid4(), public, None, version="1.1"))
    crate = (await site.http.get("/api/v1/models/latest/ro-crate")).json()
    graph = {one["@id"]: one for one in crate["@graph"]}
    assert {"@id": f"{site.url}/datasets/{public.dataset_id}"} in graph["./"]["isBasedOn"]
    files = [one["@id"] for one in graph["./"]["hasPart"]]
    assert files == [f"{site.url}{one['url']}" for one in (await model(site, "1.1"))["files"]]
    address = "/api/v1/models/1.1/citation"
    assert (await site.http.get(address)).text.startswith("@misc{potluck-dpa-1.1,")
    assert "type: software" in (await site.http.get(f"{address}?format=cff")).text
    told = (await site.http.get(f"{address}?format=datacite")).json()["data"]["attributes"]
    assert told["url"] == f"{site.url}/models/1.1"
    assert "doi" not in told
    assert (await site.http.get(f"{address}?format=word")).status_code == 422
    assert (await site.http.get("/api/v1/models/9.9/ro-crate")).status_code == 404


async def test_a_version_is_compared_with_its_parent_on_the_same_standard_dataset(site: Site, outside: Outside) -> None:
    first = published(uuid4(), None, version="1.0").model_copy(
        update={"parent": None, "standard": standard_score(1, {"si": (0.4, 0.6)})}
    )
    second = published(uuid4(), None, version="1.1").model_copy(
        update={"standard": standard_score(1, {"si": (0.2, 0.3)})}
    )
    await handled(site, outside, first, second)
    view = await model(site, "1.1")
    assert view["parent_standard"]["force_ratio"] > view["standard"]["force_ratio"]
    assert (await model(site, "1.0"))["children"] == ["1.1"]
    assert (await model(site, "1.0"))["parent_standard"] is None


async def test_branches_and_wanted_data(site: Site, outside: Outside) -> None:
    dataset = await a_dataset(await site.join("branches"))
    stored = await site.base.blobs.put_model("m.json", manifest(dataset, ("C1Si1",), ("C-C", "Si-Si")))
    branch = PublishedBranch(
        name="branch-0",
        dataset=dataset,
        title="SiC",
        authors=(),
        licence=None,
        elements=("C", "Si"),
        level_of_theory=None,
        weight=0.5,
        new=True,
        energy_rmse_mev_per_atom=10,
        force_rmse_mev_per_angstrom=100,
    )
    open_manifest = PublishedManifest(
        version="1.1",
        parent_version=None,
        round_id=uuid4(),
        preset="laptop",
        branches=(branch, branch.model_copy(update={"name": "branch-1", "elements": ()})),
        contributors=(),
        rules=(),
        standard_score=0.2,
        steps=1,
        wall_seconds=1,
        versions={},
    )
    blob = await site.base.blobs.put_model("models/1.1/manifest.json", open_manifest)
    file = ModelFile(name="manifest.json", blob=blob, kind="manifest")
    await handled(
        site,
        outside,
        validated(dataset).model_copy(update={"manifest": stored}),
        published(uuid4(), dataset, None, version="1.1", files=(file,)),
    )
    choice = (await site.http.get("/api/v1/models/latest/branches", params={"element": ["Si", "Fe"]})).json()
    assert [(one["name"], one["missing"]) for one in choice["branches"]] == [("branch-0", ["Fe"])]
    assert choice["private_branches"] == 1
    known = (await site.http.get("/api/v1/models/latest/coverage")).json()
    assert [one["name"] for one in known["wanted_elements"]] == ["C", "Si"]
    assert [one["name"] for one in known["missing_pairs"]] == ["C-Si"]
    assert known["private_contributions"] == 1


async def test_a_version_without_its_manifest_has_no_list_of_branches(site: Site, outside: Outside) -> None:
    await handled(site, outside, published(uuid4(), None, version="1.1"))

    async def there() -> bool:
        return (await site.http.get("/api/v1/models/1.1")).status_code == 200

    await eventually(there)
    assert (await site.http.get("/api/v1/models/1.1/branches")).status_code == 404

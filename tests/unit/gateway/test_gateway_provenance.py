"""What is exported for other programs, read back by them: RO-Crate, CITATION.cff, DataCite."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import rocrate
from cffconvert import Citation  # type: ignore[import-untyped]
from contracts.base import BranchError, LevelOfTheory
from datacite import schema45  # type: ignore[import-untyped]
from gateway.exports import crates, datacite
from gateway.exports.citation import Cited, CitedModel
from gateway.views.datasets import DatasetView, DownloadView, IngestView
from gateway.views.models import ModelFileView, ModelView, TrainedDatasetView
from rocrate.rocrate import ROCrate

SITE = "https://potluck.example"
PUBLIC, PRIVATE = UUID("0193a3f0-0000-7000-8000-000000000001"), "A private contribution"
WHEN = datetime(2026, 11, 25, 12, tzinfo=UTC)
# The definition of every term of RO-Crate 1.1, as the reference library brings it.
TERMS = json.loads((Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_text())["@context"]


def cited_of(view: DatasetView) -> Cited:
    cited = Cited.of(view)
    assert cited is not None
    return cited


def dataset_view(**facts: Any) -> DatasetView:
    ingest = IngestView(
        frames=64,
        train_frames=58,
        held_out_frames=6,
        duplicate_frames=0,
        elements=("C", "Si"),
        has_virial=True,
        format="qe/pw/scf",
        level_of_theory=LevelOfTheory(functional="PBE"),
        set_aside_count=0,
        set_aside=(),
    )
    archive = DownloadView(url="/api/v1/datasets/x/archive?version=2", filename="sic.zip", size=10, sha256="a" * 64)
    frames = DownloadView(url="/api/v1/datasets/x/frames/train.mdb", filename="train.mdb", size=20, sha256="b" * 64)
    shown: dict[str, Any] = {
        "id": PUBLIC,
        "version": 2,
        "name": "SiC, 300–2000 K",
        "authors": ("Mei Lin", "李华"),
        "orcids": {"Mei Lin": "0000-0002-1825-0097"},
        "licence": "CC-BY-4.0",
        "description": 'Strained "cells".\nMore in # Markdown.',
        "private": False,
        "created": WHEN,
        "made_public": None,
        "ingest": ingest,
        "download": archive,
        "frame_files": (frames,),
    }
    return DatasetView.model_construct(**(shown | facts))


def model_view(**facts: Any) -> ModelView:
    def trained(name: str, dataset_id: UUID | None) -> TrainedDatasetView:
        return TrainedDatasetView(
            id=dataset_id,
            url=f"/datasets/{dataset_id}" if dataset_id else None,
            name=name,
            authors=(),
            branch="b",
            weight=0.5,
            new=True,
            energy_rmse_mev_per_atom=1,
            force_rmse_mev_per_angstrom=2,
        )

    shown: dict[str, Any] = {
        "version": "1.1",
        "parent": "1.0",
        "published": WHEN,
        "preset": "laptop",
        "datasets": (trained("SiC", PUBLIC), trained(PRIVATE, None)),
        "contributors": ("Mei Lin", 'O\'Neil "Bob"'),
        "files": (
            ModelFileView(
                name="model.pt",
                kind="checkpoint",
                branch=None,
                size=9,
                sha256="c" * 64,
                url="/api/v1/models/1.1/files/model.pt",
            ),
        ),
        "branches": (BranchError(branch="b", energy_rmse_mev_per_atom=1, force_rmse_mev_per_angstrom=2),),
        "versions": {"deepmd-kit": "3.2.0", "torch": "2.11.0"},
    }
    return ModelView.model_construct(**(shown | facts))


VIEW = dataset_view()
CRATES = {
    "dataset": crates.of_dataset(VIEW, cited_of(VIEW), SITE),
    "unread dataset": crates.of_dataset(
        (unread := dataset_view(ingest=None, download=None, frame_files=(), description=" ")), cited_of(unread), SITE
    ),
    "model": crates.of_model(model_view(), SITE),
    "first model": crates.of_model(model_view(parent=None, contributors=(), datasets=(), versions={}), SITE),
}


@pytest.mark.parametrize("name", CRATES)
def test_a_crate_keeps_the_rules_of_ro_crate_1_1(name: str, tmp_path: Path) -> None:
    document = CRATES[name]
    graph = {one["@id"]: one for one in document["@graph"]}
    assert document["@context"] == "https://w3id.org/ro/crate/1.1/context"
    assert len(graph) == len(document["@graph"])
    descriptor, root = graph["ro-crate-metadata.json"], graph["./"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert root["@type"] == "Dataset"
    assert all(root[required] for required in ("name", "description", "datePublished"))
    datetime.fromisoformat(root["datePublished"])
    for entity in graph.values():
        assert entity["@type"] in TERMS
        for term, value in entity.items():
            assert term.startswith("@") or term in TERMS, term
            for one in value if isinstance(value, list) else [value]:
                assert not isinstance(one, dict) or list(one) == ["@id"], "entities lie flat"
                if isinstance(one, dict) and term != "conformsTo":
                    assert one["@id"] in graph, one
    files = [one["@id"] for one in graph.values() if one["@type"] == "File"]
    assert [one["@id"] for one in root["hasPart"]] == files
    # The reference library reads it, finds the same, and writes it again.
    (tmp_path / "ro-crate-metadata.json").write_text(json.dumps(document, ensure_ascii=False))
    read = ROCrate(tmp_path)
    assert read.name == root["name"]
    assert {one.id for one in read.get_entities()} == set(graph)


def test_a_dataset_s_crate_tells_who_made_it_and_where_its_files_are() -> None:
    graph = {one["@id"]: one for one in CRATES["dataset"]["@graph"]}
    assert [one["@id"] for one in graph["./"]["author"]] == ["https://orcid.org/0000-0002-1825-0097", "#author-2"]
    archive = graph[f"{SITE}/api/v1/datasets/x/archive?version=2"]
    assert graph[archive["identifier"]["@id"]]["value"] == "a" * 64
    assert graph[graph["./"]["license"]["@id"]]["identifier"] == "CC-BY-4.0"


def test_what_is_private_is_in_no_export_of_a_model() -> None:
    view = model_view()
    exports = (crates.of_model(view, SITE), datacite.of_model(view, SITE, None))
    assert all(PRIVATE not in json.dumps(one) for one in exports)
    graph = {one["@id"]: one for one in exports[0]["@graph"]}
    sources = [f"{SITE}/datasets/{PUBLIC}", f"{SITE}/models/1.0"]
    assert [one["@id"] for one in graph["./"]["isBasedOn"]] == sources
    assert graph["#training"]["object"] == graph["./"]["isBasedOn"]


@pytest.mark.parametrize("prefix", [None, "10.12345"])
def test_datacite_takes_them(prefix: str | None) -> None:
    bodies = [
        datacite.of_dataset(VIEW, cited_of(VIEW), SITE, prefix),
        datacite.of_model(model_view(), SITE, prefix),
        datacite.of_model(model_view(parent=None, contributors=(), datasets=()), SITE, prefix),
    ]
    for body in bodies:
        assert body["data"]["type"] == "dois"
        schema45.validator.validate(body["data"]["attributes"])
        assert ("doi" in body["data"]["attributes"]) is (prefix is not None)
    expected = f"10.12345/potluck.dataset.{PUBLIC}.v2"
    assert bodies[0]["data"]["attributes"].get("doi") == (expected if prefix else None)


def test_a_schema_refuses_what_lacks_a_creator() -> None:
    """The check above can fail."""
    attributes = datacite.of_model(model_view(), SITE, None)["data"]["attributes"]
    del attributes["creators"]
    assert not schema45.validate(attributes)


@pytest.mark.parametrize(
    "text",
    [
        cited_of(VIEW).cff(SITE),
        CitedModel.of(model_view()).cff(SITE),
        CitedModel.of(model_view(contributors=())).cff(SITE),
    ],
)
def test_citation_files_are_valid_and_convert(text: str) -> None:
    citation = Citation(text)
    citation.validate()
    assert "@misc{" in citation.as_bibtex()


def test_a_model_s_bibtex() -> None:
    assert CitedModel.of(model_view(contributors=("A & B",))).bibtex(SITE) == (
        "@misc{potluck-dpa-1.1,\n"
        "  title = {{DPA 1.1}},\n"
        "  author = {{A \\& B}},\n"
        "  year = {2026},\n"
        "  version = {1.1},\n"
        "  publisher = {Potluck},\n"
        "  url = {https://potluck.example/models/1.1}\n"
        "}\n"
    )

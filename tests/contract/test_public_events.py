"""What outsiders rely on: events that CloudEvents libraries take, and schemas that only grow."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_binary_event, from_structured_event
from contracts.base import DatasetRef
from contracts.envelope import STRUCTURED_TYPE, Attributes, Event, structured, to_headers
from contracts.events import BY_TYPE, EVENTS, DatasetPublished, ModelAliased
from contracts.topology import EMITS, PUBLIC_SUBJECTS, is_public
from schema_compatibility import broken

PROTO = Path(__file__).resolve().parents[2] / "proto"
RELEASED = sorted((PROTO / "released").glob("*.json"))
PUBLIC = [event for event in EVENTS if is_public(event.nats_subject)]


def published() -> DatasetPublished:
    return DatasetPublished(
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        title="碳化硅 & “SiC”",
        authors=("Mei Lin", "Ævar Þór"),
        licence="CC-BY-4.0",
        for_training=True,
    )


def attributes(event: Event) -> Attributes:
    return Attributes(
        id=uuid4(), type=event.ce_type(), source="potluck/gateway", subject=event.about(), time=datetime.now(UTC)
    )


@pytest.mark.parametrize("event", [published(), ModelAliased(alias="latest", version="1.1", previous="1.0")])
def test_the_official_library_reads_both_forms(event: Event) -> None:
    sent = attributes(event)
    headers = {key: value for key, value in to_headers(sent).items() if not key.startswith("Nats-")}
    forms = (
        from_binary_event(HTTPMessage(headers, event.body())),
        from_structured_event(HTTPMessage({"content-type": STRUCTURED_TYPE}, structured(sent, event.body()))),
    )
    for read in forms:
        assert read.get_id() == str(sent.id)
        assert read.get_type() == event.ce_type()
        assert read.get_source() == "potluck/gateway"
        assert read.get_subject() == event.about()
        assert read.get_time() == sent.time
        assert read.get_specversion() == "1.0"
        assert read.get_datacontenttype() == "application/json"
        assert read.get_data() == json.loads(event.body())


def test_headers_are_such_as_nats_carries() -> None:
    """Printable ASCII without spaces or quotes: nothing would have to be percent-encoded."""
    for value in to_headers(attributes(published())).values():
        assert value.isascii()
        assert value.isprintable()
        assert not set(value) & set(' "%')


def test_public_subjects_are_the_ones_that_were_promised() -> None:
    assert PUBLIC_SUBJECTS == ("potluck.model.>", "potluck.dataset.published")
    assert {event.nats_subject.rpartition(".")[0] for event in PUBLIC} == {"potluck.model", "potluck.dataset"}
    assert not is_public("potluck.dataset.published.more")
    assert not is_public("potluck.dataset.uploaded")
    assert not is_public("potluck.modelling.begun")
    assert all(event in EMITS["registry"] or event is DatasetPublished for event in PUBLIC)


def test_every_public_event_has_a_released_schema() -> None:
    """After a new one: `make released`, once what it says is settled."""
    assert {path.stem for path in RELEASED} >= {event.ce_type() for event in PUBLIC}


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: str(path.stem))
def test_schemas_keep_what_was_released(path: Path) -> None:
    """Else: a new version (`schema_version`), said beside the old one."""
    assert path.stem in BY_TYPE, f"{path.stem} was released: it must still be said"
    assert broken(json.loads(path.read_text()), BY_TYPE[path.stem].model_json_schema()) == []


def released(name: str) -> Any:
    return json.loads((PROTO / "released" / f"{name}.json").read_text())


def _remove(schema: Any) -> None:
    del schema["properties"]["version"]


def _retype(schema: Any) -> None:
    schema["properties"]["standard_score"]["type"] = "string"


def _require(schema: Any) -> None:
    schema["required"].append("seed")


def _no_longer_require(schema: Any) -> None:
    schema["required"].remove("version")


def _new_and_required(schema: Any) -> None:
    schema["properties"]["colour"] = {"type": "string"}
    schema["required"].append("colour")


def _deep(schema: Any) -> None:
    del schema["$defs"]["BlobRef"]["properties"]["sha256"]


def _null(schema: Any) -> None:
    schema["properties"]["parent"] = {"type": "string"}


BREAKS = {
    _remove: "version: removed",
    _retype: "standard_score: ('number',) became ('string',)",
    _require: "seed: now required",
    _no_longer_require: "version: no longer required",
    _new_and_required: "colour: new and required",
    _deep: "files[].blob.sha256: removed",
    _null: "parent: ('string', 'null') became ('string',)",
}


@pytest.mark.parametrize("change", BREAKS, ids=lambda change: str(change.__name__))
def test_a_change_that_breaks_readers_is_seen(change: Any) -> None:
    old = released("potluck.model.published.v1")
    new = deepcopy(old)
    change(new)
    assert any(BREAKS[change] in one for one in broken(old, new)), broken(old, new)


def test_a_schema_may_grow() -> None:
    old = released("potluck.model.published.v1")
    new = deepcopy(old)
    new["properties"]["colour"] = {"type": "string", "default": "blue"}
    new["$defs"]["BlobRef"]["properties"]["etag"] = {"type": "string"}
    assert broken(old, new) == []


def test_bodies_fit_the_released_schema() -> None:
    jsonschema.validate(json.loads(published().body()), released("potluck.dataset.published.v1"))

"""Events survive the wire: headers and body give back what was sent; anything else is refused with words."""

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import jsonschema
import pytest
from contracts import topology
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.envelope import Attributes, Event, MalformedEvent, from_headers, to_headers
from contracts.events import BY_TYPE, EVENTS, DatasetUploaded, ModelPublished, parse

SCHEMAS = Path(__file__).resolve().parents[2] / "proto" / "schemas"


def uploaded() -> DatasetUploaded:
    return DatasetUploaded(
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        owner_id=uuid4(),
        credit=Credit(title="Silicon", authors=("demo contributor",), licence="CC-BY-4.0", private=False),
        archive=BlobRef(key="uploads/x/archive", sha256="a" * 64, size=3),
        filename="si.tar.xz",
        format="qe/pw/scf",
    )


def attributes(event: Event) -> Attributes:
    return Attributes(
        id=uuid4(), type=event.ce_type(), source="potluck/gateway", subject=event.about(), time=datetime.now(UTC)
    )


def test_an_event_comes_back_as_it_was_sent() -> None:
    event = uploaded()
    sent = attributes(event)
    received = from_headers(to_headers(sent))
    assert received == sent
    assert parse(received, event.body()) == event


def test_the_body_fits_the_committed_schema() -> None:
    event = uploaded()
    schema = json.loads((SCHEMAS / "events" / f"{event.ce_type()}.json").read_text())
    jsonschema.validate(json.loads(event.body()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"dataset": "not a reference"}, schema)


def test_headers_without_an_id_are_refused() -> None:
    headers = to_headers(attributes(uploaded()))
    del headers["ce-id"]
    with pytest.raises(MalformedEvent, match="id"):
        from_headers(headers)


def test_headers_of_another_specification_are_refused() -> None:
    with pytest.raises(MalformedEvent, match="specversion"):
        from_headers({**to_headers(attributes(uploaded())), "ce-specversion": "0.3"})


def test_an_unknown_type_is_refused() -> None:
    event = uploaded()
    unknown = attributes(event).model_copy(update={"type": "potluck.dataset.eaten.v1"})
    with pytest.raises(MalformedEvent, match="eaten"):
        parse(unknown, event.body())


def test_a_body_that_is_not_the_event_is_refused() -> None:
    event = uploaded()
    with pytest.raises(MalformedEvent, match="dataset"):
        parse(attributes(event), b'{"dataset": 1}')


def test_a_reader_ignores_what_a_newer_writer_added() -> None:
    event = uploaded()
    body = json.loads(event.body()) | {"added_later": True}
    assert parse(attributes(event), json.dumps(body).encode()) == event


def test_every_event_is_emitted_by_exactly_one_service() -> None:
    emitted = [event for events in topology.EMITS.values() for event in events]
    assert sorted(event.__name__ for event in emitted) == sorted(event.__name__ for event in EVENTS)
    assert len(BY_TYPE) == len(EVENTS)


def test_every_consumer_listens_to_something_that_is_said() -> None:
    subjects = {event.nats_subject for event in EVENTS}
    for consumer in topology.CONSUMERS:
        if consumer.stream == topology.EVENT_STREAM and not consumer.filter_subject.endswith(">"):
            assert consumer.filter_subject in subjects


def test_public_events_name_no_private_dataset() -> None:
    """What outsiders hear may leave out id, title and authors: the schema must allow it."""
    schema = ModelPublished.model_json_schema()["$defs"]["TrainedDataset"]
    assert {"type": "null"} in schema["properties"]["dataset"]["anyOf"]
    assert {"type": "null"} in schema["properties"]["title"]["anyOf"]

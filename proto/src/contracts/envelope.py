"""CloudEvents 1.0. On NATS (binary mode) attributes are headers, the body is JSON; webhooks get both as one JSON."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from contracts.base import Frozen

CONTENT_TYPE = "application/json"
STRUCTURED_TYPE = "application/cloudevents+json"


class Event(Frozen):
    """A fact in the past tense. `nats_subject` is fixed by the class; `ce-type` is that with a version."""

    nats_subject: ClassVar[str]
    schema_version: ClassVar[int] = 1

    @classmethod
    def ce_type(cls) -> str:
        return f"{cls.nats_subject}.v{cls.schema_version}"

    def about(self) -> str:
        """The CloudEvents `subject`: what this fact is about, e.g. 'dataset/<id>/<version>'."""
        raise NotImplementedError

    def body(self) -> bytes:
        return self.model_dump_json().encode()


class Attributes(Frozen):
    """The context attributes of one event as they travel."""

    id: UUID
    type: str
    source: str
    subject: str
    time: datetime


class MalformedEvent(ValueError):
    """Headers that are not a CloudEvent, or a body that is not the event that they announce."""


def to_headers(attributes: Attributes) -> dict[str, str]:
    """NATS headers of an event; `Nats-Msg-Id` lets JetStream drop a repeated publish."""
    return {
        "Nats-Msg-Id": str(attributes.id),
        "content-type": CONTENT_TYPE,
        "ce-specversion": "1.0",
        "ce-id": str(attributes.id),
        "ce-type": attributes.type,
        "ce-source": attributes.source,
        "ce-subject": attributes.subject,
        "ce-time": attributes.time.isoformat(),
    }


def structured(attributes: Attributes, body: bytes) -> bytes:
    """Attributes and event as one JSON object (STRUCTURED_TYPE), for those who sign or store the whole."""
    told = {
        "specversion": "1.0",
        "id": str(attributes.id),
        "type": attributes.type,
        "source": attributes.source,
        "subject": attributes.subject,
        "time": attributes.time.isoformat(),
        "datacontenttype": CONTENT_TYPE,
        "data": json.loads(body),
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def from_headers(headers: Mapping[str, str]) -> Attributes:
    """Raises MalformedEvent when a required attribute is missing or wrong."""
    lower = {key.lower(): value for key, value in headers.items()}
    if lower.get("ce-specversion") != "1.0":
        raise MalformedEvent(f"ce-specversion is {lower.get('ce-specversion')!r}; expected '1.0'")
    try:
        return Attributes.model_validate(
            {name: lower.get(f"ce-{name}") for name in ("id", "type", "source", "subject", "time")}
        )
    except ValueError as error:
        raise MalformedEvent(f"CloudEvents attributes are incomplete: {error}") from error

"""What crosses between services, read from the contracts themselves: events and gRPC, for people to read."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from contracts.envelope import Event
from contracts.events import EVENTS
from contracts.fleet.v1 import fleet_pb2, fleet_pb2_grpc, scoring_pb2, scoring_pb2_grpc
from contracts.operator.v1 import operator_pb2, operator_pb2_grpc
from contracts.registry.v1 import registry_pb2, registry_pb2_grpc
from contracts.topology import CONSUMERS, EMITS
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor, ServiceDescriptor

FILES: tuple[tuple[ModuleType, ModuleType], ...] = (
    (fleet_pb2, fleet_pb2_grpc),
    (scoring_pb2, scoring_pb2_grpc),
    (registry_pb2, registry_pb2_grpc),
    (operator_pb2, operator_pb2_grpc),
)
_SCALARS = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in vars(FieldDescriptor).items()
    if name.startswith("TYPE_")
}


@dataclass(frozen=True, slots=True)
class Member:
    """A field. `number`: of a message; none in JSON."""

    name: str
    kind: str
    about: str = ""
    required: bool = True
    number: int | None = None


@dataclass(frozen=True, slots=True)
class EventShown:
    name: str
    subject: str
    about: str
    emitter: str
    heard_by: tuple[str, ...]
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class MethodShown:
    name: str
    about: str
    takes: str
    gives: str


@dataclass(frozen=True, slots=True)
class ServiceShown:
    """A gRPC service with the messages of its file."""

    name: str
    about: str
    methods: tuple[MethodShown, ...]
    messages: tuple[tuple[str, tuple[Member, ...]], ...]


@cache
def events() -> tuple[EventShown, ...]:
    """In the order of a contribution's life."""
    emitters = {event: service for service, said in EMITS.items() for event in said}
    return tuple(_event(event, emitters[event]) for event in EVENTS)


def _event(event: type[Event], emitter: str) -> EventShown:
    schema = event.model_json_schema()
    heard = {one.service for one in CONSUMERS if one.filter_subject in (event.nats_subject, "potluck.>")}
    return EventShown(
        name=event.__name__,
        subject=event.nats_subject,
        about=inspect.getdoc(event) or "",
        emitter=emitter,
        heard_by=tuple(sorted(heard)),
        members=members(schema),
    )


def members(schema: Mapping[str, Any]) -> tuple[Member, ...]:
    """Of a JSON schema of an object."""
    required = schema.get("required", ())
    return tuple(
        Member(name, json_kind(one), one.get("description", ""), name in required)
        for name, one in schema.get("properties", {}).items()
    )


def json_kind(schema: Mapping[str, Any]) -> str:
    """A JSON schema in few words: 'string', 'array of Overlap', 'number or null'."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(json_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"array of {json_kind(schema['items'])}" if "items" in schema else "array"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {json_kind(schema['additionalProperties'])}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind


@cache
def services() -> tuple[ServiceShown, ...]:
    return tuple(
        _service(module.DESCRIPTOR, descriptor, stubs)
        for module, stubs in FILES
        for descriptor in module.DESCRIPTOR.services_by_name.values()
    )


def _service(file: FileDescriptor, service: ServiceDescriptor, stubs: ModuleType) -> ServiceShown:
    # Comments of the .proto files are in the generated code alone: descriptors leave them out.
    servicer = getattr(stubs, f"{service.name}Servicer")
    return ServiceShown(
        name=service.full_name,
        about=inspect.getdoc(servicer) or "",
        methods=tuple(
            MethodShown(
                name=method.name,
                about=inspect.getdoc(getattr(servicer, method.name)) or "",
                takes=method.input_type.name,
                gives=method.output_type.name,
            )
            for method in service.methods
        ),
        messages=tuple(
            (message.name, tuple(_fields(message.fields))) for message in file.message_types_by_name.values()
        ),
    )


def _fields(fields: Iterable[FieldDescriptor]) -> Iterable[Member]:
    for field in fields:
        yield Member(name=field.name, kind=_proto_kind(field), number=field.number)


def _proto_kind(field: FieldDescriptor) -> str:
    message: Descriptor | None = field.message_type
    if message is not None and message.GetOptions().map_entry:
        key, value = message.fields_by_name["key"], message.fields_by_name["value"]
        return f"map<{_proto_kind(key)}, {_proto_kind(value)}>"
    kind = message.name if message is not None else _SCALARS[field.type]
    return f"repeated {kind}" if field.is_repeated else kind

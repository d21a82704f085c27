"""The description of the API is that of the routes that are served."""

import json
import re
from typing import Any

from contracts.events import EVENTS
from gateway import api
from gateway.api.bodies import NewDataset, NewPublication
from gateway.api.described import OPERATIONS
from gateway.api.openapi import OpenApi, operations
from gateway.contracts_described import events, services
from gateway.forms import drafts
from gateway.uploads.tus import Tus


def described() -> tuple[set[tuple[str, str]], dict[str, Any]]:
    routes = [*api.routes(), *Tus(None, None, None).routes()]  # type: ignore[arg-type]  # no upload is made here
    made = OpenApi(routes)
    served = {(method, path) for method, path, _ in operations([*routes, *made.routes()])}
    return served, made.document()


def test_every_route_is_described_and_nothing_else() -> None:
    served, document = described()
    there = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert there == served
    assert set(OPERATIONS) == served


def test_bodies_have_the_fields_that_the_rules_know() -> None:
    """They only describe: what is refused is decided elsewhere."""
    assert set(NewDataset.model_fields) == set(drafts._CHECKS)
    assert set(NewPublication.model_fields) == set(drafts._PUBLICATION)


def test_every_reference_leads_somewhere_and_names_are_unique() -> None:
    _, document = described()
    text = json.dumps(document)
    for name in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert name in document["components"]["schemas"], name
    names = [one["operationId"] for item in document["paths"].values() for one in item.values()]
    assert len(names) == len(set(names))
    assert "/$defs/" not in text


def test_errors_are_problems_and_parameters_of_the_path_are_told() -> None:
    _, document = described()
    one = document["paths"]["/api/v1/datasets/{dataset_id}"]["get"]
    assert one["parameters"][0] == {
        "name": "dataset_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    }
    assert "application/problem+json" in one["responses"]["404"]["content"]
    publish = document["paths"]["/api/v1/datasets"]["post"]
    assert publish["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/NewDataset")
    assert publish["security"] == [{"token": []}, {"session": []}]
    assert set(publish["responses"]) >= {"201", "401", "409", "422"}
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["summary"]


def test_every_event_and_every_call_is_shown() -> None:
    assert {one.subject for one in events()} == {event.nats_subject for event in EVENTS}
    assert all(one.about and one.members for one in events())
    shown = {service.name: service for service in services()}
    assert set(shown) >= {"contracts.fleet.v1.FleetService", "contracts.operator.v1.OperatorService"}
    pause = {method.name: method for method in shown["contracts.operator.v1.OperatorService"].methods}["Pause"]
    assert pause.takes == "PauseRequest"
    assert "Pause stops planning" in pause.about
    messages = dict(shown["contracts.operator.v1.OperatorService"].messages)
    assert [(one.name, one.kind, one.number) for one in messages["PauseRequest"]] == [("reason", "string", 1)]
    kinds = {one.name: one.kind for one in messages["Rule"]}
    assert kinds["numbers"] == "map<string, double>"

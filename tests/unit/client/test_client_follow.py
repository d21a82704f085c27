"""Following a dataset: every change once, through lost connections, to the end."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from potluck.client import Client
from potluck.errors import Problem
from potluck.sse import ServerEvent, parse

NewClient = Callable[..., Client]
ID = "018f"


def dataset(state: str, stage: str, **more: object) -> dict[str, Any]:
    return {"id": ID, "name": "SiC", "state": state, "stage": stage, **more}


def event(number: int, data: object) -> bytes:
    return f"event: dataset\nid: {number}\ndata: {json.dumps(data)}\n\n".encode()


def test_events_are_read_as_the_standard_says() -> None:
    lines = [":comment", "event: progress", "id: 7", "data: one", "data:  two", "", "data: three", "", "data: cut off"]
    assert list(parse(lines)) == [ServerEvent("progress", "one\n two", "7"), ServerEvent("message", "three", "7")]


def test_yields_each_change_until_the_end(fake: Any, new_client: NewClient) -> None:
    fake.datasets[ID] = dataset("uploaded", "submit")
    states = [dataset("validated", "check"), dataset("validated", "check"), dataset("rejected", "done")]
    stream = b"".join(event(number, state) for number, state in enumerate(states))
    cut = len(stream) // 2
    fake.streams.append(fake.body(stream[:cut], stream[cut:]))
    assert [one.state for one in new_client().follow(ID)] == ["uploaded", "validated", "rejected"]


def test_a_lost_connection_asks_for_what_came_after(fake: Any, new_client: NewClient) -> None:
    fake.datasets[ID] = dataset("uploaded", "submit")

    def later(request: httpx.Request) -> httpx.Response:
        fake.datasets[ID] = dataset("passed", "queue")
        answer: httpx.Response = fake.answer(request, f"datasets/{ID}")
        return answer

    fake.streams.append(fake.body(event(41, dataset("validated", "check")), breaks=True))
    fake.streams.append(fake.body(event(42, dataset("published", "done", model="1.1"))))
    following = new_client().follow(ID)
    assert [next(following).state, next(following).state] == ["uploaded", "validated"]
    fake.fail("GET", later)
    assert [one.state for one in following] == ["passed", "published"]
    first, second = fake.requests("GET", f"datasets/{ID}/events")
    assert "Last-Event-ID" not in first
    assert second["Last-Event-ID"] == "41"


def test_an_event_without_the_dataset_makes_the_client_look(fake: Any, new_client: NewClient) -> None:
    fake.datasets[ID] = dataset("passed", "queue")
    following = new_client().follow(ID)
    assert next(following).state == "passed"
    fake.datasets[ID] = dataset("published", "done", model="1.1")
    fake.streams.append(fake.body(event(1, {"kind": "changed"})))
    assert [one.model for one in following] == ["1.1"]


def test_what_is_finished_needs_no_stream(fake: Any, new_client: NewClient) -> None:
    fake.datasets[ID] = dataset("not-passed", "done", verdict="covered")
    assert [one.verdict for one in new_client().follow(ID)] == ["covered"]
    assert not fake.requests("GET", f"datasets/{ID}/events")


def test_an_unknown_dataset_is_told(new_client: NewClient) -> None:
    with pytest.raises(Problem, match="There is no such dataset"):
        list(new_client().follow("nothing"))

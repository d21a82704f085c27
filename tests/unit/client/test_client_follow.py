"""Following a dataset: every change once, through lost connections, to the end."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from potluck.client import Client
from potluck.errors import Problem, UnexpectedAnswer, Unreachable
from potluck.sse import ServerEvent, parse

NewClient = Callable[..., Client]
ID = "018f"


def dataset(state: str, stage: str, **more: object) -> dict[str, Any]:
    return {"id": ID, "name": "SiC", "state": state, "stage": stage, **more}


def event(number: int, data: object, kind: str = "snapshot") -> bytes:
    return f"event: {kind}\nid: {number}\ndata: {json.dumps(data)}\n\n".encode()


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
    fake.streams.append(fake.body(event(41, dataset("validated", "check")), b"event: upd", breaks=True))
    fake.streams.append(fake.body(event(42, {"state": "passed", "stage": "queue"}, "update")))
    fake.streams.append(fake.body(event(43, {"state": "published", "stage": "done", "model": "1.1"}, "update")))
    assert [one.state for one in new_client().follow(ID)] == ["uploaded", "validated", "passed", "published"]
    asked = fake.requests("GET", f"datasets/{ID}/events")
    assert [headers.get("Last-Event-ID") for headers in asked] == [None, "41", "42"]


def test_an_update_replaces_members_and_a_point_joins_the_curve(fake: Any, new_client: NewClient) -> None:
    def point(step: int, force: float) -> dict[str, float]:
        return {"step": step, "energy_rmse_mev_per_atom": 9.0, "force_rmse_mev_per_angstrom": force}

    fake.datasets[ID] = dataset("training", "train", verdict="passed", training={"round_id": "r", "step": 0})
    whole = {"round_id": "r", "step": 100, "curve": [point(0, 1900.0), point(100, 900.0)]}
    single = {"round_id": "r", "step": 200}
    fake.streams.append(
        fake.body(
            event(1, {"training": whole}, "update"),
            event(2, {"training": single, "point": point(200, 500.0)}, "update"),
            event(3, {"training": single, "point": point(100, 800.0)}, "update"),
            event(4, {"queue": None}, "something-newer"),
            event(5, {"state": "published", "stage": "done"}, "update"),
        )
    )
    *_, last = new_client().follow(ID)
    assert last.verdict == "passed"
    assert last.training is not None
    curve = [(one.step, one.force_rmse_mev_per_angstrom) for one in last.training.curve]
    assert curve == [(0, 1900.0), (100, 800.0), (200, 500.0)]


def test_a_stream_of_something_else_is_told(fake: Any, new_client: NewClient) -> None:
    fake.datasets[ID] = dataset("passed", "queue")
    fake.streams.append(fake.body(b"event: update\ndata: <html>\n\n"))
    with pytest.raises(UnexpectedAnswer, match="something else than JSON"):
        list(new_client().follow(ID))


def test_a_server_that_stays_away_is_told(fake: Any, new_client: NewClient) -> None:
    fake.datasets[ID] = dataset("passed", "queue")
    following = new_client(patience_seconds=20.0).follow(ID)
    next(following)
    fake.fail("GET", *[503] * 100)
    with pytest.raises(Unreachable, match="503"):
        next(following)
    assert len(fake.requests("GET", f"datasets/{ID}/events")) > 3


def test_what_is_finished_needs_no_stream(fake: Any, new_client: NewClient) -> None:
    fake.datasets[ID] = dataset("not-passed", "done", verdict="covered")
    assert [one.verdict for one in new_client().follow(ID)] == ["covered"]
    assert not fake.requests("GET", f"datasets/{ID}/events")


def test_an_unknown_dataset_is_told(new_client: NewClient) -> None:
    with pytest.raises(Problem, match="There is no such dataset"):
        list(new_client().follow("nothing"))

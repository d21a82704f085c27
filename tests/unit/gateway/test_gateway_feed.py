"""Watchers and what they are told."""

import json
from datetime import UTC, datetime
from uuid import uuid4

from contracts.base import LevelOfTheory
from gateway.entries.telling import change
from gateway.live.feed import QUEUE_LENGTH, Message, Watcher, encode, place_message, reading_message
from gateway.views.datasets import CurvePoint, DatasetView, IngestView, QueuePlace, TrainingView


def test_encoding() -> None:
    assert encode("update", '{"a": 1}', 7) == b'id: 7\nevent: update\ndata: {"a": 1}\n\n'
    assert encode("update", "{}") == b"event: update\ndata: {}\n\n"
    place = QueuePlace(line="check", position=2, ahead=1)
    assert b"id:" not in place_message(place)
    assert json.loads(place_message(None).split(b"data: ")[1]) == {"queue": None}


async def test_a_watcher_that_does_not_keep_up_is_cut_off() -> None:
    watcher = Watcher()
    for number in range(QUEUE_LENGTH):
        assert watcher.give(Message(number, b""))
    assert not watcher.give(Message(QUEUE_LENGTH, b""))
    assert watcher.queue.get_nowait() is None
    assert watcher.queue.empty()


def view() -> DatasetView:
    points = tuple(
        CurvePoint(step=step, energy_rmse_mev_per_atom=1, force_rmse_mev_per_angstrom=2) for step in (100, 200)
    )
    return DatasetView(
        id=uuid4(),
        version=1,
        url="/datasets/x",
        name="SiC",
        authors=("Mei",),
        licence="CC0-1.0",
        private=False,
        description="long",
        created=datetime.now(UTC),
        filename="a.zip",
        size=1,
        sha256="0" * 64,
        stage="train",
        state="training",
        verdict="passed",
        held_up=None,
        message=None,
        queue=None,
        ingest=IngestView(
            format="vasp/outcar",
            frames=1,
            train_frames=1,
            held_out_frames=0,
            duplicate_frames=0,
            elements=("Si",),
            has_virial=False,
            level_of_theory=LevelOfTheory(),
            set_aside_count=0,
            set_aside=(),
        ),
        metric=None,
        training=TrainingView(
            round_id=uuid4(),
            branch="sic",
            state="training",
            attempt=1,
            worker="w",
            step=200,
            total_steps=1000,
            eta_seconds=5,
            curve=points,
            force_rmse_after_mev_per_angstrom=None,
            energy_rmse_after_mev_per_atom=None,
        ),
        model=None,
        growth=None,
    )


def test_progress_sends_one_point_and_not_the_curve() -> None:
    told = change(view(), {"training"}, 200)
    assert told["point"]["step"] == 200
    assert "curve" not in told["training"]
    assert "description" not in told
    assert "ingest" not in told


def test_a_change_of_the_round_sends_the_whole_curve() -> None:
    told = change(view(), {"training"}, None)
    assert [point["step"] for point in told["training"]["curve"]] == [100, 200]
    assert "point" not in told


def test_a_point_that_was_overtaken_is_not_told() -> None:
    assert change(view(), {"training"}, 300)["point"] is None


def test_what_is_always_told() -> None:
    assert set(change(view(), (), None)) == {"stage", "state", "verdict", "held_up", "message", "model", "reading"}


def test_progress_is_no_news_once_the_log_went_on() -> None:
    """Handed to a watcher before the outcome, it may lie in the queue behind a snapshot that has the outcome."""
    told = reading_message({"parsed": 9}, position=4)
    assert told.is_news(4)
    assert not told.is_news(5)
    assert b"id:" not in told.data
    assert Message(None, place_message(None)).is_news(5)
    assert Message(6, b"").is_news(5)
    assert not Message(5, b"").is_news(5)

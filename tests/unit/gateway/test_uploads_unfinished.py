"""Which uploads of a person are one archive."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from gateway.uploads.parts import Place
from gateway.uploads.unfinished import gathered
from gateway.uploads.uploads import Upload

BEGAN = datetime(2026, 11, 26, 12, tzinfo=UTC)
OWNER = uuid4()


def upload(seconds: float, place: Place | None = None, name: str = "si.tar", partial: bool = True) -> Upload:
    created = BEGAN + timedelta(seconds=seconds)
    return Upload(
        id=uuid4(),
        owner_id=OWNER,
        filename=name,
        size=100,
        sha256=None,
        created=created,
        expires=created + timedelta(hours=72),
        dataset_id=None,
        partial=partial,
        place=place,
    )


def places(count: int) -> list[Place]:
    return [Place(number, count) for number in range(1, count + 1)]


def test_parts_are_one_archive_and_whole_uploads_stay_alone() -> None:
    whole = upload(-60, partial=False)
    again = upload(-50, partial=False)
    parts = [upload(number, place) for number, place in enumerate(places(4))]
    newest, *others = gathered([(parts[2], 100), (whole, 7), (parts[0], 30), (again, 0), (parts[3], 0), (parts[1], 1)])
    assert newest.uploads == tuple(parts)
    assert (newest.size, newest.received, newest.expires) == (400, 131, parts[3].expires)
    assert [one.uploads for one in others] == [(again,), (whole,)]


def test_the_same_file_sent_twice_side_by_side_is_two_archives() -> None:
    first = [upload(number, place) for number, place in enumerate(places(2))]
    second = [upload(number + 0.5, place) for number, place in enumerate(places(2))]
    found = gathered((one, 0) for one in first + second)
    assert sorted(len(one.uploads) for one in found) == [2, 2]
    other = gathered((one, 0) for one in (first[0], upload(1, Place(2, 2), name="water.tar")))
    assert [len(one.uploads) for one in other] == [1, 1]


def test_a_part_that_was_begun_anew_later_still_belongs() -> None:
    found = gathered([(upload(0, Place(1, 2)), 0), (upload(7200, Place(2, 2)), 0)])
    assert len(found) == 1


def test_parts_without_a_place_belong_together_when_begun_one_after_the_other() -> None:
    found = gathered((upload(seconds), 0) for seconds in (0, 50, 100, 3600, 3601))
    assert [len(one.uploads) for one in found] == [2, 3]

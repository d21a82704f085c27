"""What is kept and held out, and what of other datasets is told: rules on hashes alone."""

from uuid import UUID, uuid4

import numpy as np
import pytest
from contracts.base import DatasetRef, Overlap
from frames.hashing import HashArray, content_sha256, hash_array
from frames.split import held_out_count
from hypothesis import given
from hypothesis import strategies as st
from ingest.confined.marks import HELD_OUT, KEPT, KNOWN
from ingest.selecting import Ask, Elsewhere, Hit, Source, elsewhere, nothing_known, overlapping, overtaken, select

OWNER, STRANGER = uuid4(), uuid4()


def hashes(count: int, seed: int = 0) -> HashArray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def answer(said: Elsewhere) -> Ask:
    async def ask(_hashes: HashArray) -> Elsewhere:
        return said

    return ask


def source(
    owner: UUID = STRANGER, private: bool = False, title: str = "Si", dataset: DatasetRef | None = None
) -> Source:
    return Source(dataset or DatasetRef(dataset_id=uuid4(), version=1), owner, private, title)


def hit(number: int, held_out: bool, *places: int) -> Hit:
    return Hit(number, held_out, np.array(places))


async def test_the_first_of_equal_frames_is_kept() -> None:
    once = hashes(100)
    read = once[[0, 1, 0, *range(2, 100), 1, 1]]
    selection = await select(read, nothing_known)
    np.testing.assert_array_equal(selection.hashes, once)
    assert (selection.frames, selection.duplicate_frames, selection.held_out_frames) == (100, 3, 20)
    assert [place for place, mark in enumerate(selection.marks) if mark == 0] == [2, 101, 102]
    assert selection.content_sha256 == content_sha256(bytes(row) for row in once)
    smallest = sorted(bytes(row) for row in once)[:20]
    assert {bytes(row) for row in selection.hashes[selection.held_out]} == set(smallest)
    kept = [mark for mark in selection.marks if mark]
    assert [bool(mark & HELD_OUT) for mark in kept] == selection.held_out.tolist()
    assert all(mark & KEPT and not mark & KNOWN for mark in kept)


@given(rows=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=60, unique=True), data=st.data())
async def test_what_others_hold_out_is_never_trained_on(rows: list[bytes], data: st.DataObject) -> None:
    count = len(rows)
    flags = st.lists(st.booleans(), min_size=count, max_size=count)
    forced, trained = np.array(data.draw(flags)), np.array(data.draw(flags))
    said = Elsewhere(forced, trained, forced)
    selection = await select(hash_array(rows), answer(said))
    assert selection.held_out[forced].all()
    assert selection.held_out_frames == max(int(forced.sum()), held_out_count(count))
    free = selection.held_out & ~forced
    if (free & trained).any():
        # Only when nothing else was left to hold out.
        assert selection.held_out[~trained].all()


async def test_a_dataset_again_is_split_alike() -> None:
    first = await select(hashes(200), nothing_known)
    held, trained = np.flatnonzero(first.held_out), np.flatnonzero(~first.held_out)
    again = elsewhere(200, [hit(1, True, *held), hit(1, False, *trained)], {1: source()}, None, OWNER, 1)
    second = await select(hashes(200), answer(again))
    np.testing.assert_array_equal(second.held_out, first.held_out)
    # A new version with more frames adds to what is held out, and takes nothing that was trained on.
    more = np.concatenate([hashes(200), hashes(300, seed=1)])
    marks = [np.concatenate([flags, np.zeros(300, dtype=np.bool_)]) for flags in (again.held_out, again.trained)]
    third = await select(more, answer(Elsewhere(marks[0], marks[1], marks[0])))
    assert third.held_out_frames == 50
    np.testing.assert_array_equal(third.held_out[:200], first.held_out)


def test_private_datasets_of_others_are_never_hinted_at() -> None:
    mine = DatasetRef(dataset_id=uuid4(), version=2)
    earlier = DatasetRef(dataset_id=mine.dataset_id, version=1)
    sources = {
        1: source(title="public"),
        2: source(private=True, title="secret"),
        3: source(owner=OWNER, private=True, title="own"),
        4: source(owner=OWNER, dataset=earlier, title="earlier"),
    }
    hits = [
        hit(1, True, 0),
        hit(1, False, 1, 2),
        hit(2, True, 3),
        hit(2, False, 0, 4),
        hit(3, False, 5, 6, 7, 8),
        hit(4, True, 9),
        hit(4, False, 10),
    ]
    said = elsewhere(12, hits, sources, mine, OWNER, 4)
    assert said.overlaps == (
        Overlap(dataset=sources[3].dataset, title="own", frames=4),
        Overlap(dataset=sources[1].dataset, title="public", frames=3),
    )
    assert np.flatnonzero(said.held_out).tolist() == [0, 3, 9]
    assert np.flatnonzero(said.trained).tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 10]
    assert np.flatnonzero(said.known).tolist() == [0, 1, 2, 5, 6, 7, 8]
    assert (said.standard_frames, said.until) == (1, 4)
    assert [(dataset, places.tolist()) for dataset, places in said.shared] == [
        (sources[1].dataset, [0, 1, 2]),
        (sources[3].dataset, [5, 6, 7, 8]),
    ]


def test_versions_of_one_dataset_are_one_overlap() -> None:
    one = uuid4()
    refs = [DatasetRef(dataset_id=one, version=version) for version in (1, 2, 3)]
    sources = {number: source(dataset=ref) for number, ref in enumerate(refs, 1)}
    said = elsewhere(9, [hit(1, False, 0, 1), hit(2, False, 0, 1), hit(3, False, 0)], sources, None, OWNER, 3)
    assert [(one.dataset.version, one.frames) for one in said.overlaps] == [(2, 2)]


async def test_who_holds_a_frame_is_told_by_its_place_in_the_files() -> None:
    read = hashes(120, seed=8)
    sources = {1: source(title="public"), 2: source(private=True, title="secret"), 3: source(title="other")}
    hits = [hit(1, False, *range(10, 60)), hit(1, True, 70, 71), hit(2, False, *range(120)), hit(3, False, 119)]
    selection = await select(read, answer(elsewhere(120, hits, sources, None, OWNER, 3)))
    found = overlapping(selection)
    assert found is not None
    assert [one.dataset for one in found.shared] == [sources[1].dataset, sources[3].dataset]
    files = {"train": np.flatnonzero(~selection.held_out), "held_out": np.flatnonzero(selection.held_out)}
    for one, expected in zip(found.shared, ({*range(10, 60), 70, 71}, {119}), strict=True):
        told: set[int] = set()
        for split, order in files.items():
            for start, count in getattr(one, split):
                assert count > 0
                told |= set(order[start : start + count].tolist())
        assert told == expected
    # A trajectory is a few runs, however many frames it has.
    assert len(found.shared[0].train) + len(found.shared[0].held_out) < 20
    assert overlapping(await select(read, nothing_known)) is None
    hidden = await select(read, answer(elsewhere(120, hits[2:3], sources, None, OWNER, 3)))
    assert overlapping(hidden) is None


@pytest.mark.parametrize(
    ("newer", "expected"),
    [([], False), ([(True, True)], False), ([(False, False)], False), ([(True, False)], True), ([(False, True)], True)],
)
async def test_who_comes_second_reads_again_when_the_splits_disagree(
    newer: list[tuple[bool, bool]], expected: bool
) -> None:
    """(held out here, held out there)"""
    selection = await select(hashes(40), nothing_known)
    hits = [Hit(7, there, np.flatnonzero(selection.held_out == here)[:1]) for here, there in newer]
    assert overtaken(selection, hits) is expected


async def test_standard_frames_are_held_out_and_neither_counted_nor_marked() -> None:
    """Some are of private datasets: the contributor must not learn how many."""
    read = hashes(100)
    said = elsewhere(100, [], {}, None, OWNER, 0, 3, [7, 98, 99])
    assert (said.standard, said.standard_frames, said.overlaps) == (3, 0, ())
    assert not said.known.any()
    selection = await select(read, answer(said))
    assert selection.held_out[[7, 98, 99]].all()
    assert selection.held_out_frames == held_out_count(100), "they count towards the share that is held out anyway"
    every = await select(read, answer(elsewhere(100, [], {}, None, OWNER, 0, 3, range(100))))
    assert every.train_frames == 0


async def test_a_newer_standard_dataset_makes_another_selection_necessary_only_when_it_trains_on_its_frames() -> None:
    selection = await select(hashes(100), nothing_known)
    trained, held_out = (np.flatnonzero(mask) for mask in (~selection.held_out, selection.held_out))
    assert not overtaken(selection, [])
    assert not overtaken(selection, [], held_out)
    assert overtaken(selection, [], [*held_out, trained[0]])


async def test_hashes_lie_in_the_order_of_the_files() -> None:
    selection = await select(hashes(40), nothing_known)
    rows = selection.in_file_order
    np.testing.assert_array_equal(rows[: selection.train_frames], selection.hashes[~selection.held_out])
    np.testing.assert_array_equal(rows[selection.train_frames :], selection.hashes[selection.held_out])

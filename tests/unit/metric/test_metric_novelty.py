"""Distances from training frames in units of theirs, and the map of both."""

from pathlib import Path

import numpy as np
import pytest
from contracts.artifacts import Novelty
from metric.domain.descriptor_map import POINTS, descriptor_map, placed
from metric.domain.novelty import (
    FARTHEST,
    Closeness,
    Descriptors,
    Environments,
    Outline,
    Reference,
    atom_distances,
    chosen_atoms,
    closeness,
    environments,
    frame_distance,
    reference,
    summary,
    told,
)
from metric.reference import load, outline, save
from numpy.typing import NDArray

SI, C, GE = 14, 6, 32


def column(*values: float) -> Descriptors:
    return np.array(values, dtype=np.float32)[:, None]


def numbers(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def ladder() -> dict[int, Environments]:
    """Silicon environments 0, 1, …, 9, one a frame: each is 1 from its nearest."""
    known = environments(column(*range(10)), np.arange(10))
    assert known is not None
    return {SI: known}


def known_ladder() -> Reference:
    elements = ladder()
    frames = [column(value) for value in range(10)]
    probes = atom_distances(elements, [numbers(SI)] * 10, frames, range(10))
    return reference(elements, probes, np.concatenate(frames))


def test_a_distance_is_told_in_units_of_that_between_training_frames() -> None:
    found = closeness(known_ladder(), [numbers(SI)] * 3, [column(9.5), column(20), column(4)])
    np.testing.assert_allclose(found.distance, [0.5, 11, 0], atol=1e-5)
    np.testing.assert_allclose(found.means[:, 0], [9.5, 20, 4])


def test_a_known_frame_is_held_against_the_others_never_against_itself() -> None:
    # Two atoms that are alike in one frame are no neighbours of each other.
    known = environments(column(0, 0, 3, 3, 6, 6), numbers(0, 0, 1, 1, 2, 2))
    assert known is not None
    assert known.unit * known.scale[0] == pytest.approx(3, rel=1e-5)
    own, new = (atom_distances({SI: known}, [numbers(SI, SI)], [column(3, 3)], belongs)[0] for belongs in ([1], None))
    np.testing.assert_allclose(own, [1, 1], rtol=1e-5)
    np.testing.assert_allclose(new, [0, 0], atol=1e-5)


def test_every_element_has_its_own_yardstick_and_one_without_is_infinitely_far() -> None:
    wide = environments(column(*range(0, 1000, 100)), np.arange(10))
    assert wide is not None
    elements = {**ladder(), C: wide}
    (found,) = atom_distances(elements, [numbers(SI, C, GE)], [column(11, 1100, 5)])
    np.testing.assert_allclose(found, [2, 2, np.inf], rtol=1e-4)
    assert environments(column(1, 2, 3), numbers(7, 7, 7)) is None
    assert environments(column(1, np.nan), numbers(1, 2)) is None


def test_a_frame_is_as_far_as_its_farther_atoms_not_as_its_single_farthest() -> None:
    crowd = np.ones(100)
    crowd[0] = 50
    assert frame_distance(crowd) == 1
    crowd[:6] = 50
    assert frame_distance(crowd) == 50
    assert frame_distance(np.array([1, 1, 4.0])) == 4


def test_perfect_crystals_do_not_make_rounding_look_new() -> None:
    rng = np.random.default_rng(1)
    same = (0.5 + 1e-7 * rng.normal(size=(200, 16))).astype(np.float32)
    known = environments(same, np.arange(200))
    assert known is not None
    found = atom_distances({SI: known}, [numbers(SI)], [same[:1] + np.float32(2e-7)])[0]
    assert found[0] < 2


def test_data_like_the_training_data_is_near_and_other_data_far_however_large_the_reference() -> None:
    rng = np.random.default_rng(2)
    known = rng.normal(size=(600, 8)).astype(np.float32)
    elements = {SI: environments(known, np.arange(600) // 2)}
    usable = {number: one for number, one in elements.items() if one is not None}
    pairs = [known[start : start + 2] for start in range(0, 600, 2)]
    whole = reference(usable, atom_distances(usable, [numbers(SI, SI)] * 300, pairs, range(300)), known)
    kinds = []
    for shift in (0.0, 4.0):
        frames = [(shift + rng.normal(size=(2, 8))).astype(np.float32) for _ in range(300)]
        kinds.append(summary(closeness(whole, [numbers(SI, SI)] * 300, frames).distance, whole.far_above))
    like, other = kinds
    assert like.median == pytest.approx(1, abs=0.1)
    assert like.far_fraction < 0.05
    assert other.median > 3
    assert other.far_fraction > 0.95
    assert whole.far_above >= 2


def test_what_is_beyond_all_measure_is_said_and_counted() -> None:
    told_of = summary(np.array([0.9, 1.1, np.inf, 5000.0]), 2.0)
    assert told_of.unknown_element_frames == 1
    assert told_of.far_fraction == 0.5
    assert told_of.percentile_95 == FARTHEST
    assert sum(told_of.histogram.counts) == 4
    assert told_of.histogram.counts[-1] == 2
    assert Novelty.model_validate_json(told_of.model_dump_json()) == told_of
    assert told(np.inf) == FARTHEST
    assert told(1.23456) == 1.235


def test_the_reference_holds_a_fair_sample_of_each_element_and_comes_back_from_disk(tmp_path: Path) -> None:
    frames = [np.full(30, SI), np.full(5, C), np.full(70, SI)]
    chosen = chosen_atoms(frames, seed=3, most=40)
    assert [one.shape for one in chosen] == [(30,), (5,), (70,)]
    assert chosen[1].all()
    assert chosen[0].sum() + chosen[2].sum() == 40
    assert 0 < chosen[0].sum() < 30
    again = chosen_atoms(frames, seed=3, most=40)
    assert all((left == right).all() for left, right in zip(chosen, again, strict=True))

    known = known_ladder()
    save(known, tmp_path / "known.npz")
    back = load(tmp_path / "known.npz")
    frames_new = [column(12.0), column(3.5)]
    before, after = (closeness(one, [numbers(SI)] * 2, frames_new).distance for one in (known, back))
    np.testing.assert_array_equal(before, after)
    seen = outline(tmp_path / "known.npz")
    assert seen.far_above == known.far_above
    np.testing.assert_array_equal(seen.means, known.means)
    assert [path.name for path in tmp_path.iterdir()] == ["known.npz"]
    save(Reference({}, 1.0, 2.0, known.means), tmp_path / "empty.npz")
    nothing = closeness(load(tmp_path / "empty.npz"), [numbers(SI)], [column(1)])
    assert nothing.distance.tolist() == [np.inf]


def test_the_map_tells_where_known_frames_lie_and_nothing_else_of_them() -> None:
    rng = np.random.default_rng(4)
    known = rng.normal(size=(3000, 5)).astype(np.float32)
    new = (rng.normal(size=(20, 5)) * 0.1 + np.array([0, 6, 0, 0, 0])).astype(np.float32)
    places = [("held-out", 7 * row) for row in range(20)]
    drawn = descriptor_map(known, new, places, seed=1)  # type: ignore[arg-type]
    assert len(drawn.known) == POINTS
    assert all(point.split is None and point.index is None for point in drawn.known)
    assert [(point.split, point.index) for point in drawn.new] == places
    # A few new frames turn the first axis towards themselves: they do not drown in many known ones.
    assert min(point.x for point in drawn.new) > max(sorted(point.x for point in drawn.known)[: int(0.95 * POINTS)])
    assert drawn.explained[0] > drawn.explained[1] > 0
    assert sum(drawn.explained) <= 1
    assert drawn == descriptor_map(known, new, places, seed=1)  # type: ignore[arg-type]


def test_the_map_needs_neither_many_frames_nor_many_directions() -> None:
    alone = descriptor_map(np.zeros((0, 1), np.float32), column(1, 2, 3), [("train", row) for row in range(3)], 1)
    assert alone.known == ()
    assert [point.y for point in alone.new] == [0, 0, 0]
    assert alone.explained == (1, 0)
    same = descriptor_map(column(2, 2), column(2), [("train", 0)], 1)
    assert {(point.x, point.y) for point in (*same.known, *same.new)} == {(0, 0)}
    assert same.explained == (0, 0)


def test_only_judged_frames_are_placed() -> None:
    close = Closeness(np.array([1.0, 900.0, np.inf]), column(1, 2, 3))
    found = placed(close, Outline(2.0, column(0, 1)), [0, 2], [("train", 0), ("train", 2)], 1)
    assert found.distance == (1.0, FARTHEST)
    assert [point.index for point in found.map.new] == [0, 2]
    assert found.novelty.far_fraction == 0.5

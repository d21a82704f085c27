"""Which branch a step trains, when branches take turns."""

from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trainer.engine.turns import Turns, order, takes_turns, turns_of
from trainer.preset import load_preset
from trainer.work import Work, WorkBranch
from trainer_fleet import PRESETS

WEIGHTS = [0.25, 0.15, 0.6]


def work(new: list[bool], preset: str = "laptop") -> Work:
    branches = tuple(
        WorkBranch(
            name=f"branch-{place}",
            train=Path("train.lmdb"),
            held_out=Path("held-out.lmdb"),
            has_virial=True,
            elements=("Si",),
            is_new=is_new,
            weight=1 / len(new),
        )
        for place, is_new in enumerate(new)
    )
    return Work(
        preset=load_preset(PRESETS, preset), total_steps=12, seed=1, parent=None, resume_from=None, branches=branches
    )


@given(weights=st.lists(st.floats(0.001, 1), min_size=1, max_size=30), turns=st.integers(1, 300))
def test_at_any_time_every_branch_has_had_its_part(weights: list[float], turns: int) -> None:
    had = dict.fromkeys(range(len(weights)), 0)
    for number, chosen in enumerate(order(weights, turns), 1):
        had[chosen] += 1
        for place, weight in enumerate(weights):
            assert -2 < had[place] - number * weight / sum(weights) < 1 + 1e-9
    assert sum(had.values()) == turns


def test_turns_are_evenly_spaced() -> None:
    places = [place for place, chosen in enumerate(order([0.8, 0.2], 100)) if chosen == 1]
    assert {after - before for before, after in pairwise(places)} == {5}


@pytest.mark.parametrize("weights", [WEIGHTS, [0.5, 0.5], [1 / 3] * 3, [0.25] * 4])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_ranks_share_the_turns_of_a_step_and_none_keeps_to_some_of_the_branches(
    size: int, weights: list[float]
) -> None:
    steps = 400
    ranks = [Turns(weights, steps, rank, size) for rank in range(size)]
    together = [Counter(rank.at(step) for rank in ranks) for step in range(steps)]
    turns = list(order(weights, steps * size))
    assert together == [Counter(turns[step * size : (step + 1) * size]) for step in range(steps)]
    for rank in ranks:
        own = Counter(rank.at(step) for step in range(steps))
        for place, weight in enumerate(weights):
            assert own[place] == pytest.approx(steps * weight, rel=0.35)


def test_deepmd_can_draw_nothing_but_the_branch_whose_turn_it_is() -> None:
    trainer = SimpleNamespace(model_prob=[1 / 3] * 3)
    turns = Turns(WEIGHTS, 10)
    for step in range(10):
        turns.give(trainer, step)
        assert list(trainer.model_prob) == [float(place == turns.at(step)) for place in range(3)]
    last = trainer.model_prob
    turns.give(trainer, 10)  # there is no such step
    assert trainer.model_prob is last


def test_only_a_round_that_adds_to_old_branches_takes_turns_and_only_where_the_preset_says_so() -> None:
    assert takes_turns(work([False, False, True]))
    assert turns_of(work([False, True])) is not None
    for other in (work([True, True]), work([False, False])):
        assert not takes_turns(other)
        assert turns_of(other) is None
    drawn = work([False, True])
    drawn = drawn.model_copy(update={"preset": drawn.preset.model_copy(update={"takes_turns": False})})
    assert turns_of(drawn) is None

"""When a round is planned, on what, with which names and weights."""

import itertools
from dataclasses import replace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.domain import Member, RoundPlan
from registry.planning import branch_names, is_due, plan_round, sampling_weights, seed_of, slug
from registry_examples import branch, member, policy

POLICY = policy()  # 10 s of quiet, two datasets for the first round, three a round
FRAMES = st.lists(st.integers(1, 10**7), max_size=60)


@pytest.mark.parametrize(
    ("waiting", "quiet", "first", "due"),
    [
        (0, 1000, False, False),
        (1, 9.9, False, False),
        (1, 10, False, True),
        (1, 1000, True, False),
        (2, 10, True, True),
        (2, 9.9, True, False),
        (3, 0, False, True),  # a full batch does not wait for quiet
    ],
)
def test_when_a_round_is_due(waiting: int, quiet: float, first: bool, due: bool) -> None:
    assert is_due(waiting, quiet, first, POLICY) is due


def test_weights_by_hand() -> None:
    # √100 : √400 = 1 : 2, sharing half; the new ones √900 : √100 = 3 : 1, sharing the other half
    old, new = sampling_weights([100, 400], [900, 100])
    assert old == pytest.approx([1 / 6, 1 / 3])
    assert new == pytest.approx([3 / 8, 1 / 8])


def test_without_old_branches_the_new_take_all() -> None:
    old, new = sampling_weights([], [36, 64])
    assert old == []
    assert new == pytest.approx([6 / 14, 8 / 14])


@given(FRAMES, FRAMES.filter(bool))
def test_weights_sum_to_one_and_new_branches_take_half(old: list[int], new: list[int]) -> None:
    old_weights, new_weights = sampling_weights(old, new)
    assert sum(old_weights) + sum(new_weights) == pytest.approx(1)
    assert sum(new_weights) == pytest.approx(0.5 if old else 1)
    assert all(weight > 0 for weight in (*old_weights, *new_weights))
    for frames, weights in ((old, old_weights), (new, new_weights)):
        ordered = [weight for _, weight in sorted(zip(frames, weights, strict=True))]
        assert ordered == sorted(ordered)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Silicon, 2000 K (PBE)", "silicon-2000-k-pbe"),
        ("Wärme & Wasser", "warme-wasser"),
        ("水分子", "dataset"),
        ("../../etc/passwd", "etc-passwd"),
        ("  --  ", "dataset"),
        ("x" * 39 + " yz", "x" * 39),
    ],
)
def test_slug(title: str, name: str) -> None:
    assert slug(title) == name


@given(st.text())
def test_a_slug_is_safe_as_file_name_and_key(title: str) -> None:
    name = slug(title)
    assert 1 <= len(name) <= 40
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert name == name.strip("-")


def test_names_are_unique_among_old_and_new() -> None:
    names = branch_names([member("Si"), member("si!"), member("SI")], ["si", "si-3"], lambda: "0" * 8)
    assert names == ["si-2", "si-4", "si-5"]


def test_a_private_dataset_gets_a_name_that_says_nothing() -> None:
    tags = itertools.chain(["deadbeef", "deadbeef", "12345678"])
    private = [member("Secret alloy", private=True), member("Secret alloy", private=True)]
    names = branch_names(private, [], lambda: next(tags))
    assert names == ["contribution-deadbeef", "contribution-12345678"]


def plan(waiting: list[Member], *, parent: str | None = "1.0") -> RoundPlan:
    old = [branch("si", is_new=True, weight=1.0, of=member("Si", 400))] if parent else []
    return plan_round(uuid4(), parent, old, waiting, POLICY, lambda: "0" * 8)


def test_a_growth_round_has_old_branches_first_and_a_batch_in_order_of_arrival() -> None:
    waiting = [member(title) for title in ("A", "B", "C", "D")]
    planned = plan(waiting)
    assert [one.name for one in planned.branches] == ["si", "a", "b", "c"]
    assert [one.is_new for one in planned.branches] == [False, True, True, True]
    assert [one.member for one in planned.new_branches] == waiting[:3]
    assert planned.total_steps == 90
    assert sum(one.weight for one in planned.branches) == pytest.approx(1)


def test_the_first_round_has_only_new_branches() -> None:
    planned = plan([member("Si"), member("Water")], parent=None)
    assert planned.parent_version is None
    assert planned.total_steps == 100
    assert all(one.is_new for one in planned.branches)


def test_the_first_batch_is_never_smaller_than_the_first_model_needs() -> None:
    small = policy(max_datasets_per_round=1, first_round_min_datasets=2)
    planned = plan_round(uuid4(), None, [], [member("Si"), member("Water")], small, lambda: "0" * 8)
    assert len(planned.branches) == 2


def test_a_round_carries_the_trace_of_its_first_dataset() -> None:
    traced = replace(member("Si"), traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    assert plan([traced, member("Water")]).traceparent == traced.traceparent


def test_the_same_data_on_the_same_parent_is_trained_with_the_same_seed() -> None:
    one, other = plan([member("Si"), member("Water")]), plan([member("Water"), member("Si")])
    assert one.round_id != other.round_id
    assert one.seed == other.seed < 2**31
    assert (
        [branch.name for branch in one.branches]
        == [branch.name for branch in other.branches]
        == ["si", "si-2", "water"]
    )
    assert len({seed_of(1, None), seed_of(1, "1.0"), seed_of(2, None)}) == 3

"""When a round is planned, on what, with which names and weights."""

import itertools
from dataclasses import replace
from math import sqrt
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.domain.planning import branch_names, is_due, plan_round, sampling_weights, seed_of, slug, total_steps
from registry.domain.policy import GrowthPolicy
from registry.domain.rounds import DatasetState, Member, RoundPlan, WaitingList
from registry_examples import branch, member, policy

POLICY = policy(gather_max_seconds=60)  # 10 s of quiet, two datasets for the first round, three a round
FRAMES = st.lists(st.integers(1, 10**7), max_size=60)


@pytest.mark.parametrize(
    ("waiting", "quiet", "waited", "first", "due"),
    [
        (0, 1000, 1000, False, False),
        (1, 9.9, 9.9, False, False),
        (1, 10, 10, False, True),
        (1, 1000, 1000, True, False),
        (2, 10, 10, True, True),
        (2, 9.9, 9.9, True, False),
        (3, 0, 5, False, True),  # a full batch does not wait for quiet
        (2, 1, 59.9, False, False),
        (2, 1, 60, False, True),  # nor does who has waited long
        (1, 1, 60, True, False),
    ],
)
def test_when_a_round_is_due(waiting: int, quiet: float, waited: float, first: bool, due: bool) -> None:
    members = tuple(member() for _ in range(waiting))
    assert is_due(WaitingList(members, quiet, waited), first, POLICY) is due


def weights(
    old: list[int], new: list[int], policy: GrowthPolicy = POLICY, steps: int = 100, **set_by_operator: float
) -> tuple[list[float], list[float]]:
    """Of datasets with so many training frames; the operator set the weight of old 'o0', 'o1', … or new 'n0', …"""
    groups = [
        [
            replace(member(train_frames=count), relative_weight=set_by_operator.get(f"{kind}{index}"))
            for index, count in enumerate(frames)
        ]
        for kind, frames in (("o", old), ("n", new))
    ]
    return sampling_weights(groups[0], groups[1], steps, policy)


def test_weights_by_hand() -> None:
    # √100 : √400 = 1 : 2, sharing half; the new ones √900 : √100 = 3 : 1, sharing the other half
    old, new = weights([100, 400], [900, 100])
    assert old == pytest.approx([1 / 6, 1 / 3])
    assert new == pytest.approx([3 / 8, 1 / 8])


def test_without_old_branches_the_new_take_all() -> None:
    old, new = weights([], [36, 64])
    assert old == []
    assert new == pytest.approx([6 / 14, 8 / 14])


def test_an_operators_weight_stands_in_place_of_the_root_of_the_frames() -> None:
    # 40 instead of √100 = 10, beside √400 = 20
    old, new = weights([100, 400], [900, 100], o0=40, n1=90)
    assert old == pytest.approx([1 / 3, 1 / 6])
    assert new == pytest.approx([1 / 8, 3 / 8])


def test_exponent_and_share_are_the_policys() -> None:
    old, new = weights([100, 300], [1], policy(weight_exponent=1, new_datasets_share=0.2), steps=10)
    assert old == pytest.approx([0.2, 0.6])
    assert new == pytest.approx([0.2])


def test_a_small_dataset_beside_a_large_base_leaves_the_draws_to_replay() -> None:
    old, new = weights([10_000] * 20, [9])
    assert sum(new) == pytest.approx(0.2)
    assert sum(old) == pytest.approx(0.8)
    # A dozen frames beside four dozen: more than their weight, less than half.
    assert weights([36, 57], [9])[1] == pytest.approx([1.5 * 3 / (6 + sqrt(57) + 3)])


def test_no_more_steps_on_new_frames_than_they_need_unless_their_weights_alone_say_so() -> None:
    # 15 steps a frame: 135 of 1,000, though the policy's least share is 200
    old, new = weights([10_000] * 20, [9], steps=1_000)
    assert new == pytest.approx([0.135])
    assert sum(old) == pytest.approx(0.865)
    # of several together: 15 times (9 + 16) of 3,000
    assert weights([10_000] * 20, [9, 16], steps=3_000)[1] == pytest.approx([0.125 * 3 / 7, 0.125 * 4 / 7])
    # √9 of √9 + 3 √9 is a quarter, however long the round is
    assert weights([9, 9, 9], [9], steps=100_000)[1] == pytest.approx([0.25])
    # an operator's weight is one of them: 30 of 30 + 3 · 3, and half is the most that new ones get
    assert weights([9, 9, 9], [9], steps=100_000, n0=30)[1] == pytest.approx([0.5])
    assert weights([10_000] * 20, [9], policy(new_datasets_most_steps_per_frame=2), steps=1_000)[1] == [0.018]


def test_the_step_budget_grows_with_the_batch_up_to_the_limit() -> None:
    generous = policy(growth_round_steps=90, steps_per_further_dataset=30, growth_round_max_steps=140)
    assert [total_steps(2, new, generous) for new in (1, 2, 3)] == [90, 120, 140]
    assert total_steps(0, 3, generous) == 100
    assert total_steps(2, 3, policy(growth_round_steps=90, growth_round_max_steps=10)) == 90
    replayed = policy(growth_round_steps=90, steps_per_old_branch=5, growth_round_max_steps=140)
    assert [total_steps(old, 1, replayed) for old in (1, 2, 20)] == [95, 100, 140]


@given(FRAMES, FRAMES.filter(bool), st.integers(1, 1_000_000))
def test_weights_sum_to_one_and_new_branches_take_what_the_policy_says(
    old: list[int], new: list[int], steps: int
) -> None:
    old_weights, new_weights = weights(old, new, steps=steps)
    assert sum(old_weights) + sum(new_weights) == pytest.approx(1)
    natural = sum(map(sqrt, new)) / sum(map(sqrt, (*old, *new)))
    assert sum(new_weights) == pytest.approx(
        min(0.5, max(0.2, 1.5 * natural), max(15 * sum(new) / steps, natural)) if old else 1
    )
    assert all(weight > 0 for weight in (*old_weights, *new_weights))
    for frames, shares in ((old, old_weights), (new, new_weights)):
        ordered = [weight for _, weight in sorted(zip(frames, shares, strict=True))]
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


def withdrawn(title: str) -> Member:
    return replace(member(title, 400), state=DatasetState.WITHDRAWN)


def test_a_round_leaves_withdrawn_datasets_out_and_does_not_give_their_names_again() -> None:
    old = [
        branch("si", of=withdrawn("Si"), weight=0.4),
        branch("water", of=member("Water", 400), weight=0.6),
    ]
    planned = plan_round(uuid4(), "1.3", old, [member("Si", 400)], POLICY, lambda: "0" * 8)
    assert [(one.name, one.is_new) for one in planned.branches] == [("water", False), ("si-2", True)]
    assert [one.weight for one in planned.branches] == pytest.approx([0.5, 0.5])
    assert planned.parent_version == "1.3"


def test_a_parent_of_withdrawn_datasets_alone_is_none() -> None:
    planned = plan_round(uuid4(), "1.3", [branch("si", of=withdrawn("Si"))], [member("GaN")], POLICY, lambda: "0" * 8)
    assert planned.parent_version is None
    assert [(one.name, one.weight) for one in planned.branches] == [("gan", 1.0)]
    assert planned.total_steps == POLICY.first_round_steps


def test_an_inquiry_says_itself_how_many_a_round_takes() -> None:
    waiting = [member(f"D{number}") for number in range(5)]
    assert len(plan_round(uuid4(), None, [], waiting, POLICY, lambda: "0" * 8).branches) == 3
    assert len(plan_round(uuid4(), None, [], waiting, POLICY, lambda: "0" * 8, most=5).branches) == 5

"""Which groups a bisection trains, whatever made the round fail."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st
from registry.domain.inquiries import Group, GroupState, Inquiry, InquiryKind

ROUND = uuid4()


def begun(count: int, kind: InquiryKind = InquiryKind.BISECT) -> Inquiry:
    return Inquiry.begun(uuid4(), kind, ROUND, range(count))


def run(inquiry: Inquiry, fails: set[frozenset[int]]) -> tuple[Inquiry, list[tuple[int, ...]]]:
    """Train until the end; a round fails when it holds one of these sets whole. Returns what was trained, too."""
    trained: list[tuple[int, ...]] = []
    while True:
        inquiry, group = inquiry.next_step()
        if group is None:
            return inquiry, trained
        trained.append(group.members)
        inquiry = inquiry.training(group, group.members, uuid4())
        group = inquiry.group(group.number)
        failed = any(one <= set(group.members) for one in fails)
        inquiry = inquiry.not_published(group) if failed else inquiry.published(group)


def ended_as(inquiry: Inquiry, state: GroupState) -> set[int]:
    return {member for group in inquiry.groups if group.state is state for member in group.members}


def test_one_of_four_by_hand() -> None:
    inquiry, trained = run(begun(4), {frozenset({2})})
    # The first half goes well, so the second is bad: it is halved without a round; its first half is the one.
    assert trained == [(0, 1), (2,), (3,)]
    assert ended_as(inquiry, GroupState.SET_ASIDE) == {2}
    assert ended_as(inquiry, GroupState.PUBLISHED) == {0, 1, 3}
    assert inquiry.finished
    assert inquiry.conclusion() == "1 set aside, 3 published"


def test_two_that_only_harm_each_other_are_both_published() -> None:
    inquiry, trained = run(begun(2), {frozenset({0, 1})})
    assert trained == [(0,), (1,)]
    assert ended_as(inquiry, GroupState.PUBLISHED) == {0, 1}
    assert "only harm each other" in inquiry.conclusion()


@given(st.integers(2, 24).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_exactly_the_offenders_are_set_aside_after_a_round_of_their_own(case: tuple[int, set[int]]) -> None:
    count, offenders = case
    inquiry, trained = run(begun(count), {frozenset({one}) for one in offenders})
    assert ended_as(inquiry, GroupState.SET_ASIDE) == offenders
    assert ended_as(inquiry, GroupState.PUBLISHED) == set(range(count)) - offenders
    assert {members for members in trained if len(members) == 1} >= {(one,) for one in offenders}
    assert len(set(trained)) == len(trained) <= 2 * count


@given(st.integers(2, 64).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_one_offender_takes_rounds_in_the_logarithm(case: tuple[int, int]) -> None:
    count, offender = case
    _, trained = run(begun(count), {frozenset({offender})})
    assert len(trained) <= 2 * (count - 1).bit_length()


def test_a_rerun_is_one_round_whatever_comes_of_it() -> None:
    for fails, state, words in (
        (set(), GroupState.PUBLISHED, "led to a model"),
        ({frozenset({0})}, GroupState.SET_ASIDE, "ended without a model"),
    ):
        inquiry, trained = run(begun(3, InquiryKind.RERUN), fails)
        assert trained == [(0, 1, 2)]
        assert inquiry.groups[0].state is state
        assert words in inquiry.conclusion()


def test_a_round_that_was_cancelled_for_its_own_reasons_is_tried_again() -> None:
    inquiry, group = begun(4).next_step()
    assert group is not None
    inquiry = inquiry.training(group, group.members, uuid4())
    again, other = inquiry.put_back(inquiry.group(group.number)).next_step()
    assert other == Group(group.number, (0, 1), sibling=group.sibling)
    assert not again.finished


def test_what_is_stopped_lets_go_of_what_it_had_not_decided() -> None:
    inquiry, group = begun(4).next_step()
    assert group is not None
    inquiry = inquiry.published(group)
    assert inquiry.pending_members == (2, 3)
    stopped = inquiry.stopped()
    assert stopped.finished
    assert ended_as(stopped, GroupState.RELEASED) == {2, 3}
    assert ended_as(stopped, GroupState.PUBLISHED) == {0, 1}


def test_a_group_of_withdrawn_datasets_is_passed_over() -> None:
    inquiry, group = begun(2).next_step()
    assert group is not None
    inquiry, other = inquiry.without(group).next_step()
    assert other is not None
    assert other.members == (1,)

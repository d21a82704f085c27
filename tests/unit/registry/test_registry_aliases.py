"""Where a rollback leads."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.domain.aliases import before, check_alias
from registry.domain.rounds import AliasMove, AliasMoveKind, InvalidRequest


def history(*moves: str) -> list[AliasMove]:
    """'1.0' moves there; '<1.0' rolled back there."""
    return [
        AliasMove(
            sequence=number,
            alias="stable",
            version=move.removeprefix("<"),
            kind=AliasMoveKind.ROLLBACK if move.startswith("<") else AliasMoveKind.MOVE,
            reason="",
            moved_at=datetime.now(UTC),
        )
        for number, move in enumerate(moves)
    ]


@pytest.mark.parametrize(
    ("moves", "leads_to"),
    [
        ((), None),
        (("1.0",), None),
        (("1.0", "1.1", "1.2"), "1.1"),
        (("1.0", "1.1", "1.2", "<1.1"), "1.0"),  # again leads further back, not forth
        (("1.0", "1.1", "1.2", "<1.1", "<1.0"), None),
        (("1.0", "1.1", "<1.0", "1.2"), "1.0"),
        (("1.0", "1.1", "1.1"), "1.0"),
        (("1.0", "1.1", "1.0"), "1.1"),
    ],
)
def test_a_rollback_undoes_moves(moves: tuple[str, ...], leads_to: str | None) -> None:
    assert before(history(*moves), set()) == leads_to


def test_retired_versions_are_passed_over() -> None:
    moves = history("1.0", "1.1", "1.2", "1.3")
    assert before(moves, {"1.2"}) == "1.1"
    assert before(moves, {"1.2", "1.1"}) == "1.0"
    assert before(moves, {"1.2", "1.1", "1.0"}) is None


def test_never_where_it_is_already_though_what_lay_between_is_retired() -> None:
    assert before(history("1.0", "1.1", "1.0"), {"1.1"}) is None


@given(st.lists(st.sampled_from(["1.0", "1.1", "1.2", "roll back"]), max_size=30), st.sets(st.sampled_from(["1.1"])))
def test_rolling_back_ends_and_never_leads_to_a_retired_version(steps: list[str], retired: set[str]) -> None:
    moves: list[str] = []
    for step in steps:
        target = before(history(*moves), retired) if step == "roll back" else step
        if target is not None:
            moves.append(f"<{target}" if step == "roll back" else target)
    seen = 0
    while (target := before(history(*moves), retired)) is not None:
        assert target not in retired
        assert target != moves[-1].removeprefix("<")
        moves.append(f"<{target}")
        seen += 1
        assert seen <= len(steps)


@pytest.mark.parametrize("alias", ["stable", "latest", "lts-2026", "x"])
def test_names_of_aliases(alias: str) -> None:
    check_alias(alias)


@pytest.mark.parametrize("alias", ["", "1.0", "Stable", "-x", "a b", "../x", "x" * 41, "stable\n"])
def test_what_is_no_name(alias: str) -> None:
    with pytest.raises(InvalidRequest, match="is no name for an alias"):
        check_alias(alias)

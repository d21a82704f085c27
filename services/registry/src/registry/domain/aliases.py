"""Aliases: names that point to versions, with a history that only grows."""

import re
from collections.abc import Container, Iterable

from registry.domain.rounds import AliasMove, AliasMoveKind, InvalidRequest

_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,39}")


def check_alias(alias: str) -> None:
    """Raises InvalidRequest for what could be taken for a version, or does not fit into an address."""
    if not _ALIAS.fullmatch(alias):
        raise InvalidRequest(
            f"{alias!r} is no name for an alias: a lower-case letter, then letters, digits or dashes, 40 at most"
        )


def before(history: Iterable[AliasMove], unusable: Container[str]) -> str | None:
    """The version that a rollback leads to; none when there is nothing before. `history`: oldest first.

    Moves are done, rollbacks undo: rolling back twice leads two versions back, not forth again.
    Versions in `unusable` (retired ones) are passed over.
    """
    done: list[str] = []
    for move in history:
        if move.kind is AliasMoveKind.ROLLBACK:
            while done and done[-1] != move.version:
                done.pop()
        elif not done or done[-1] != move.version:
            done.append(move.version)
    current = done.pop() if done else None
    while done and (done[-1] in unusable or done[-1] == current):
        done.pop()
    return done[-1] if done else None

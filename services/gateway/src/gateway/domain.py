"""Pure rules: who may see what, and where a contribution stands given the facts that are known about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gateway.views.datasets import RoundStage, Stage, State, Verdict


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    id: UUID
    email: str
    name: str
    created: datetime
    language: str = "en"
    mail_when_done: bool = False
    has_password: bool = True
    operator: bool = False
    """May steer the platform: see dead letters, rounds, people."""
    suspended: datetime | None = None
    """Since when they may not sign in."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What somebody may see of a dataset at a moment: equal marks, the same sight.

    Both numbers only grow. `apart`: the reader who may see more than everybody who is signed in; None: that is all.
    """

    dataset_id: UUID
    versions: int
    told: int
    apart: UUID | None


@dataclass(frozen=True, slots=True)
class RoundFacts:
    """What is known of a round; events may have arrived in any order."""

    attempt: int = 0
    failed_attempt: int = 0
    will_retry: bool = True
    finished: bool = False
    published: bool = False
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a contribution."""

    validated: bool = False
    rejected: bool = False
    checking: bool = False
    outcome: Literal["passed", "covered", "not-sound"] | None = None
    round: RoundFacts | None = None
    released: Literal["waits", "failed"] | None = None
    """What became of it apart from its latest round."""
    shared_only: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a contribution stands."""

    stage: Stage
    state: State
    verdict: Verdict | None


def round_stage(facts: RoundFacts) -> RoundStage:
    """The state of a round. A failure counts only for the latest attempt."""
    if facts.published:
        return "published"
    if facts.withheld:
        return "withheld"
    if facts.finished:
        return "finished"
    if facts.failed_attempt and facts.failed_attempt >= facts.attempt:
        return "waiting" if facts.will_retry else "failed"
    return "training" if facts.attempt else "waiting"


def standing(facts: Facts) -> Standing:
    """Derived from all facts together, so that neither repetition nor order of events can take it back."""
    if facts.withdrawn:
        return Standing("done", "withdrawn", None)
    if facts.shared_only:
        return Standing("done", "rejected", "rejected") if facts.rejected else Standing("done", "shared", None)
    if facts.released is not None:
        return _standing_in_round("waiting" if facts.released == "waits" else "failed")
    if facts.round is not None:
        return _standing_in_round(round_stage(facts.round))
    if facts.outcome == "passed":
        return Standing("queue", "passed", "passed")
    if facts.outcome is not None:
        return Standing("done", "not-passed", facts.outcome)
    if facts.rejected:
        return Standing("done", "rejected", "rejected")
    if facts.checking:
        return Standing("check", "checking", None)
    if facts.validated:
        return Standing("check", "validated", None)
    return Standing("submit", "uploaded", None)


def _standing_in_round(stage: RoundStage) -> Standing:
    match stage:
        case "waiting":
            return Standing("queue", "passed", "passed")
        case "training" | "finished":
            return Standing("train", "training", "passed")
        case "published" | "withheld" | "failed":
            return Standing("done", stage, "passed")

"""Where a contribution stands, derived from facts."""

import itertools

import pytest
from gateway.domain import Facts, RoundFacts, Standing, round_stage, standing

STAGES = ("submit", "check", "queue", "train", "done")


@pytest.mark.parametrize(
    ("facts", "stage", "state", "verdict"),
    [
        (Facts(), "submit", "uploaded", None),
        (Facts(validated=True), "check", "validated", None),
        (Facts(checking=True), "check", "checking", None),
        (Facts(rejected=True), "done", "rejected", "rejected"),
        (Facts(outcome="passed"), "queue", "passed", "passed"),
        (Facts(outcome="covered"), "done", "not-passed", "covered"),
        (Facts(outcome="not-sound"), "done", "not-passed", "not-sound"),
        (Facts(round=RoundFacts()), "queue", "passed", "passed"),
        (Facts(round=RoundFacts(attempt=1)), "train", "training", "passed"),
        (Facts(round=RoundFacts(attempt=1, finished=True)), "train", "training", "passed"),
        (Facts(round=RoundFacts(attempt=1, failed_attempt=1)), "queue", "passed", "passed"),
        (Facts(round=RoundFacts(attempt=1, failed_attempt=1, will_retry=False)), "done", "failed", "passed"),
        (Facts(round=RoundFacts(attempt=2, failed_attempt=1, will_retry=False)), "train", "training", "passed"),
        (
            Facts(round=RoundFacts(attempt=1, failed_attempt=1, will_retry=False), released="waits"),
            "queue",
            "passed",
            "passed",
        ),
        (Facts(round=RoundFacts(attempt=1, withheld=True), released="waits"), "queue", "passed", "passed"),
        (Facts(round=RoundFacts(attempt=1, withheld=True), released="failed"), "done", "failed", "passed"),
        (Facts(round=RoundFacts(published=True)), "done", "published", "passed"),
        (Facts(round=RoundFacts(withheld=True, finished=True)), "done", "withheld", "passed"),
    ],
)
def test_standing(facts: Facts, stage: str, state: str, verdict: str | None) -> None:
    now = standing(facts)
    assert (now.stage, now.state, now.verdict) == (stage, state, verdict)


def test_what_is_shared_only_is_shared_until_its_archive_cannot_be_opened() -> None:
    assert standing(Facts(shared_only=True)) == Standing("done", "shared", None)
    assert standing(Facts(shared_only=True, rejected=True)) == Standing("done", "rejected", "rejected")
    assert standing(Facts(shared_only=True, rejected=True, withdrawn=True)) == Standing("done", "withdrawn", None)


def test_a_further_fact_never_takes_the_stage_back() -> None:
    """Whatever subset of the facts of a good run is known, one more fact moves it on or leaves it."""
    names = ("validated", "checking", "passed", "round", "started", "finished", "published")

    def known(subset: tuple[str, ...]) -> Facts:
        in_round = {"round", "started", "finished", "published"} & set(subset)
        around = RoundFacts(
            attempt=1 if "started" in subset else 0,
            finished="finished" in subset,
            published="published" in subset,
        )
        return Facts(
            validated="validated" in subset,
            checking="checking" in subset,
            outcome="passed" if "passed" in subset else None,
            round=around if in_round else None,
        )

    for size in range(len(names)):
        for subset in itertools.combinations(names, size):
            before = STAGES.index(standing(known(subset)).stage)
            for one in set(names) - set(subset):
                after = STAGES.index(standing(known((*subset, one))).stage)
                assert after >= before, (subset, one)


def test_a_late_failure_of_an_earlier_attempt_does_not_count() -> None:
    assert round_stage(RoundFacts(attempt=3, failed_attempt=2, will_retry=False)) == "training"

"""What a person reads about a dataset is true and has units."""

import pytest
from potluck import wording
from potluck.errors import Exit
from potluck.resources import (
    Dataset,
    Download,
    HeldUp,
    Metric,
    Overlap,
    Progress,
    QueuePlace,
    Reading,
    Rerun,
    TheoryMismatch,
)


def dataset(state: str, stage: str, **more: object) -> Dataset:
    return Dataset(id="d", name="SiC", state=state, stage=stage, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "stage", "verdict", "line"),
    [
        ("uploaded", "submit", None, "Submit ●  Check  Queue  Train  Done"),
        ("checking", "check", None, "Submit ✓  Check ●  Queue  Train  Done"),
        ("training", "train", "passed", "Submit ✓  Check ✓  Queue ✓  Train ●  Done"),
        ("published", "done", "passed", "Submit ✓  Check ✓  Queue ✓  Train ✓  Done ✓"),
        ("withheld", "done", "passed", "Submit ✓  Check ✓  Queue ✓  Train ✓  Done ✗"),
        ("failed", "done", "passed", "Submit ✓  Check ✓  Queue ✓  Train ✗  Done –"),
        ("not-passed", "done", "covered", "Submit ✓  Check ✓  Queue –  Train –  Done ✓"),
        ("not-passed", "done", "not-sound", "Submit ✓  Check ✗  Queue –  Train –  Done –"),
        ("rejected", "done", "rejected", "Submit ✗  Check –  Queue –  Train –  Done –"),
        ("shared", "done", None, "Submit ✓  Check –  Queue –  Train –  Done ✓"),
    ],
)
def test_the_line_of_stages_is_that_of_the_site(state: str, stage: str, verdict: str | None, line: str) -> None:
    """Neither a rejected nor a merely shared dataset was ever checked, and one that is not sound did not pass."""
    assert wording.stage_line(dataset(state, stage, verdict=verdict)) == line


def test_a_row_of_a_table_is_short() -> None:
    reasons = "The model knows this already. " * 10
    known = dataset("not-passed", "done", verdict="covered", metric=Metric(coverage=0.957, sentence=reasons))
    assert wording.brief(known) == "not passed: covered (96% of the frames are known)"
    waiting = dataset("passed", "queue", metric=Metric(coverage=0.0, sentence=reasons))
    assert wording.brief(waiting) == "passed; waits for a round of training"
    assert wording.headline(waiting) == f"passed: {reasons.strip('. ')}; waits for a round of training"


def test_the_place_in_the_queue_is_told_when_somebody_is_before() -> None:
    third = dataset("uploaded", "submit", queue=QueuePlace(position=3, ahead=2))
    assert wording.headline(third) == "the archive has arrived; place 3 in the queue"
    first = dataset("uploaded", "submit", queue=QueuePlace(position=1, ahead=0))
    assert wording.headline(first) == "the archive has arrived; it waits to be read"


@pytest.mark.parametrize(("value", "words"), [(2429.8, "2,430"), (12.4, "12"), (9.87, "9.9"), (0.0, "0"), (None, "–")])
def test_millielectronvolts_have_the_digits_they_deserve(value: float | None, words: str) -> None:
    assert wording.mev(value) == words


@pytest.mark.parametrize(("seconds", "words"), [(40.2, "40 s"), (100, "2 min"), (7200, "2.0 h")])
def test_durations_are_for_people(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


def test_what_is_held_up_says_that_nothing_is_lost() -> None:
    waiting = dataset("checking", "check", held_up=HeldUp(reason="the disk"))
    assert "nothing is lost: the disk" in wording.headline(waiting)


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (Progress(step="unpacking", files=2100), "unpacking the archive: 2,100 files"),
        (
            Progress(step="parsing", files=9, calculations=1000, parsed=312, frames=3120, set_aside=2, eta_seconds=85),
            "reading: 312 of 1,000 calculations, 3,120 frames so far, 2 set aside, 85 s left",
        ),
        (Progress(step="sorting", files=3), "reading: 3 files"),
    ],
)
def test_how_far_the_reading_has_come(now: Progress, words: str) -> None:
    assert wording.headline(dataset("uploaded", "submit", reading=now)) == words


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(120, 300, "verdict in about 2–5 min"), (0, 50, "verdict within 50 s"), (None, None, "waits for the check")],
)
def test_when_the_verdict_may_be_there(low: float | None, high: float | None, words: str) -> None:
    place = QueuePlace(position=1, ahead=0, line="check", eta_low_seconds=low, eta_high_seconds=high)
    assert wording.headline(dataset("validated", "check", queue=place)).endswith(words)


def test_what_a_contributor_should_know_of_what_was_read() -> None:
    found = Reading(
        format="vasp/outcar",
        frames=100,
        train_frames=80,
        held_out_frames=20,
        theory_mismatches=(TheoryMismatch(field="cutoff_ev", declared="400 eV", found="520 eV"),),
        overlaps=(Overlap(name="Silicon", frames=1200),),
        standard_frames=3,
    )
    cleaned = Download(url="/a", filename="x.zip", size=1, sha256="0", removed=("a/POTCAR", "b/POTCAR"))
    assert wording.details(dataset("validated", "check", ingest=found, download=cleaned)) == [
        "level of theory: cutoff_ev was declared as 400 eV, the files say 520 eV",
        "1,200 of the frames are in Silicon, too",
        "3 of the frames are never trained on: another dataset keeps them for testing",
        "2 files are left out of the download: what is a POTCAR, or an archive that was not opened",
    ]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (Rerun(id="r", state="done", same=True, numbers=1212), "the same verdict and the same 1,212 numbers"),
        (
            Rerun(id="r", state="done", same=False, outcome_before="passed", outcome_after="covered"),
            "another verdict: passed before, covered now",
        ),
        (
            Rerun(
                id="r", state="done", same=False, outcome_before="passed", outcome_after="passed", sentence="2 differ"
            ),
            "the same verdict, but not the same numbers: 2 differ",
        ),
        (Rerun(id="r", state="failed", sentence="no model"), "could not be repeated; the verdict stands: no model"),
    ],
)
def test_what_came_of_a_repetition(one: Rerun, words: str) -> None:
    assert words in wording.rerun(one)


@pytest.mark.parametrize(
    ("state", "code"),
    [("published", Exit.OK), ("shared", Exit.OK), ("rejected", Exit.NEEDS_YOU), ("failed", Exit.NEEDS_YOU)],
)
def test_how_a_script_ends_that_followed(state: str, code: int) -> None:
    assert wording.outcome(dataset(state, "done")) == code


def test_errors_that_nobody_knows_are_one_dash() -> None:
    assert wording.rmse(dataset("rejected", "done")) == "–"
    known = Metric(coverage=0.1, force_rmse_zero_shot_mev_per_angstrom=1971.0)
    assert wording.rmse(dataset("passed", "queue", metric=known)) == "1,971 → –"


def test_every_end_is_told_in_a_sentence() -> None:
    assert wording.headline(dataset("shared", "done")).startswith("shared: it can be downloaded and cited")
    assert wording.headline(dataset("withdrawn", "done")).startswith("withdrawn: no downloads")


def test_a_single_frame_is_one() -> None:
    read = Reading(
        format="extxyz", frames=9, train_frames=7, held_out_frames=2, elements=("Si",), set_aside_count=0,
        overlaps=(Overlap(name="Silicon", frames=1),), standard_frames=1,
    )  # fmt: skip
    told = wording.details(dataset("passed", "queue", ingest=read))
    assert "1 of the frames is in Silicon, too" in told
    assert "1 of the frames is never trained on: another dataset keeps it for testing" in told

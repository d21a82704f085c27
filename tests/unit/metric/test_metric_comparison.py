"""Two reports of one run: what counts as the same, and the words for what does not."""

from uuid import UUID, uuid4

from contracts.artifacts import BranchCoverage, FrameVerdict, MetricReport, Parity
from contracts.base import BlobRef, DatasetRef, RuleResult
from metric.domain.comparison import compare, in_words
from metric.domain.run_settings import RunSettings, Share, stored_settings
from metric.settings import MetricSettings

LIMITS = MetricSettings(blobs_url="file:///unused").limits()
NEAR = BranchCoverage(
    branch="silicon",
    force_rmse_mev_per_angstrom=140.0,
    energy_rmse_mev_per_atom=6.0,
    threshold_ev_per_angstrom=0.5,
    coverage=0.75,
    alignment_rank=1,
    elements=1,
)


def report(**changes: object) -> MetricReport:
    plain = MetricReport(
        dataset=DatasetRef(dataset_id=UUID(int=7), version=1),
        run_id=uuid4(),
        model_version="1.0",
        frames_judged=2,
        sound=RuleResult(rule="sound", passed=True, sentence="Fine.", numbers={"frames": 2}),
        new=RuleResult(rule="new", passed=True, sentence="New.", numbers={"coverage": 0.75}),
        checks=(),
        coverage=0.75,
        threshold_ev_per_angstrom=0.5,
        branches=(NEAR,),
        nearest_branch="silicon",
        energy_shift_ev={"Si": -7.0},
        new_elements=(),
        parity=(Parity(quantity="force", unit="eV/Å", reference=(0.1,), predicted=(0.000001,), rmse=0.1),),
        max_force_error_histogram=None,
        verdicts=(
            FrameVerdict(split="train", index=0, verdict="covered", max_force_error_ev_per_angstrom=0.1),
            FrameVerdict(split="train", index=1, verdict="useful", energy_error_mev_per_atom=0.001),
        ),
        pictures={},
        settings={},
        versions={"torch": "2.1"},
    )
    return plain.model_copy(update=changes)


def test_the_same_run_again_is_the_same_in_few_words() -> None:
    pictures = {"x.svg": BlobRef(key="k", sha256="0" * 64, size=3)}
    found = compare(report(), report(pictures=pictures), "passed", "passed")
    assert found.same
    assert found.largest_relative_difference == 0
    assert in_words(found) == f"The same verdict and the same {found.numbers} numbers."
    # Frames, two of the rules, coverage, threshold, six of the branch, a shift, three of parity, two of frames, a seed.
    assert found.numbers == 18


def test_rounding_is_no_difference_and_what_is_more_is() -> None:
    noisy = report(
        coverage=0.7500001,
        parity=(Parity(quantity="force", unit="eV/Å", reference=(0.1,), predicted=(0.000002,), rmse=0.1),),
        verdicts=(
            FrameVerdict(split="train", index=0, verdict="covered", max_force_error_ev_per_angstrom=0.1),
            FrameVerdict(split="train", index=1, verdict="useful", energy_error_mev_per_atom=0.002),
        ),
    )
    assert compare(report(), noisy, "passed", "passed").same
    moved = compare(report(), report(coverage=0.76, energy_shift_ev={"Si": -7.001}), "passed", "passed")
    assert not moved.same
    assert [one.name for one in moved.differences] == ["coverage", "energy_shift_ev.Si"]
    assert (moved.differences[0].before, moved.differences[0].after) == (0.75, 0.76)
    assert in_words(moved) == (
        "The same verdict; 2 of 18 numbers differ, by up to 1.3 %: coverage (0.75 → 0.76) and "
        "energy_shift_ev.Si (-7 → -7.001)."
    )


def test_a_number_is_found_by_its_name_whatever_the_order() -> None:
    other = NEAR.model_copy(update={"branch": "carbon", "coverage": 0.1})
    one, two = report(branches=(NEAR, other)), report(branches=(other, NEAR))
    assert compare(one, two, "passed", "passed").same
    gone = compare(one, report(branches=(NEAR,)), "passed", "passed")
    assert {found.name.rsplit(".", 1)[0] for found in gone.differences} == {"branches.carbon"}
    assert all(found.after is None for found in gone.differences)
    assert "branches.carbon.alignment_rank (1 → nothing)" in in_words(gone)


def test_another_verdict_and_other_versions_are_told() -> None:
    other = report(
        verdicts=(report().verdicts[0].model_copy(update={"verdict": "useful"}), report().verdicts[1]),
        versions={"torch": "2.2"},
        device="cuda:0",
    )
    frame = compare(report(), other, "passed", "passed")
    assert not frame.same
    assert frame.verdicts_differ == 1
    assert in_words(frame) == (
        "The same verdict on the dataset, another one on 1 frame; all 18 numbers are the same. "
        "Changed since: device (cpu → cuda:0) and torch (2.1 → 2.2)."
    )
    turned = compare(report(), report(nearest_branch="carbon"), "passed", "covered")
    assert not turned.same
    assert in_words(turned).startswith("The verdict was “passed” and is now “covered”; all 18 numbers are the same.")
    assert "Also another: nearest branch." in in_words(turned)


def test_settings_come_back_from_a_report_and_not_from_today() -> None:
    then = RunSettings(LIMITS, max_frames=50, seed=9, share=Share(30, 400))
    numbers = then.numbers() | {"force_fail_ev_per_angstrom": 12.5}
    now = RunSettings(LIMITS, max_frames=2000, seed=1)
    again = stored_settings(numbers, now)
    assert (again.max_frames, again.seed, again.share) == (50, 9, Share(30, 400))
    assert again.limits.force_fail_ev_per_angstrom == 12.5
    # What that version did not have yet is as it is now; what this one does not have any more is not asked for.
    del numbers["net_force_fail_mev_per_angstrom"]
    older = stored_settings(numbers | {"forgotten": 1.0}, now)
    assert older.limits.net_force_fail_mev_per_angstrom == LIMITS.net_force_fail_mev_per_angstrom

"""Confidence intervals: of what they are made, and that they are the same for whoever asks."""

from collections.abc import Iterable

import numpy as np
import pytest
from contracts.artifacts import BranchManifest, FrameErrors, HeldOutFrames, ModelManifest
from hypothesis import given
from hypothesis import strategies as st
from registry.domain.bootstrap import MOST_HEAPS, Evidence, Sampling, rmse
from registry.domain.policy import judge
from registry.domain.publication import check_frames
from registry.domain.rounds import InvalidRequest
from registry_examples import Numbers, manifest, policy

SAMPLING = Sampling(seed=1, draws=400, confidence=0.95)
ERRORS = st.floats(1e-3, 1e5)


def errors(energy: Iterable[float], force: Iterable[float]) -> FrameErrors:
    return FrameErrors(energy_mev_per_atom=tuple(map(float, energy)), force_mev_per_angstrom=tuple(map(float, force)))


def held_out(count: int, force: float, spread: float, *, seed: int = 0, before: float | None = None) -> HeldOutFrames:
    """Frames of 2 to 9 atoms whose force errors lie around `force`; the parent's are `before` times those."""
    random = np.random.default_rng(seed)
    forces = force * np.exp(spread * random.normal(size=count))
    after = errors(forces / 10, forces)
    return HeldOutFrames(
        atoms=tuple(int(one) for one in random.integers(2, 10, count)),
        after=after,
        before=None if before is None else errors(before * forces / 10, before * forces),
        baseline=errors([100.0] * count, [1000.0] * count),
    )


def described(frames: HeldOutFrames, name: str = "si") -> BranchManifest:
    """A branch whose RMSE values are those of its frames."""
    baseline = rmse(frames.baseline, frames.atoms)
    numbers = Numbers(after=rmse(frames.after, frames.atoms), baseline=baseline)
    (branch,) = manifest({name: numbers}, new=[name]).branches
    return branch.model_copy(update={"held_out_frames": frames})


def test_rmse_over_frames_weighs_forces_by_atoms_and_energies_by_frames() -> None:
    # energies: √((3² + 4²)/2); forces: √((1·10² + 3·20²)/4)
    energy, force = rmse(errors([3, 4], [10, 20]), [1, 3])
    assert energy == pytest.approx(12.5**0.5)
    assert force == pytest.approx(325**0.5)


def test_an_interval_holds_the_number_and_narrows_with_more_frames() -> None:
    widths = []
    for count in (20, 2000):
        branch = described(held_out(count, 200, 0.5, before=None))
        interval = Evidence([branch], SAMPLING).force_rise("si", from_baseline=True)
        assert interval is not None
        rise = branch.held_out.force_rmse_mev_per_angstrom / 1000 - 1
        assert interval.low <= rise <= interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] < widths[0] / 4


def test_heaps_of_many_frames_say_what_the_frames_themselves_say() -> None:
    """Four times the frames, half the width, on both sides of where heaps are drawn instead."""
    widths = []
    for count in (MOST_HEAPS, 4 * MOST_HEAPS):
        branch = described(held_out(count, 200, 0.5))
        interval = Evidence([branch], SAMPLING).force_rise("si", from_baseline=True)
        assert interval is not None
        rise = branch.held_out.force_rmse_mev_per_angstrom / 1000 - 1
        assert interval.low <= rise <= interval.high
        widths.append(interval.high - interval.low)
    assert widths[1] == pytest.approx(widths[0] / 2, rel=0.2)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """Many samples of one distribution of frames, a force error of 300 meV/Å in half of them and 100 in the others."""
    truth = ((300**2 + 100**2) / 2) ** 0.5 / 1000 - 1
    inside = 0
    for seed in range(200):
        forces = np.where(np.random.default_rng(seed).random(60) < 0.5, 300.0, 100.0)
        frames = HeldOutFrames(
            atoms=(4,) * 60, after=errors([1.0] * 60, forces), baseline=errors([100.0] * 60, [1000.0] * 60)
        )
        interval = Evidence([described(frames)], SAMPLING).force_rise("si", from_baseline=True)
        assert interval is not None
        inside += interval.low <= truth <= interval.high
    assert 0.88 <= inside / 200 <= 0.99


def test_draws_are_paired_so_a_change_that_all_frames_share_is_certain() -> None:
    interval = Evidence([described(held_out(30, 200, 1.0, before=2.0))], SAMPLING).force_rise("si")
    assert interval is not None
    assert [interval.low, interval.high] == pytest.approx([-0.5, -0.5])


@given(
    st.lists(st.lists(st.tuples(ERRORS, ERRORS, st.integers(1, 300)), min_size=2, max_size=12), min_size=1, max_size=5)
)
def test_a_baseline_scores_exactly_one_on_every_draw(branches: list[list[tuple[float, float, int]]]) -> None:
    built = []
    for index, frames in enumerate(branches):
        energy, force, atoms = zip(*frames, strict=True)
        same = errors(energy, force)
        built.append(described(HeldOutFrames(atoms=atoms, after=same, before=same, baseline=same), f"b{index}"))
    evidence = Evidence(built, Sampling(seed=3, draws=50, confidence=0.9))
    names = [branch.name for branch in built]
    for scores in (evidence.scores(names), evidence.scores_before(names)):
        assert scores is not None
        assert (scores == 1.0).all()
    interval, rise = evidence.score(names), evidence.score_rise(names)
    assert interval is not None
    assert rise is not None
    assert (interval.low, interval.high, rise.low, rise.high) == (1.0, 1.0, 0.0, 0.0)


def test_the_same_seed_gives_the_same_whatever_else_is_in_the_model() -> None:
    si, water = described(held_out(25, 200, 0.6)), described(held_out(40, 90, 0.6, seed=1), "water")
    alone = Evidence([si], SAMPLING).force_rise("si", from_baseline=True)
    assert Evidence([water, si], SAMPLING).force_rise("si", from_baseline=True) == alone
    other = Sampling(seed=2, draws=400, confidence=0.95)
    assert Evidence([si], other).force_rise("si", from_baseline=True) != alone


def test_a_single_frame_has_no_interval() -> None:
    branch = described(held_out(1, 200, 0.5, before=2.0))
    evidence = Evidence([branch], SAMPLING)
    assert evidence.force_rise("si") is None
    assert evidence.score(["si"]) is None


def test_a_model_without_any_error_has_one() -> None:
    frames = HeldOutFrames(
        atoms=(4, 4), after=errors([0, 0], [0, 0]), before=errors([1, 2], [1, 2]), baseline=errors([9, 9], [9, 9])
    )
    evidence = Evidence([described(frames)], SAMPLING)
    assert evidence.force_rise("si") is not None
    assert evidence.score(["si"]) is not None
    # Errors that start at zero have no ratio at all.
    turned = frames.model_copy(update={"after": frames.before, "before": frames.after})
    assert Evidence([described(turned)], SAMPLING).force_rise("si") is None


def with_frames(candidate: ModelManifest, frames: dict[str, HeldOutFrames]) -> ModelManifest:
    changed = [one.model_copy(update={"held_out_frames": frames[one.name]}) for one in candidate.branches]
    return candidate.model_copy(update={"branches": tuple(changed)})


def candidate(before: float = 1.0) -> ModelManifest:
    """An old branch at `before` times its parent's error, and a new one at half its zero-shot error."""
    frames = {"si": held_out(30, 150, 0.4, before=1 / before), "sic": held_out(40, 400, 0.4, seed=1, before=2.0)}
    numbers = {}
    for name, one in frames.items():
        assert one.before is not None
        start, baseline = rmse(one.before, one.atoms), rmse(one.baseline, one.atoms)
        numbers[name] = Numbers(after=rmse(one.after, one.atoms), before=start, baseline=baseline)
    return with_frames(manifest(numbers, new=["sic"]), frames)


def test_every_rule_shows_its_interval_in_numbers_and_words() -> None:
    rules = {rule.rule: rule for rule in judge(candidate(1.02), ["si"], ["sic"], policy()).rules}
    learned, remembered, standard = rules["learned"], rules["remembered"], rules["standard"]
    assert learned.numbers["sic.force_rmse_rise_percent_low"] == pytest.approx(-50)
    assert learned.numbers["sic.force_rmse_rise_percent_high"] == pytest.approx(-50)
    assert "likely -50.0 to -50.0" in learned.sentence
    assert remembered.numbers["si.force_rmse_rise_percent_low"] == pytest.approx(2)
    numbers = standard.numbers
    assert numbers["score_candidate_low"] < numbers["score_candidate"] < numbers["score_candidate_high"]
    assert numbers["score_rise_percent_low"] == pytest.approx(2)
    everything = "score_candidate_all_branches"
    assert numbers[f"{everything}_low"] < numbers[everything] < numbers[f"{everything}_high"]
    first = judge(with_parentless(candidate()), [], ["si", "sic"], policy())
    standard = {rule.rule: rule for rule in first.rules}["standard"]
    assert standard.numbers["score_candidate_low"] < standard.numbers["score_candidate"]
    assert "(likely 0." in standard.sentence


def with_parentless(one: ModelManifest) -> ModelManifest:
    return one.model_copy(update={"parent_version": None, "zero_shot": (), "parent_held_out": ()})


def test_errors_of_single_frames_must_be_those_of_the_rmse() -> None:
    good = candidate()
    for branch in good.branches:
        check_frames(branch, good)
    branch = good.branches[0]
    frames = branch.held_out_frames
    assert frames is not None
    prettier = frames.model_copy(update={"after": errors([1.0] * 30, [1.0] * 30)})
    shorter = frames.model_copy(update={"baseline": errors([1.0] * 29, [1.0] * 30)})
    nothing = frames.model_copy(update={"atoms": (0, *frames.atoms[1:])})
    for changed, complaint in (
        (prettier, r"RMSE of held_out_frames.after is 1 meV/atom and 1 meV/Å, the manifest says"),
        (shorter, "held_out_frames.baseline must have one error a frame"),
        (nothing, "each of one atom or more"),
    ):
        with pytest.raises(InvalidRequest, match=complaint):
            check_frames(branch.model_copy(update={"held_out_frames": changed}), good)

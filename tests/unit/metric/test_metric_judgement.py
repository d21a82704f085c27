"""From frames and predictions to one outcome with its sentences and numbers."""

from dataclasses import replace

import numpy as np
import pytest
from frames.frame import Frame
from metric.domain.coverage import KnownBranch, Prediction
from metric.domain.records import Records
from metric.domain.report import Judgement, Known, judge, log_histogram
from metric.domain.survey import Survey, survey
from metric.domain.words import counted, listed, percent, significant
from metric.settings import MetricSettings

LIMITS = MetricSettings(blobs_url="file:///unused").limits()


def branch(name: str, elements: tuple[str, ...] = ("Si",), threshold: float = 0.3) -> KnownBranch:
    return KnownBranch(
        name=name,
        elements=frozenset(elements),
        threshold_ev_per_angstrom=threshold,
        held_out_force_rmse_mev_per_angstrom=100.0,
    )


def dataset(count: int = 20, numbers: tuple[int, ...] = (14,) * 4, net_force: float = 0.0, bad: int = 0) -> list[Frame]:
    """Frames with forces of 1 eV/Å; the first `bad` of them have a net force of `net_force` meV/Å per atom."""
    rng = np.random.default_rng(9)
    frames = []
    for index in range(count):
        forces = rng.normal(0, 1, (len(numbers), 3))
        forces -= forces.mean(axis=0)
        if index < bad:
            forces += np.array([net_force / 1000, 0, 0])
        coords = 1.35 * np.arange(len(numbers))[:, None] * np.ones(3)
        energy = -100.0 * len(numbers) + float(rng.normal(0, 0.01))
        frames.append(Frame(np.array(numbers), coords, None, energy, forces, source="all.out", index=index))
    return frames


def predicted(frames: list[Frame], error: float, offset: float = 0.0) -> Prediction:
    """Every atom's force is off by `error` eV/Å, every energy by `offset` eV/atom."""
    energy = np.array([one.energy + offset * one.natoms for one in frames])
    return Prediction(energy, [one.forces + np.array([error, 0, 0]) for one in frames])


def judged(
    frames: list[Frame], model: Known | None, predictions: list[Prediction], held_out: tuple[int, ...] = ()
) -> Judgement:
    tagged = [("held-out" if k in held_out else "train", k, one) for k, one in enumerate(frames)]
    found = survey(tagged, LIMITS)  # type: ignore[arg-type]
    return judge(found, found.frames, frames, model, predictions, LIMITS, seed=1)


MODEL = Known("1.0", (branch("silicon"),))


def test_without_a_model_nothing_is_covered_and_the_data_passes() -> None:
    result = judged(dataset(), None, [])
    assert result.outcome == "passed"
    assert result.coverage == 0
    assert result.nearest is None
    assert result.energy_shift_ev == {}
    assert result.new_elements == ("Si",)
    assert {one.verdict for one in result.verdicts} == {"useful"}
    assert len(result.verdicts) == result.frames_judged == 20
    assert "no model yet" in result.new.sentence


def test_known_data_is_covered_and_told_what_would_pass() -> None:
    frames = dataset()
    result = judged(frames, MODEL, [predicted(frames, 0.2, offset=7.0)], held_out=(3, 4))
    assert result.outcome == "covered"
    assert result.coverage == 1.0
    assert result.sound.passed
    assert not result.new.passed
    assert "branch silicon" in result.new.sentence
    assert "20 of 20 frames (100 %)" in result.new.sentence
    assert "from 90 % on" in result.new.sentence
    assert "What would pass: structures that lie farther" in result.new.sentence
    assert {one.verdict for one in result.verdicts} == {"covered"}
    assert result.energy_shift_ev == pytest.approx({"Si": -7.0})
    assert [one.split for one in result.verdicts].count("held-out") == 2


def test_what_the_model_was_trained_on_is_covered_however_badly_it_is_predicted() -> None:
    frames = dataset(20)
    tagged = [("train", index, one) for index, one in enumerate(frames)]
    found = survey(tagged, LIMITS)  # type: ignore[arg-type]
    badly = [predicted(frames, 0.9)]
    result = judge(found, found.frames, frames, MODEL, badly, LIMITS, seed=1, trained=[k < 18 for k in range(20)])
    assert (result.outcome, result.coverage) == ("covered", 0.9)
    assert "covers 18 of 20 frames (90 %)" in result.new.sentence
    assert "or when it is in a dataset that trained the model" in result.new.sentence
    assert "datasets that trained it hold 18 of these frames" in result.new.sentence
    # Frames in datasets that trained nothing are judged by the model's errors.
    assert judge(found, found.frames, frames, MODEL, badly, LIMITS, seed=1).outcome == "passed"


def test_labels_and_frames_that_are_both_wrong_are_both_named() -> None:
    frames = dataset(20, net_force=30.0, bad=4)
    turned = predicted([replace(one, forces=-one.forces) for one in frames], 0.05)
    sentence = judged(frames, MODEL, [turned]).sound.sentence
    assert "4 frames of 20 (20 %) fail a check" in sentence
    assert "nothing else has to change" not in sentence
    alone = judged(dataset(20), MODEL, [predicted([replace(one, forces=-one.forces) for one in dataset(20)], 0.05)])
    assert "nothing else has to change" in alone.sound.sentence


def test_coverage_of_exactly_the_bound_is_not_new() -> None:
    frames = dataset(20)
    prediction = predicted(frames, 0.2)
    for index in (0, 1):
        prediction.forces[index] = frames[index].forces + np.array([0.4, 0, 0])
    assert judged(frames, MODEL, [prediction]).outcome == "covered"
    prediction.forces[2] = prediction.forces[0] + frames[2].forces - frames[0].forces
    result = judged(frames, MODEL, [prediction])
    assert result.coverage == pytest.approx(0.85)
    assert result.outcome == "passed"


def test_a_new_element_makes_data_new_however_well_it_is_predicted() -> None:
    frames = dataset(numbers=(6, 6, 14, 14))
    result = judged(frames, MODEL, [predicted(frames, 0.0)])
    assert result.outcome == "passed"
    assert result.coverage == 0
    assert result.new_elements == ("C",)
    # Their forces are exact: that they are off must not be what the sentence says.
    assert result.new.sentence == (
        "The model can learn from this: DPA 1.0, branch silicon, covers 0 of 20 frames (0 %): a frame is covered when "
        "it has no force off by more than 0.3 eV/Å and no element that is new to the model; all of these hold C, which "
        "is new; below 90 % counts as new."
    )


def test_of_data_with_a_few_frames_of_a_new_element_each_reason_is_told() -> None:
    frames = [*dataset(18), *dataset(2, numbers=(6, 6, 14, 14))]
    errors = [predicted([one], 0.2 if k < 15 else 0.9 if k < 18 else 0.0) for k, one in enumerate(frames)]
    prediction = Prediction(np.concatenate([one.energy for one in errors]), [one.forces[0] for one in errors])
    result = judged(frames, MODEL, [prediction])
    assert "covers 15 of 20 frames (75 %)" in result.new.sentence
    assert "2 of these hold C, which is new; below 90 %" in result.new.sentence
    few = judged(frames[:15] + frames[19:], MODEL, [Prediction(prediction.energy[[*range(15), 19]],
                 prediction.forces[:15] + prediction.forces[19:])])  # fmt: skip
    assert few.outcome == "covered"
    assert "more like the 1 frame here that it does not know (with C, new to the model), or" in (few.new.sentence)


def test_too_many_failed_frames_are_not_sound_and_say_what_to_do() -> None:
    frames = dataset(20, net_force=30.0, bad=2)
    result = judged(frames, MODEL, [predicted(frames, 0.2)])
    assert result.outcome == "not-sound"
    assert result.failed_frames == 2
    assert result.frames_judged == 18
    assert "2 frames of 20 (10 %) fail a check" in result.sound.sentence
    assert "2 frames by net-force" in result.sound.sentence
    assert "converge the forces more tightly" in result.sound.sentence
    failed = [one for one in result.verdicts if one.verdict == "failed"]
    assert [(one.split, one.index) for one in failed] == [("train", 0), ("train", 1)]
    assert failed[0].rules[0].rule == "net-force"
    assert "all.out, frame 0" in failed[0].rules[0].sentence


def test_few_failed_frames_are_set_aside_and_the_rest_is_judged() -> None:
    frames = dataset(20, net_force=30.0, bad=1)
    result = judged(frames, MODEL, [predicted(frames, 2.0)])
    assert result.outcome == "passed"
    assert result.sound.sentence.startswith("1 frame of 20 set aside")
    assert result.frames_judged == 19


def test_a_turned_sign_is_not_sound_with_that_sentence() -> None:
    frames = dataset()
    turned = Prediction(np.array([one.energy for one in frames]), [-one.forces for one in frames])
    result = judged(frames, MODEL, [turned])
    assert result.outcome == "not-sound"
    assert "their sign is turned" in result.sound.sentence
    assert result.sound.numbers["slope"] == pytest.approx(-1)
    assert not result.new.passed
    assert result.new.unknown
    assert result.new.sentence.startswith("Not judged")
    assert result.agreement is not None
    assert result.checks[-1].rule == "plausible-labels"
    assert not result.checks[-1].passed


def test_when_every_frame_fails_nothing_is_claimed_about_coverage() -> None:
    frames = dataset(20, net_force=30.0, bad=20)
    result = judged(frames, MODEL, [predicted(frames, 0.0)])
    assert result.outcome == "not-sound"
    assert result.frames_judged == 0
    assert result.new.unknown
    assert result.new.sentence.startswith("Not judged")
    assert result.parity == ()


def test_the_nearest_branch_gives_verdicts_threshold_and_numbers() -> None:
    frames = dataset()
    model = Known("1.1", (branch("far"), branch("near", threshold=0.1)))
    result = judged(frames, model, [predicted(frames, 0.5), predicted(frames, 0.09)])
    assert result.nearest is not None
    assert result.nearest.coverage.branch == "near"
    assert [one.coverage.branch for one in result.branches] == ["far", "near"]
    assert result.outcome == "covered"
    assert result.verdicts[0].max_force_error_ev_per_angstrom == pytest.approx(0.09)


def test_shift_is_fitted_on_training_frames_alone() -> None:
    frames = dataset(20)
    prediction = predicted(frames, 0.2, offset=2.0)
    prediction.energy[:5] += 400.0
    result = judged(frames, MODEL, [prediction], held_out=(0, 1, 2, 3, 4))
    assert result.energy_shift_ev == pytest.approx({"Si": -2.0})


def test_parity_has_units_and_all_components() -> None:
    frames = dataset()
    energy, force = judged(frames, MODEL, [predicted(frames, 0.2, offset=7.0)]).parity
    assert (energy.quantity, energy.unit, force.quantity, force.unit) == ("energy", "eV/atom", "force", "eV/Å")
    assert len(energy.reference) == 20
    assert len(force.reference) == 20 * 4 * 3
    assert force.rmse == pytest.approx(0.2 / np.sqrt(3))
    assert max(map(abs, energy.reference)) < 0.02
    np.testing.assert_allclose(energy.predicted, energy.reference, atol=1e-5)


def test_the_same_input_gives_the_same_judgement() -> None:
    frames = dataset(60, numbers=(14,) * 16)
    first = judged(frames, MODEL, [predicted(frames, 0.2)])
    assert first.parity == judged(frames, MODEL, [predicted(frames, 0.2)]).parity
    assert len(first.parity[1].reference) == 2000


def test_histogram_counts_all_and_splits_at_the_threshold() -> None:
    histogram = log_histogram([0.3, 0.30001, 0.02, 1e-9, 3.0], 0.3)
    assert sum(histogram.counts) == 5
    assert min(abs(edge - 0.3) for edge in histogram.edges) < 1e-12
    below = sum(count for count, edge in zip(histogram.counts, histogram.edges[1:], strict=True) if edge < 0.3 + 1e-12)
    assert below == 3
    assert len(log_histogram([0.3], 0.3).counts) >= 2
    assert len(log_histogram([1e-12, 1e6], 0.3).counts) < 120


def test_numbers_as_people_read_them() -> None:
    assert [percent(x) for x in (0, 0.004, 0.955, 0.999, 1)] == ["0 %", "under 1 %", "96 %", "over 99 %", "100 %"]
    assert [significant(x) for x in (0, 0.05671, 1.256, 50, 1971.4)] == ["0", "0.0567", "1.26", "50", "1971"]
    assert counted(1, "frame") == "1 frame"
    assert counted(2400, "frame") == "2,400 frames"
    assert listed(["C", "O", "Si"]) == "C, O and Si"


def test_a_warned_frame_is_suspect_and_keeps_whether_it_is_covered() -> None:
    frames = dataset(20, net_force=2.0, bad=3)
    prediction = predicted(frames, 0.2)
    prediction.forces[1] = frames[1].forces + np.array([0.4, 0, 0])
    result = judged(frames, MODEL, [prediction])
    assert [one.verdict for one in result.verdicts[:4]] == ["suspect", "suspect", "suspect", "covered"]
    assert [one.covered for one in result.verdicts[:4]] == [True, False, True, True]
    assert result.verdicts[0].rules[0].passed
    assert result.coverage == pytest.approx(0.95)


def test_energy_errors_of_frames_are_aligned() -> None:
    frames = dataset(20)
    prediction = predicted(frames, 0.2, offset=7.0)
    prediction.energy[3] += 0.04
    result = judged(frames, MODEL, [prediction])
    errors = [one.energy_error_mev_per_atom for one in result.verdicts]
    assert errors[3] == pytest.approx(10 * 19 / 20)
    assert errors[0] == pytest.approx(-10 / 20)


def large(good: int, bad: int) -> Survey:
    """A survey of so many frames, the bad ones first, made from the rows of two."""
    two = survey([("train", k, one) for k, one in enumerate(dataset(2, net_force=30.0, bad=1))], LIMITS)
    which = np.array([0] * bad + [1] * good)
    rows = two.records.rows[which]
    rows["index"] = np.arange(len(which))
    records = Records(rows, two.records.sources, two.records.formulas, two.records.counts)
    levels = {rule: found[which] for rule, found in two.levels.items()}
    return Survey(records, LIMITS, levels, two.worst[which], two.checks)


def test_a_sound_dataset_lists_all_its_failed_frames_with_rules_for_the_first_thousand() -> None:
    result = judge(large(300_000, 11_000), [], [], None, [], LIMITS, seed=1)
    assert result.sound.passed
    assert [one.index for one in result.verdicts] == list(range(11_000))
    assert [len(one.rules) for one in result.verdicts] == [1] * 1000 + [0] * 10_000


def test_of_a_dataset_that_is_not_sound_the_report_stays_small() -> None:
    result = judge(large(1000, 11_000), [], [], None, [], LIMITS, seed=1)
    assert not result.sound.passed
    assert result.failed_frames == 11_000
    assert len(result.verdicts) == 10_000


def test_new_pairs_are_those_that_no_training_data_holds_together() -> None:
    frames = dataset(numbers=(6, 6, 14, 14))
    known = Known("1.0", (branch("silicon", ("C", "Si")),), pairs=frozenset({"C-C", "Si-Si"}))
    result = judged(frames, known, [predicted(frames, 0.2)])
    assert result.new_elements == ()
    assert result.new_element_pairs == ("C-Si",)
    assert judged(frames, None, []).new_element_pairs == ("C-C", "C-Si", "Si-Si")
    tagged = [("train", k, one) for k, one in enumerate(frames)]
    found = survey(tagged, LIMITS)  # type: ignore[arg-type]
    told = judge(found, [], [], known, [], LIMITS, seed=1, pairs=frozenset({"C-C", "H-U"}))
    assert told.new_element_pairs == ("H-U",)


def test_a_few_frames_of_new_chemistry_do_not_decide_which_branch_is_near() -> None:
    frames = [*dataset(19), *dataset(1, numbers=(6, 6, 14, 14))]
    far, near = predicted(frames, 0.25), predicted(frames, 0.1)
    near.forces[19] = frames[19].forces + np.array([30.0, 0, 0])
    result = judged(frames, Known("1.0", (branch("far"), branch("near"))), [far, near])
    assert result.nearest is not None
    assert result.nearest.coverage.branch == "near"
    assert result.coverage == pytest.approx(0.95)
    assert result.outcome == "covered"
    assert "more like the 1 frame here that it does not know" in result.new.sentence
    assert "1 frame here that it does not know (with C, new to the model)" in result.new.sentence


def test_labels_that_do_not_fit_are_not_sound_before_there_is_a_model() -> None:
    far_apart = [replace(one, coords=2 * one.coords) for one in dataset()]
    result = judged(far_apart, None, [])
    assert result.outcome == "not-sound"
    assert "Nothing is bonded" in result.sound.sentence
    assert result.sound.sentence.endswith("nothing else has to change.")
    assert [one.rule for one in result.checks if not one.passed and not one.unknown] == ["plausible-lengths"]


def test_strong_forces_explain_a_high_energy_and_not_a_low_one() -> None:
    """25² / (6 × 10) is 10 eV/atom."""
    for excess, force, failed in ((3.0, 1.0, 1), (3.0, 25.0, 0), (-3.0, 25.0, 1)):
        frames = dataset()
        forces = np.zeros((4, 3))
        forces[0, 0], forces[1, 0] = force, -force
        frames[4] = replace(frames[4], energy=frames[4].energy + 4 * excess, forces=forces)
        result = judged(frames, None, [])
        assert result.failed_frames == failed
        told = next(one.sentence for one in result.checks if one.rule == "energy-outlier")
        # What is kept beyond the limit is not told as if the limit had not been meant.
        assert ("beyond what strong forces explain" in told) == (not failed)

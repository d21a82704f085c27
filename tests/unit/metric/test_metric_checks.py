"""Each rule on frames whose answer can be worked out by hand."""

from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest
from contracts.base import DatasetRef, Overlap, RuleResult
from frames.frame import FloatArray, Frame
from metric.domain.checks import Finding, Measures
from metric.domain.origin import Origin
from metric.domain.outliers import energy_residuals
from metric.domain.survey import Survey, survey
from metric.settings import MetricSettings

LIMITS = MetricSettings(blobs_url="file:///unused").limits()


def dimer(forces: list[list[float]], virial: FloatArray | None = None, energy: float = -7.0) -> Frame:
    """Two Si atoms at bond length in a large cell."""
    coords = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 3.35]])
    return Frame(np.array([14, 14]), coords, 9 * np.eye(3), energy, np.array(forces, dtype=float), virial, "run/out", 4)


def check_frame(frame: Frame) -> tuple[Measures, list[Finding]]:
    """What a survey of this frame alone says of it."""
    one = survey([("train", 0, frame)], LIMITS).frames[0]
    return one.measures, list(one.findings)


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1
    return findings[0]


def result(found: Survey, rule: str) -> RuleResult:
    return {check.rule: check for check in found.checks}[rule]


QUIET = [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]


def test_a_quiet_frame_breaks_nothing() -> None:
    measures, findings = check_frame(dimer(QUIET, np.eye(3)))
    assert findings == []
    assert measures.max_force_ev_per_angstrom == pytest.approx(1.0)
    assert measures.net_force_mev_per_angstrom == pytest.approx(0.0)
    assert measures.virial_asymmetry == 0.0


@pytest.mark.parametrize(("size", "level"), [(20.0, None), (20.1, "warn"), (50.0, "warn"), (50.1, "fail")])
def test_force_cap(size: float, level: str | None) -> None:
    # A 3-4-5 triangle: components 0.6 and 0.8 of the norm.
    forces = [[0.6 * size, 0.8 * size, 0.0], [-0.6 * size, -0.8 * size, 0.0]]
    _, findings = check_frame(dimer(forces))
    if level is None:
        assert findings == []
        return
    finding = only(findings)
    assert (finding.rule, finding.level) == ("force-cap", level)
    assert finding.numbers["max_force_ev_per_angstrom"] == pytest.approx(size)
    assert finding.sentence.startswith("run/out, frame 4: the force on atom 1 (Si) is")
    assert finding.result().passed is (level == "warn")


@pytest.mark.parametrize(("net", "level"), [(0.9, None), (1.1, "warn"), (9.9, "warn"), (10.1, "fail")])
def test_net_force_is_a_mean_over_atoms(net: float, level: str | None) -> None:
    _, findings = check_frame(dimer([[0.0, 0.0, 1.0 + 2 * net / 1000], [0.0, 0.0, -1.0]]))
    if level is None:
        assert findings == []
        return
    finding = only(findings)
    assert (finding.rule, finding.level) == ("net-force", level)
    assert finding.numbers["net_force_mev_per_angstrom_per_atom"] == pytest.approx(net)


@pytest.mark.parametrize(("distance", "level"), [(1.34, None), (1.32, "warn"), (1.12, "warn"), (1.10, "fail")])
def test_min_distance(distance: float, level: str | None) -> None:
    # r(Si) = 1.11 Å: fail below 1.11 Å, warn below 1.332 Å.
    coords = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]])
    measures, findings = check_frame(replace(dimer(QUIET), coords=coords))
    if level is None:
        assert findings == []
        assert measures.closest is None
        return
    finding = only(findings)
    assert (finding.rule, finding.level) == ("min-distance", level)
    assert measures.closest is not None
    assert measures.closest.ratio == pytest.approx(distance / 2.22)
    assert "Si 1 and Si 2 are" in finding.sentence


def test_a_flat_cell_fails_by_min_distance() -> None:
    frame = replace(dimer(QUIET), cell=np.diag([9.0, 9.0, 0.0]))
    finding = only(check_frame(frame)[1])
    assert (finding.rule, finding.level) == ("min-distance", "fail")
    assert "cell" in finding.sentence


@pytest.mark.parametrize(("corner", "level"), [(0.0, None), (3e-4, "warn"), (3e-2, "fail")])
def test_virial_symmetry(corner: float, level: str | None) -> None:
    virial = np.eye(3)
    virial[0, 1] = corner
    measures, findings = check_frame(dimer(QUIET, virial))
    assert measures.virial_asymmetry == pytest.approx(np.sqrt(2) * corner / np.sqrt(3 + corner**2))
    assert [(one.rule, one.level) for one in findings] == ([] if level is None else [("virial-symmetry", level)])


def test_robust_fit_is_not_pulled_by_one_wrong_energy() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 6, (40, 2)).astype(float)
    energies = counts @ [-100.0, -430.0]
    energies[7] += 1e6
    found = energy_residuals(counts, np.arange(40), energies)
    assert found.residual[7] == pytest.approx(1e6 / counts[7].sum(), rel=1e-6)
    assert np.abs(np.delete(found.residual, 7)).max() < 1e-3


def test_one_composition_is_compared_with_its_median() -> None:
    energies = np.array([-800.0] * 8 + [-788.0])
    found = energy_residuals(np.array([[4.0, 4.0]]), np.zeros(9, dtype=np.int64), energies)
    assert found.residual[8] == pytest.approx(1.5, abs=1e-3)
    np.testing.assert_allclose(found.residual[:8], 0, atol=1e-3)


def test_energy_outlier_levels_in_a_survey() -> None:
    # 20 dimers 1 meV/atom around −3.5 eV/atom; one 0.5 eV/atom off (robust z far above 8), one 2 eV/atom off.
    energies = [-7.0 + 0.002 * (-1) ** k for k in range(20)] + [-6.0, -3.0]
    found = survey([("train", k, dimer(QUIET, energy=e)) for k, e in enumerate(energies)], LIMITS)
    levels = [[(one.rule, one.level) for one in frame.findings] for frame in found.frames]
    assert levels[:20] == [[]] * 20
    assert levels[20] == [("energy-outlier", "warn")]
    assert levels[21] == [("energy-outlier", "fail")]
    assert found.failed == 1
    assert found.elements == ("Si",)
    told = result(found, "energy-outlier")
    assert not told.passed
    assert told.numbers["failed_frames"] == 1
    assert told.numbers["warned_frames"] == 1
    assert "1 frame of 22" in told.sentence


def test_a_survey_tells_the_worst_of_every_rule_also_when_all_is_well() -> None:
    found = survey([("train", 0, dimer(QUIET, np.eye(3))), ("held-out", 0, dimer(QUIET, np.eye(3)))], LIMITS)
    assert [check.rule for check in found.checks] == [
        "force-cap",
        "min-distance",
        "net-force",
        "energy-outlier",
        "virial-symmetry",
        "scf-converged",
        "duplicates",
        "leakage",
    ]
    assert [check.rule for check in found.checks if not check.passed] == ["scf-converged"]
    assert found.checks[0].numbers["largest_ev_per_angstrom"] == pytest.approx(1.0)


def test_frames_of_one_composition_share_a_row_of_the_fit_and_nothing_changes() -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(1, 6, (7, 2)).astype(float)
    composition = rng.integers(0, 7, 200)
    energies = counts[composition] @ [-100.0, -430.0] + rng.normal(0, 0.3, 200)
    shared = energy_residuals(counts, composition, energies)
    alone = energy_residuals(counts[composition], np.arange(200), energies)
    np.testing.assert_allclose(shared.residual, alone.residual, atol=1e-6)


def test_an_unconverged_frame_is_set_aside() -> None:
    finding = only(check_frame(replace(dimer(QUIET), converged=False))[1])
    assert (finding.rule, finding.level) == ("scf-converged", "fail")
    assert finding.sentence.startswith("run/out, frame 4: its file says that the self-consistency did not converge")
    assert not finding.result().passed
    assert check_frame(replace(dimer(QUIET), converged=True))[1] == []


@pytest.mark.parametrize(
    ("told", "passed", "unknown", "sentence"),
    [
        ([True, True, True], True, False, "3 frames of 3 converged, as their files say."),
        ([None, None, None], False, True, "Unknown: no file tells whether the self-consistency converged."),
        ([True, None, True], False, True, "Unknown for 1 frame of 3, whose files do not tell; 2 frames of 3 converged"),
        ([False, None, True], False, False, "1 frame of 3 (33 %) set aside: the self-consistency did not converge;"),
    ],
)
def test_convergence_that_nobody_tells_is_never_called_passed(
    told: list[bool | None], passed: bool, unknown: bool, sentence: str
) -> None:
    frames = [replace(dimer(QUIET), converged=one) for one in told]
    scf = result(survey([("train", k, one) for k, one in enumerate(frames)], LIMITS), "scf-converged")
    assert (scf.passed, scf.unknown) == (passed, unknown)
    assert scf.sentence.startswith(sentence)
    assert scf.numbers["unknown_frames"] == told.count(None)
    assert scf.numbers["failed_frames"] == told.count(False)


def test_a_frame_that_another_dataset_holds_is_shown_not_set_aside() -> None:
    frames = [replace(dimer(QUIET), known=k < 2) for k in range(5)]
    elsewhere = Overlap(dataset=DatasetRef(dataset_id=UUID(int=1), version=1), title="Silicon dimers", frames=2)
    origin = Origin(duplicate_frames=3, overlaps=(elsewhere,), standard_frames=0)
    found = survey([("train", k, one) for k, one in enumerate(frames)], LIMITS, origin)
    assert [[one.level for one in frame.findings] for frame in found.frames] == [["warn"], ["warn"], [], [], []]
    told = result(found, "duplicates")
    assert told.passed
    assert told.sentence == (
        "3 duplicates inside the dataset dropped; 2 frames of 5 (40 %) also in other datasets of the platform: "
        "2 in “Silicon dimers”."
    )
    assert told.numbers == {"dropped_frames": 3, "warned_frames": 2, "failed_frames": 0}
    assert found.failed == 0


def test_frames_that_are_held_out_elsewhere_are_counted() -> None:
    found = survey([("train", 0, dimer(QUIET))], LIMITS, Origin(standard_frames=4))
    told = result(found, "leakage")
    assert told.numbers == {"held_out_frames": 4}
    assert told.sentence.startswith("4 frames that another dataset holds out to test the model: held out here too")
    assert "No training frame is among" in result(survey([("train", 0, dimer(QUIET))], LIMITS), "leakage").sentence


def test_frames_come_back_from_their_rows_as_they_were() -> None:
    frames = [replace(dimer(QUIET, energy=-7.0 - k), source=f"run-{k % 2}", index=k) for k in range(5000)]
    found = survey([("train" if k < 4100 else "held-out", k, one) for k, one in enumerate(frames)], LIMITS)
    assert len(found.frames) == 5000
    last = found.frames[-1]
    assert (last.position, last.split, last.index, last.name) == (4999, "held-out", 4999, "run-1, frame 4999")
    assert (last.formula, last.energy) == ("Si2", -5006.0)
    assert [one.index for one in found.frames[4095:4098]] == [4095, 4096, 4097]
    with pytest.raises(IndexError):
        found.frames[5000]
    # A million frames have to fit: the row is what is kept of each.
    assert found.records.rows.nbytes / 5000 < 200


def test_without_virials_their_rule_is_not_claimed() -> None:
    found = survey([("train", 0, dimer(QUIET))], LIMITS)
    assert "virial-symmetry" not in [check.rule for check in found.checks]


def test_a_dataset_without_frames_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="without frames"):
        survey([], LIMITS)

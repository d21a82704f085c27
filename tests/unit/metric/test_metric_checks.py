"""Each rule on frames whose answer can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from frames.frame import FloatArray, Frame
from metric.domain.checks import Finding, check_frame
from metric.domain.outliers import energy_residuals
from metric.domain.survey import survey
from metric.settings import MetricSettings

LIMITS = MetricSettings(blobs_url="file:///unused").limits()


def dimer(forces: list[list[float]], virial: FloatArray | None = None, energy: float = -7.0) -> Frame:
    """Two Si atoms at bond length in a large cell."""
    coords = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 3.35]])
    return Frame(np.array([14, 14]), coords, 9 * np.eye(3), energy, np.array(forces, dtype=float), virial, "run/out", 4)


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1
    return findings[0]


QUIET = [[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]]


def test_a_quiet_frame_breaks_nothing() -> None:
    measures, findings = check_frame(dimer(QUIET, np.eye(3)), LIMITS)
    assert findings == []
    assert measures.max_force_ev_per_angstrom == pytest.approx(1.0)
    assert measures.net_force_mev_per_angstrom == pytest.approx(0.0)
    assert measures.virial_asymmetry == 0.0


@pytest.mark.parametrize(("size", "level"), [(20.0, None), (20.1, "warn"), (50.0, "warn"), (50.1, "fail")])
def test_force_cap(size: float, level: str | None) -> None:
    # A 3-4-5 triangle: components 0.6 and 0.8 of the norm.
    forces = [[0.6 * size, 0.8 * size, 0.0], [-0.6 * size, -0.8 * size, 0.0]]
    _, findings = check_frame(dimer(forces), LIMITS)
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
    _, findings = check_frame(dimer([[0.0, 0.0, 1.0 + 2 * net / 1000], [0.0, 0.0, -1.0]]), LIMITS)
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
    measures, findings = check_frame(replace(dimer(QUIET), coords=coords), LIMITS)
    if level is None:
        assert findings == []
        assert measures.closest_ratio is None
        return
    finding = only(findings)
    assert (finding.rule, finding.level) == ("min-distance", level)
    assert measures.closest_ratio == pytest.approx(distance / 2.22)
    assert "Si 1 and Si 2 are" in finding.sentence


def test_a_flat_cell_fails_by_min_distance() -> None:
    frame = replace(dimer(QUIET), cell=np.diag([9.0, 9.0, 0.0]))
    finding = only(check_frame(frame, LIMITS)[1])
    assert (finding.rule, finding.level) == ("min-distance", "fail")
    assert "cell" in finding.sentence


@pytest.mark.parametrize(("corner", "level"), [(0.0, None), (3e-4, "warn"), (3e-2, "fail")])
def test_virial_symmetry(corner: float, level: str | None) -> None:
    virial = np.eye(3)
    virial[0, 1] = corner
    measures, findings = check_frame(dimer(QUIET, virial), LIMITS)
    assert measures.virial_asymmetry == pytest.approx(np.sqrt(2) * corner / np.sqrt(3 + corner**2))
    assert [(one.rule, one.level) for one in findings] == ([] if level is None else [("virial-symmetry", level)])


def test_robust_fit_is_not_pulled_by_one_wrong_energy() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 6, (40, 2)).astype(float)
    energies = counts @ [-100.0, -430.0]
    energies[7] += 1e6
    found = energy_residuals(counts, energies)
    assert found.residual[7] == pytest.approx(1e6 / counts[7].sum(), rel=1e-6)
    assert np.abs(np.delete(found.residual, 7)).max() < 1e-3


def test_one_composition_is_compared_with_its_median() -> None:
    counts = np.tile([4.0, 4.0], (9, 1))
    energies = np.array([-800.0] * 8 + [-788.0])
    found = energy_residuals(counts, energies)
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
    result = {check.rule: check for check in found.checks}["energy-outlier"]
    assert not result.passed
    assert result.numbers["failed_frames"] == 1
    assert result.numbers["warned_frames"] == 1
    assert "1 frame of 22" in result.sentence


def test_a_survey_tells_the_worst_of_every_rule_also_when_all_is_well() -> None:
    found = survey([("train", 0, dimer(QUIET, np.eye(3))), ("held-out", 0, dimer(QUIET, np.eye(3)))], LIMITS)
    assert [check.rule for check in found.checks] == [
        "force-cap",
        "min-distance",
        "net-force",
        "energy-outlier",
        "virial-symmetry",
    ]
    assert all(check.passed for check in found.checks)
    assert found.checks[0].numbers["largest_ev_per_angstrom"] == pytest.approx(1.0)


def test_without_virials_their_rule_is_not_claimed() -> None:
    found = survey([("train", 0, dimer(QUIET))], LIMITS)
    assert "virial-symmetry" not in [check.rule for check in found.checks]


def test_a_dataset_without_frames_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="without frames"):
        survey([], LIMITS)

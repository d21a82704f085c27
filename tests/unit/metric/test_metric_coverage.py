"""Coverage by the conformal rule, the nearest branch, alignment of energies, and the sample that is judged."""

from collections import Counter
from uuid import uuid4

import numpy as np
import pytest
from contracts.artifacts import BranchManifest
from contracts.base import BlobRef, BranchError, DatasetRef, LevelOfTheory
from frames.frame import FloatArray, Frame
from metric.domain.coverage import KnownBranch, Prediction, energy_shift, judge_branch, nearest
from metric.domain.sampling import growing_parts, sample_by_group

REF = DatasetRef(dataset_id=uuid4(), version=1)
BLOB = BlobRef(key="k", sha256="0" * 64, size=1)


def branch(name: str, held_out: list[float] | FloatArray, elements: tuple[str, ...] = ("Si",)) -> KnownBranch:
    manifest = BranchManifest(
        name=name,
        dataset=REF,
        dataset_manifest=BLOB,
        elements=elements,
        level_of_theory=LevelOfTheory(),
        weight=1.0,
        held_out=BranchError(branch=name, energy_rmse_mev_per_atom=5.0, force_rmse_mev_per_angstrom=100.0),
        held_out_max_force_errors_ev_per_angstrom=tuple(map(float, held_out)),
        baseline_energy_rmse_mev_per_atom=50.0,
        baseline_force_rmse_mev_per_angstrom=1000.0,
    )
    return KnownBranch.of(manifest)


def frame(numbers: list[int], energy: float = 0.0, forces: FloatArray | None = None) -> Frame:
    natoms = len(numbers)
    coords = 3.0 * np.arange(natoms)[:, None] * np.ones(3)
    return Frame(np.array(numbers), coords, None, energy, np.zeros((natoms, 3)) if forces is None else forces)


def off_by(frames: list[Frame], errors: FloatArray | list[float]) -> Prediction:
    """Exact energies; in each frame the first atom's force is wrong by that much, in eV/Å."""
    forces = []
    for one, error in zip(frames, errors, strict=True):
        wrong = one.forces.copy()
        wrong[0] += np.array([0.6, 0.0, 0.8]) * error
        forces.append(wrong)
    return Prediction(np.array([one.energy for one in frames]), forces)


def test_a_frame_is_covered_up_to_the_threshold_and_not_beyond() -> None:
    # 39 held-out errors 0.01 … 0.39: ⌈0.95 · 40⌉ = 38, so the threshold is the 38th, 0.38 eV/Å.
    frames = [frame([14, 14]) for _ in range(4)]
    judged = judge_branch(
        branch("si", [0.01 * rank for rank in range(1, 40)]), frames, off_by(frames, [0.1, 0.3799, 0.3801, 2.0]), {"Si"}
    )
    assert judged.coverage.threshold_ev_per_angstrom == pytest.approx(0.38)
    assert judged.covered.tolist() == [True, True, False, False]
    assert judged.coverage.coverage == 0.5
    np.testing.assert_allclose(judged.max_force_errors, [0.1, 0.3799, 0.3801, 2.0])
    total = 0.1**2 + 0.3799**2 + 0.3801**2 + 4
    assert judged.coverage.force_rmse_mev_per_angstrom == pytest.approx(1000 * np.sqrt(total / (3 * 8)))


def test_few_held_out_frames_widen_the_threshold() -> None:
    frames = [frame([14])] * 2
    judged = judge_branch(branch("si", [0.4, 0.2]), frames, off_by(frames, [0.49, 0.51]), {"Si"})
    assert judged.coverage.threshold_ev_per_angstrom == pytest.approx(0.5)
    assert judged.covered.tolist() == [True, False]


def test_data_drawn_like_the_held_out_data_is_covered_95_percent() -> None:
    """The promise of the conformal rule, over many calibrations of 40 held-out frames each."""
    rng = np.random.default_rng(11)
    fractions = []
    for _ in range(300):
        draws = rng.lognormal(-1.5, 0.5, 80)
        frames = [frame([14])] * 40
        judged = judge_branch(branch("si", draws[:40]), frames, off_by(frames, draws[40:]), {"Si"})
        fractions.append(judged.coverage.coverage)
    assert np.mean(fractions) == pytest.approx(0.95, abs=0.03)


def test_an_element_that_no_branch_has_seen_is_never_covered() -> None:
    frames = [frame([14, 14]), frame([6, 14])]
    judged = judge_branch(branch("si", [0.3] * 30), frames, off_by(frames, [0.0, 0.0]), {"Si"})
    assert judged.covered.tolist() == [True, False]
    assert judge_branch(branch("si", [0.3] * 30), frames, off_by(frames, [0, 0]), {"C", "Si"}).covered.all()


def test_nearest_is_who_knows_the_elements_however_small_the_errors_of_others() -> None:
    sic = [frame([6, 14])] * 3
    water = judge_branch(branch("water", [0.5] * 30, ("H", "O")), sic, off_by(sic, [0.2] * 3), {"H", "O", "Si"})
    silicon = judge_branch(branch("silicon", [0.5] * 30), sic, off_by(sic, [0.9] * 3), {"H", "O", "Si"})
    assert (water.familiarity, silicon.familiarity) == (0.0, 0.5)
    assert nearest([water, silicon]).coverage.branch == "silicon"
    assert nearest([water]).coverage.branch == "water"


def test_a_few_frames_with_another_element_do_not_make_a_branch_near() -> None:
    mostly = [frame([14, 14])] * 57 + [frame([6, 14])] * 3
    near = judge_branch(branch("silicon", [0.5] * 30), mostly, off_by(mostly, [0.1] * 60), {"C", "Si"})
    both = judge_branch(branch("sic", [0.5] * 30, ("C", "Si")), mostly, off_by(mostly, [0.4] * 60), {"C", "Si"})
    assert (both.familiarity, near.familiarity) == (1.0, 0.975)
    assert nearest([both, near]).coverage.branch == "silicon"


def test_nearest_is_the_smallest_force_rmse_whatever_the_coverage() -> None:
    frames = [frame([14])] * 3
    strict = judge_branch(branch("strict", [0.06] * 30), frames, off_by(frames, [0.2, 0.2, 0.2]), {"Si"})
    lax = judge_branch(branch("lax", [9.0] * 30), frames, off_by(frames, [0.3, 0.3, 0.3]), {"Si"})
    assert lax.coverage.coverage == 1.0
    assert nearest([lax, strict]).coverage.branch == "strict"
    twin = judge_branch(branch("a-twin", [0.06] * 30), frames, off_by(frames, [0.2, 0.2, 0.2]), {"Si"})
    assert nearest([strict, twin]).coverage.branch == "a-twin"


def test_energies_are_aligned_before_they_are_compared() -> None:
    rng = np.random.default_rng(3)
    compositions = [[1] * int(h) + [8] * int(o) for h, o in rng.integers(1, 6, (20, 2))]
    frames = [frame(one, energy=float(rng.normal())) for one in compositions]
    noise = rng.normal(0, 0.01, 20)
    shifted = np.array(
        [
            one.energy + 13.6 * numbers.count(1) - 431.0 * numbers.count(8)
            for one, numbers in zip(frames, compositions, strict=True)
        ]
    )
    judged = judge_branch(
        branch("w", [0.1] * 30, ("H", "O")),
        frames,
        Prediction(shifted + noise, [one.forces for one in frames]),
        {"H", "O"},
    )
    assert judged.coverage.alignment_rank == judged.coverage.elements == 2
    assert judged.coverage.energy_rmse_mev_per_atom < 10
    np.testing.assert_allclose(judged.aligned, [one.energy for one in frames], atol=0.1)
    shift = energy_shift(frames, shifted)
    assert shift == pytest.approx({"H": -13.6, "O": 431.0})


def test_one_composition_gives_rank_one_and_a_common_shift() -> None:
    """SiC: 4 Si and 4 C in every frame. Only the sum is determined: each element gets the same share."""
    frames = [frame([6] * 4 + [14] * 4, energy=-900.0 + 0.01 * k) for k in range(5)]
    predicted = np.array([one.energy + 80.0 for one in frames])
    judged = judge_branch(
        branch("si", [0.1] * 30), frames, Prediction(predicted, [one.forces for one in frames]), {"Si"}
    )
    assert (judged.coverage.alignment_rank, judged.coverage.elements) == (1, 2)
    assert judged.coverage.energy_rmse_mev_per_atom == pytest.approx(0, abs=1e-6)
    assert energy_shift(frames, predicted) == pytest.approx({"C": -10.0, "Si": -10.0})


def test_water_of_one_stoichiometry_shares_the_shift_too() -> None:
    """Minimal norm alone would give O half of H's shift; atoms of one set start from one common shift."""
    frames = [frame([1] * 16 + [8] * 8, energy=-3747.0)] * 3
    assert energy_shift(frames, np.full(3, -3747.0 + 24 * 5.0)) == pytest.approx({"H": -5.0, "O": -5.0})


def test_small_sets_are_judged_whole() -> None:
    assert sample_by_group(["a", "b", "a"], 3, seed=1) == [0, 1, 2]


def test_the_sample_shares_out_by_composition_and_repeats() -> None:
    groups = ["common"] * 1000 + ["rare"] * 5 + ["second"] * 400
    chosen = sample_by_group(groups, 100, seed=4)
    assert chosen == sample_by_group(groups, 100, seed=4)
    assert chosen != sample_by_group(groups, 100, seed=5)
    assert chosen == sorted(set(chosen))
    counts = Counter(groups[position] for position in chosen)
    # 5 rare ones are all there is; 95 are left for two groups.
    assert counts == {"rare": 5, "second": 47, "common": 48}


def test_more_compositions_than_places_still_fill_the_places() -> None:
    assert len(sample_by_group([f"c{k}" for k in range(50)], 20, seed=0)) == 20


def test_growing_parts_hold_one_another_and_never_come_twice() -> None:
    parts = growing_parts(40, (1.0, 0.25, 0.5), seed=7)
    assert [len(part) for part in parts] == [10, 20, 40]
    assert set(parts[0]) < set(parts[1]) < set(parts[2])
    assert parts == growing_parts(40, (0.25, 0.5, 1.0), seed=7)
    assert growing_parts(2, (0.01, 0.25, 1.0), seed=7)[-1] == [0, 1]
    assert [len(part) for part in growing_parts(2, (0.01, 0.25, 1.0), seed=7)] == [1, 2]

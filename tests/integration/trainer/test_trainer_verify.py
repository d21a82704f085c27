"""The verification must be able to say no, and must say yes to a real model."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dpa.environment import environment

os.environ.update(environment())

from contracts.artifacts import FrameErrors, HeldOutFrames  # torch reads the environment at import
from contracts.base import BranchError, RuleResult
from crystals import crystals
from dpa.batches import Prediction
from dpa.predictor import Predictor
from dpa.release import freeze
from frames.frame import Frame
from frames.store import write
from reference_model import RELEASE, held_out_frames, manifest
from trainer.verify import checks
from trainer.verify.dynamics import constant_energy
from trainer.verify.grading import CHECKS, CONSERVES, DERIVATIVES, EXTENSIVE, REPRODUCES, Finding, concluded, graded
from trainer.verify.probes import derivative_difference, extensive
from trainer.work import OUTCOME_FILE, BranchOutcome, Outcome, Verified

CRYSTAL = crystals("Si", "C", 1, 1)[0]
MOLECULE = replace(CRYSTAL, cell=None)
CUTOFF_ANGSTROM = 3.5
_IMAGES = np.array([[i, j, k] for i in range(-2, 3) for j in range(-2, 3) for k in range(-2, 3)], dtype=float)
Spoil = Callable[[Frame, Prediction], Prediction]


class Spheres:
    """Soft spheres in any cell, exactly; `spoil` takes away what a model must hold."""

    def __init__(self, spoil: Spoil = lambda _, prediction: prediction) -> None:
        self._spoil = spoil

    def predict(self, frames: Sequence[Frame]) -> Prediction:
        one = [self._spoil(frame, _spheres(frame)) for frame in frames]
        forces = [force for prediction in one for force in prediction.forces]
        return Prediction(np.concatenate([prediction.energy for prediction in one]), forces, [])


def _spheres(frame: Frame) -> Prediction:
    coords, images = frame.coords, np.zeros((1, 3))
    if frame.cell is not None:
        coords = coords - np.floor(coords @ np.linalg.inv(frame.cell)) @ frame.cell
        images = _IMAGES @ frame.cell
    vectors = coords[None, :, None] + images - coords[:, None, None]
    distances = np.linalg.norm(vectors, axis=-1)
    felt = (distances > 1e-6) & (distances < CUTOFF_ANGSTROM)
    room = np.where(felt, 1 - (distances / CUTOFF_ANGSTROM) ** 2, 0)
    forces = -np.sum((8 / CUTOFF_ANGSTROM**2 * room**3)[..., None] * vectors, axis=(1, 2))
    return Prediction(np.array([0.5 * np.sum(room**4)]), [forces], [])


def _stronger_forces(_: Frame, told: Prediction) -> Prediction:
    return replace(told, forces=[1.2 * told.forces[0]])


def _first_atom_counts_more(_: Frame, told: Prediction) -> Prediction:
    forces = told.forces[0].copy()
    forces[0] += 0.01
    return replace(told, forces=[forces])


def _knows_where_up_is(_: Frame, told: Prediction) -> Prediction:
    return replace(told, energy=told.energy + 0.01 * np.abs(told.forces[0][:, 2]).sum())


def _knows_where_the_origin_is(frame: Frame, told: Prediction) -> Prediction:
    return replace(told, energy=told.energy + 0.01 * np.linalg.norm(frame.coords.mean(axis=0)))


def _starts_at_one_electron_volt(_: Frame, told: Prediction) -> Prediction:
    return replace(told, energy=told.energy + 1)


def failed(spoil: Spoil | None, frame: Frame) -> set[str]:
    """Rules that a branch does not keep."""
    predictor = Spheres(spoil) if spoil else Spheres()
    findings = [
        *checks.symmetries(predictor, "x", frame),
        *checks._differences(EXTENSIVE, "x", extensive(predictor, frame)),
        checks.conserved(predictor, "x", frame),
    ]
    return {one.check.rule for one in findings if not one.passed}


@pytest.mark.parametrize("frame", [CRYSTAL, MOLECULE], ids=["crystal", "molecule"])
@pytest.mark.parametrize(
    ("spoil", "rules"),
    [
        (None, set()),
        (_stronger_forces, {"derivatives", "conserves-energy"}),
        (_first_atom_counts_more, {"permutation", "rotation", "extensive"}),
        (_knows_where_up_is, {"rotation"}),
        (_knows_where_the_origin_is, {"translation"}),
        (_starts_at_one_electron_volt, {"extensive"}),
    ],
)
def test_each_broken_law_is_found_out_and_an_exact_model_passes(
    spoil: Spoil | None, rules: set[str], frame: Frame
) -> None:
    found = failed(spoil, frame)
    assert rules <= found
    assert bool(found) == bool(rules)


def test_forces_are_compared_with_what_their_size_allows() -> None:
    difference, allowed = derivative_difference(Spheres(), CRYSTAL)
    assert difference < 1e-4 < allowed
    difference, allowed = derivative_difference(Spheres(_stronger_forces), CRYSTAL)
    assert difference > allowed


def test_a_run_that_loses_itself_ends_at_once() -> None:
    calls = []

    def explodes(_: Frame, told: Prediction) -> Prediction:
        calls.append(1)
        return replace(told, energy=told.energy * 100 ** len(calls))

    assert constant_energy(Spheres(explodes), CRYSTAL) > 1000
    assert len(calls) < 10
    no_number = replace(_spheres(CRYSTAL), energy=np.array([np.nan]))
    assert constant_energy(Spheres(lambda *_: no_number), CRYSTAL) == float("inf")


def finding(branch: str, found: float, quantity: str = "force_difference") -> Finding:
    return Finding(REPRODUCES, branch, quantity, "eV/Å", found, 1e-3)


def test_a_check_that_holds_tells_the_worst_number_with_its_bound() -> None:
    result = graded(REPRODUCES, [finding("silicon", 1e-6), finding("water", 2e-6)])
    assert (result.rule, result.passed, result.unknown) == ("reproduces", True, False)
    assert result.numbers == {
        "force_difference_ev_per_angstrom": 2e-6,
        "force_difference_ev_per_angstrom_allowed": 1e-3,
    }
    assert "force difference 2e-06 eV/Å (0.001 allowed) on 2 branches" in result.sentence


@pytest.mark.parametrize("found", [0.5, float("nan"), float("inf")])
def test_a_bad_branch_fails_the_check_and_is_named(found: float) -> None:
    result = graded(REPRODUCES, [finding("silicon", 1e-6), finding("x", found, "frozen_force_difference")])
    assert not result.passed
    assert "branch x: frozen force difference" in result.sentence
    assert "silicon" not in result.sentence
    assert Verified(passed=False, sentence="", numbers=result.numbers)  # no infinity in what crosses


def results(*broken: str) -> dict[object, RuleResult]:
    return {
        check: RuleResult(rule=check.rule, passed=check.rule not in broken, sentence=f"{check.rule} told.")
        for check in CHECKS
    }


def test_a_model_is_withheld_by_broken_laws_but_not_for_losing_energy_nor_for_what_nobody_can_tell() -> None:
    versions = {"deepmd-kit": "3.2.0"}
    everything = concluded(results(), 2, versions)  # type: ignore[arg-type]
    assert everything.passed
    assert "deepmd-kit 3.2.0" in everything.sentence
    assert "7 of 7 checks hold" in everything.sentence
    for check in CHECKS:
        verified = concluded(results(check.rule), 2, versions)  # type: ignore[arg-type]
        assert verified.passed == (check is CONSERVES)
        assert [one.rule for one in verified.checks if not one.passed] == [check.rule]
        assert verified.passed or f"{check.rule} told." in verified.sentence
    unknown = results()
    unknown[EXTENSIVE] = graded(EXTENSIVE, [], ["slab"])
    assert unknown[EXTENSIVE].unknown
    assert "slab, whose frames are too large" in unknown[EXTENSIVE].sentence
    assert concluded(unknown, 2, versions).passed  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference model as the engine leaves it behind."""
    folder = tmp_path_factory.mktemp("outcome")
    parts, frozen = [], {}
    nothing = FrameErrors(energy_mev_per_atom=(), force_mev_per_angstrom=())
    for described in manifest().branches:
        name = described.name
        frames = list(held_out_frames(name))[:4]
        write(folder / f"{name}.lmdb", frames)
        prediction = Predictor(RELEASE, name).predict(frames)
        np.savez(folder / f"{name}.npz", energy=prediction.energy, forces=np.concatenate(prediction.forces))
        frozen[name] = freeze(RELEASE, name, folder, ".pth")
        parts.append(
            BranchOutcome(
                name=name,
                held_out=BranchError(branch=name, energy_rmse_mev_per_atom=1, force_rmse_mev_per_angstrom=100),
                max_force_errors_ev_per_angstrom=(),
                baseline_energy_rmse_mev_per_atom=1,
                baseline_force_rmse_mev_per_angstrom=1,
                held_out_frames=HeldOutFrames(atoms=(), after=nothing, baseline=nothing),
                sample=folder / f"{name}.lmdb",
                predictions=folder / f"{name}.npz",
            )
        )
    told = Outcome(
        checkpoint=RELEASE,
        release=RELEASE,
        frozen=frozen,
        recipe=RELEASE,
        branches=tuple(parts),
        zero_shot=(),
        parent_held_out=(),
        steps=1,
        wall_seconds=1,
        versions=manifest().versions,
    )
    (folder / OUTCOME_FILE).write_text(told.model_dump_json())
    return folder


def test_a_real_model_passes_every_check_with_room_to_spare(outcome: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(outcome)
    verified = checks.verify()
    assert verified.passed, verified.sentence
    assert [one.rule for one in verified.checks] == [check.rule for check in CHECKS]
    for result in verified.checks:
        assert result.passed, result.sentence
        for name, bound in result.numbers.items():
            if name.endswith("_allowed") and result.rule != DERIVATIVES.rule:
                assert result.numbers[name.removesuffix("_allowed")] < bound / 5


def test_a_model_that_predicts_otherwise_than_the_trainer_is_withheld(
    outcome: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Outcome.model_validate_json((outcome / OUTCOME_FILE).read_text())
    silicon, water = told.branches
    energies = dict(np.load(silicon.predictions))
    np.savez(tmp_path / "other.npz", energy=energies["energy"] + 0.08, forces=energies["forces"])
    other = silicon.model_copy(update={"predictions": tmp_path / "other.npz"})
    monkeypatch.chdir(tmp_path)
    Path(OUTCOME_FILE).write_text(told.model_copy(update={"branches": (other, water)}).model_dump_json())
    monkeypatch.setattr(checks, "RUN_ATOMS", 0)
    verified = checks.verify()
    assert not verified.passed
    assert "branch silicon: energy difference 0.01 eV/atom (0.0001 allowed)" in verified.sentence
    assert "water" not in verified.sentence
    assert [one.rule for one in verified.checks if one.unknown] == ["conserves-energy"]


def test_a_model_of_other_software_is_not_judged_by_this_one(
    outcome: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = Outcome.model_validate_json((outcome / OUTCOME_FILE).read_text())
    monkeypatch.chdir(tmp_path)
    changed = {**told.versions, "torch": "1.0.0"}
    Path(OUTCOME_FILE).write_text(told.model_copy(update={"versions": changed}).model_dump_json())
    verified = checks.verify()
    assert not verified.passed
    assert "trained by torch 1.0.0 and cannot be checked by deepmd-kit 3.2.0 and torch" in verified.sentence

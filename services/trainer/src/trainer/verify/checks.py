"""Load what will be released, compare it with the trainer's own predictions, ask it what must hold of every model."""

from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
from dpa.checkpoint import branches
from dpa.predictor import Predictor
from frames.frame import Frame
from frames.store import read

from trainer.verify.dynamics import constant_energy
from trainer.verify.grading import (
    CHECKS,
    CONSERVES,
    DERIVATIVES,
    EXTENSIVE,
    PERMUTATION,
    REPRODUCES,
    ROTATION,
    TRANSLATION,
    Check,
    Finding,
    concluded,
    graded,
)
from trainer.verify.probes import (
    Difference,
    Predicts,
    between,
    derivative_difference,
    extensive,
    permutation,
    rotation,
    translation,
)
from trainer.work import OUTCOME_FILE, BranchOutcome, Outcome, Verified

# Single precision networks: the same weights in another process, and the same structure told in another way, differ
# by rounding (1e-7 eV/atom and 2e-5 eV/Å on the reference model); a wrong tensor or a lost symmetry by far more.
ENERGY_TOLERANCE_EV_PER_ATOM = 1e-4
FORCE_TOLERANCE_EV_PER_ANGSTROM = 1e-3
# Below 0.1 on the reference model; one whose energy surface has holes loses hundreds.
DRIFT_TOLERANCE_MEV_PER_ATOM = 1.0
# Each run is 200 predictions one after another. All branches share one descriptor: the worst tell of the rest.
RUN_BRANCHES = 2
RUN_ATOMS = 256
DOUBLED_ATOMS = 2000

_SYMMETRIES: tuple[tuple[Check, Callable[[Predicts, Frame], Difference]], ...] = (
    (PERMUTATION, permutation),
    (ROTATION, rotation),
    (TRANSLATION, translation),
)


def verify() -> Verified:
    """Check the outcome in the working directory. Raises what loading raises."""
    outcome = Outcome.model_validate_json(Path(OUTCOME_FILE).read_text())
    names = [branch.name for branch in outcome.branches]
    if branches(outcome.release) != names or list(outcome.frozen) != names:
        found = f"branches {branches(outcome.release)} and frozen {list(outcome.frozen)}"
        return Verified(passed=False, sentence=f"The model has {found}, not {names}.", numbers={})
    here = {name: version(name) for name in ("deepmd-kit", "torch")}
    other = [f"{name} {outcome.versions[name]}" for name in here if outcome.versions[name] != here[name]]
    if other:
        told = " and ".join(f"{name} {number}" for name, number in here.items())
        sentence = f"The model was trained by {', '.join(other)} and cannot be checked by {told}."
        return Verified(passed=False, sentence=sentence, numbers={})
    worst = sorted(outcome.branches, key=lambda one: one.held_out.force_rmse_mev_per_angstrom, reverse=True)
    runs = {branch.name for branch in worst[:RUN_BRANCHES]}
    findings: list[Finding] = []
    left_out: dict[Check, list[str]] = {check: [] for check in CHECKS}
    for branch in outcome.branches:
        released = Predictor(outcome.release, branch.name)
        frames = read(branch.sample)
        smallest = min(frames, key=lambda frame: frame.natoms)
        findings += _reproduced(outcome, branch, released, frames)
        findings += symmetries(released, branch.name, smallest)
        if 2 * smallest.natoms <= DOUBLED_ATOMS:
            findings += _differences(EXTENSIVE, branch.name, extensive(released, smallest))
        else:
            left_out[EXTENSIVE].append(branch.name)
        if branch.name not in runs:
            continue
        if smallest.natoms <= RUN_ATOMS:
            findings.append(conserved(released, branch.name, smallest))
        else:
            left_out[CONSERVES].append(branch.name)
    results = {check: graded(check, findings, left_out[check]) for check in CHECKS}
    return concluded(results, len(names), here)


def symmetries(predictor: Predicts, branch: str, frame: Frame) -> Iterator[Finding]:
    """Forces against derivatives, and what must not change when a structure is told in another way."""
    difference, allowed = derivative_difference(predictor, frame)
    yield Finding(DERIVATIVES, branch, "derivative_difference", "eV/Å", difference, allowed)
    for check, measure in _SYMMETRIES:
        yield from _differences(check, branch, measure(predictor, frame))


def conserved(predictor: Predicts, branch: str, frame: Frame) -> Finding:
    """The total energy of a short run."""
    drift = constant_energy(predictor, frame)
    return Finding(CONSERVES, branch, "energy_drift", "meV/atom", drift, DRIFT_TOLERANCE_MEV_PER_ATOM)


def _reproduced(outcome: Outcome, branch: BranchOutcome, released: Predictor, frames: list[Frame]) -> Iterator[Finding]:
    told = np.load(branch.predictions)
    atoms = [frame.natoms for frame in frames]
    predicted = released.predict(frames)
    yield from _differences(REPRODUCES, branch.name, between(predicted, told["energy"], told["forces"], atoms))
    frozen = Predictor(outcome.frozen[branch.name], branch.name).predict(frames)
    same = between(frozen, predicted.energy, np.concatenate(predicted.forces), atoms)
    yield from _differences(REPRODUCES, branch.name, same, "frozen_")


def _differences(check: Check, branch: str, found: Difference, prefix: str = "") -> Iterator[Finding]:
    tolerance = ENERGY_TOLERANCE_EV_PER_ATOM
    yield Finding(check, branch, f"{prefix}energy_difference", "eV/atom", found.energy, tolerance)
    tolerance = FORCE_TOLERANCE_EV_PER_ANGSTROM
    yield Finding(check, branch, f"{prefix}force_difference", "eV/Å", found.force, tolerance)

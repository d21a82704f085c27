"""Load what will be released and compare it with what the trainer itself predicted."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from dpa.batches import Prediction
from dpa.checkpoint import branches
from dpa.predictor import Predictor
from frames.frame import FloatArray, Frame
from frames.store import read

from trainer.work import OUTCOME_FILE, BranchOutcome, Outcome, Verified

# Single precision networks: the same weights in another process differ by rounding, a wrong tensor by far more.
ENERGY_TOLERANCE_EV_PER_ATOM = 1e-4
FORCE_TOLERANCE_EV_PER_ANGSTROM = 1e-3
# Central differences of single precision energies are good to a few meV/Å at this displacement.
DISPLACEMENT_ANGSTROM = 2e-3
DERIVATIVE_TOLERANCE_EV_PER_ANGSTROM = 0.02
DERIVATIVE_RELATIVE_TOLERANCE = 0.02
DIRECTIONS = 6


@dataclass(frozen=True, slots=True)
class BranchCheck:
    """Largest differences found on one branch, eV/atom and eV/Å; `derivative_allowed` is its tolerance."""

    branch: str
    energy: float
    force: float
    frozen_energy: float
    frozen_force: float
    derivative: float
    derivative_allowed: float

    @property
    def complaints(self) -> list[str]:
        """What is not as it must be, in words."""
        found = []
        if not (self.energy <= ENERGY_TOLERANCE_EV_PER_ATOM and self.force <= FORCE_TOLERANCE_EV_PER_ANGSTROM):
            found.append(
                f"branch {self.branch} of the .pt differs from the trainer by {self.energy:.1e} eV/atom "
                f"and {self.force:.1e} eV/Å"
            )
        if not (
            self.frozen_energy <= ENERGY_TOLERANCE_EV_PER_ATOM and self.frozen_force <= FORCE_TOLERANCE_EV_PER_ANGSTROM
        ):
            found.append(
                f"branch {self.branch} frozen differs from the .pt by {self.frozen_energy:.1e} eV/atom "
                f"and {self.frozen_force:.1e} eV/Å"
            )
        if not self.derivative <= self.derivative_allowed:
            found.append(
                f"forces of branch {self.branch} differ from the derivative of its energy by {self.derivative:.1e} eV/Å"
            )
        return found


def verify() -> Verified:
    """Check the outcome in the working directory. Raises what loading raises."""
    outcome = Outcome.model_validate_json(Path(OUTCOME_FILE).read_text())
    names = [branch.name for branch in outcome.branches]
    if branches(outcome.release) != names or list(outcome.frozen) != names:
        found = f"branches {branches(outcome.release)} and frozen {list(outcome.frozen)}"
        return Verified(passed=False, sentence=f"The model has {found}, not {names}.", numbers={})
    return concluded([_check(outcome, branch) for branch in outcome.branches])


def concluded(checks: list[BranchCheck]) -> Verified:
    """One verdict over all branches."""
    complaints = [complaint for check in checks for complaint in check.complaints]
    sentence = (
        f"The model loads in a fresh process and repeats the trainer's energies and forces on {len(checks)} branches, "
        "as .pt and frozen; its forces are the derivative of its energy."
    )
    worst = {
        "energy_difference_ev_per_atom": max(max(check.energy, check.frozen_energy) for check in checks),
        "energy_tolerance_ev_per_atom": ENERGY_TOLERANCE_EV_PER_ATOM,
        "force_difference_ev_per_angstrom": max(max(check.force, check.frozen_force) for check in checks),
        "force_tolerance_ev_per_angstrom": FORCE_TOLERANCE_EV_PER_ANGSTROM,
        "derivative_difference_ev_per_angstrom": max(check.derivative for check in checks),
        "derivative_tolerance_ev_per_angstrom": min(check.derivative_allowed for check in checks),
    }
    return Verified(
        passed=not complaints,
        sentence=f"The model is not what was trained: {'; '.join(complaints)}." if complaints else sentence,
        numbers={name: value for name, value in worst.items() if np.isfinite(value)},
    )


def _check(outcome: Outcome, branch: BranchOutcome) -> BranchCheck:
    frames = read(branch.sample)
    told = np.load(branch.predictions)
    released = Predictor(outcome.release, branch.name)
    predicted = released.predict(frames)
    frozen = Predictor(outcome.frozen[branch.name], branch.name).predict(frames)
    derivative, allowed = derivative_difference(released, frames[0])
    return BranchCheck(
        branch.name,
        _energy(predicted.energy - told["energy"], frames),
        _force(predicted, told["forces"]),
        _energy(frozen.energy - predicted.energy, frames),
        _force(frozen, np.concatenate(predicted.forces)),
        derivative,
        allowed,
    )


def derivative_difference(predictor: Predictor, frame: Frame) -> tuple[float, float]:
    """Largest difference of −dE/dx from F·x, and what is allowed; both eV/Å.

    x are unit vectors in the space of all atoms: along the force, and random ones.
    """
    forces = predictor.predict([frame]).forces[0]
    random = np.random.default_rng(0)
    directions = [forces, *random.normal(size=(DIRECTIONS, *forces.shape))]
    units = [direction / length for direction in directions if (length := np.linalg.norm(direction)) > 0]
    moved = [
        replace(frame, coords=frame.coords + sign * DISPLACEMENT_ANGSTROM * unit) for unit in units for sign in (1, -1)
    ]
    energy = predictor.predict(moved).energy.reshape(-1, 2)
    slopes = -(energy[:, 0] - energy[:, 1]) / (2 * DISPLACEMENT_ANGSTROM)
    expected = np.array([float(np.sum(forces * unit)) for unit in units])
    allowed = DERIVATIVE_TOLERANCE_EV_PER_ANGSTROM + DERIVATIVE_RELATIVE_TOLERANCE * float(np.linalg.norm(forces))
    return float(np.max(np.abs(slopes - expected))), allowed


def _energy(difference: FloatArray, frames: list[Frame]) -> float:
    return float(np.max(np.abs(difference) / np.array([frame.natoms for frame in frames])))


def _force(prediction: Prediction, reference: FloatArray) -> float:
    return float(np.max(np.abs(np.concatenate(prediction.forces) - reference)))

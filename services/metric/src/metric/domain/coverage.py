"""Does the current model know this data? The conformal rule, branch by branch (pipeline §2)."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from contracts.artifacts import BranchCoverage, BranchManifest
from frames.align import Alignment, align_energies
from frames.errors import conformal_threshold, energy_rmse, force_rmse, max_force_error
from frames.frame import SYMBOLS, FloatArray, Frame, element_counts
from frames.nearness import by_nearness, familiarity
from numpy.typing import NDArray

from metric.domain.novelty import Closeness


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of one branch: energy float64 [F] eV, forces one float64 [n, 3] a frame, eV/Å.

    device     where the model ran: 'cpu', 'cuda'
    virial     one float64 [3, 3] a frame, eV; None: not predicted
    closeness  to the model's training frames, when it was asked for
    """

    energy: FloatArray
    forces: list[FloatArray]
    device: str = "cpu"
    virial: list[FloatArray] | None = None
    closeness: Closeness | None = None


@dataclass(frozen=True, slots=True)
class KnownBranch:
    """What is told of a branch that frames are held against.

    elements   symbols that its training data had
    threshold  eV/Å: a frame whose largest force error is not above it counts as known
    held_out_force_rmse_mev_per_angstrom  its own error
    """

    name: str
    elements: frozenset[str]
    threshold_ev_per_angstrom: float
    held_out_force_rmse_mev_per_angstrom: float

    @classmethod
    def of(cls, branch: BranchManifest) -> "KnownBranch":
        return cls(
            name=branch.name,
            elements=frozenset(branch.elements),
            threshold_ev_per_angstrom=conformal_threshold(branch.held_out_max_force_errors_ev_per_angstrom),
            held_out_force_rmse_mev_per_angstrom=branch.held_out.force_rmse_mev_per_angstrom,
        )


@dataclass(frozen=True, slots=True)
class BranchJudgement:
    """One branch against the judged frames.

    max_force_errors  float64 [F], eV/Å, max over atoms of ‖ΔF‖
    covered           bool [F]
    aligned           float64 [F], eV: predicted energies on the dataset's own level of theory
    distance          eV/Å, force RMSE on the frames all of whose elements the model knows: nobody predicts the others,
                      and a few of them must not decide which branch is near. Without any it is that of all frames.
    familiarity       0..1, the part of a frame's elements that the branch itself has seen, mean over the frames
    """

    coverage: BranchCoverage
    max_force_errors: FloatArray
    covered: NDArray[np.bool_]
    aligned: FloatArray
    distance: float
    familiarity: float
    prediction: Prediction


def judge_branch(
    branch: KnownBranch,
    frames: Sequence[Frame],
    prediction: Prediction,
    known_elements: AbstractSet[str],
    trained: NDArray[np.bool_] | None = None,
) -> BranchJudgement:
    """`known_elements` are those that any branch of the model has seen: a frame with another is never covered.

    trained  bool [F]: the model was trained on this structure already; such a frame brings nothing, however large
             the error that was left. None: on no frame.
    """
    reference = [frame.forces for frame in frames]
    errors = max_force_error(prediction.forces, reference)
    known = np.array([set(frame.symbols) <= known_elements for frame in frames], dtype=np.bool_)
    covered = known & (errors <= branch.threshold_ev_per_angstrom)
    if trained is not None:
        covered |= trained
    counts, natoms, energies = _labels(frames)
    alignment = align_energies(counts, prediction.energy - energies)
    return BranchJudgement(
        coverage=BranchCoverage(
            branch=branch.name,
            force_rmse_mev_per_angstrom=1000 * force_rmse(prediction.forces, reference),
            energy_rmse_mev_per_atom=1000 * energy_rmse(alignment.residual, natoms),
            threshold_ev_per_angstrom=branch.threshold_ev_per_angstrom,
            coverage=float(covered.mean()),
            alignment_rank=alignment.rank,
            elements=int(counts.any(axis=0).sum()),
        ),
        max_force_errors=errors,
        covered=covered,
        aligned=energies + alignment.residual,
        distance=_distance(prediction.forces, reference, known),
        familiarity=_familiarity(frames, branch.elements),
        prediction=prediction,
    )


def nearest(judged: Sequence[BranchJudgement]) -> BranchJudgement:
    """Of the branches that know the dataset's elements best, the one of smallest force RMSE; of equals the first by
    name. Raises ValueError for none.

    Forces of elements that a branch has never met are chance: a branch of water may be less wrong about SiC than one
    of silicon, and is not nearer to it for that.
    """
    if not judged:
        raise ValueError("of no branches none is nearest")
    return by_nearness(judged, lambda one: one.familiarity, lambda one: (one.distance, one.coverage.branch))[0]


def _familiarity(frames: Sequence[Frame], elements: AbstractSet[str]) -> float:
    return float(np.mean([familiarity(set(frame.symbols), elements) for frame in frames]))


def _distance(predicted: Sequence[FloatArray], reference: Sequence[FloatArray], known: NDArray[np.bool_]) -> float:
    which = [position for position, one in enumerate(known) if one or not known.any()]
    return force_rmse([predicted[one] for one in which], [reference[one] for one in which])


def energy_shift(frames: Sequence[Frame], predicted: FloatArray) -> dict[str, float]:
    """Element → eV per atom to add to a prediction (float64 [F], eV) so that it meets these frames' energies.

    Where the compositions leave the shifts undetermined, they stay as near as they can to one common shift per
    atom: no element starts a hundred eV off because the set has a single composition.
    """
    counts, natoms, energies = _labels(frames)
    missing = energies - predicted
    common = float(np.mean(missing / natoms))
    around: Alignment = align_energies(counts, missing - common * natoms)
    return {SYMBOLS[number]: common + float(around.shift[number]) for number in np.flatnonzero(counts.any(axis=0))}


def _labels(frames: Sequence[Frame]) -> tuple[FloatArray, FloatArray, FloatArray]:
    counts = element_counts(frames)
    return counts, counts.sum(axis=1), np.array([frame.energy for frame in frames], dtype=np.float64)

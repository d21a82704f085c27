"""One judgement of a dataset, from its survey and the model's predictions to the numbers of a MetricReport."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from contracts.artifacts import DescriptorMap, FrameVerdict, Histogram, Novelty, Parity
from contracts.base import RuleResult
from frames.baseline import composition_only
from frames.frame import FloatArray, Frame
from frames.pairs import in_order, pairs_of_formulas

from metric.domain.coverage import BranchJudgement, KnownBranch, Prediction, energy_shift, judge_branch, nearest
from metric.domain.descriptor_map import Placed, placed
from metric.domain.frame_verdicts import frame_verdicts
from metric.domain.labels import judge_all
from metric.domain.limits import Limits
from metric.domain.novelty import Outline
from metric.domain.plausibility import Agreement, Candidate
from metric.domain.survey import Survey, Surveyed
from metric.domain.verdict import Judged, Outcome, new, outcome, sound

PARITY_POINTS = 2000
_BINS_PER_DECADE = 10
_DECADES_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Known:
    """What the judged model is: its version and branches, the pairs of elements in its training data, and how its
    training frames lie, where that is known.
    """

    version: str
    branches: tuple[KnownBranch, ...]
    pairs: frozenset[str] = frozenset()
    outline: Outline | None = None

    @property
    def elements(self) -> frozenset[str]:
        return frozenset(element for branch in self.branches for element in branch.elements)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Everything that is decided about a dataset; the report and the event are written from it."""

    outcome: Outcome
    sound: RuleResult
    new: RuleResult
    checks: tuple[RuleResult, ...]
    coverage: float
    frames_judged: int
    branches: tuple[BranchJudgement, ...]
    nearest: BranchJudgement | None
    energy_shift_ev: dict[str, float]
    new_elements: tuple[str, ...]
    new_element_pairs: tuple[str, ...]
    agreement: Agreement | None
    parity: tuple[Parity, ...]
    histogram: Histogram | None
    verdicts: tuple[FrameVerdict, ...]
    failed_frames: int
    novelty: Novelty | None
    map: DescriptorMap | None


def judge(
    survey: Survey,
    sampled: Sequence[Surveyed],
    frames: Sequence[Frame],
    model: Known | None,
    predictions: Sequence[Prediction],
    limits: Limits,
    seed: int,
    pairs: frozenset[str] = frozenset(),
    trained: Sequence[bool] = (),
) -> Judgement:
    """`sampled` and `frames` are the predicted frames in the same order; `predictions` one a branch of `model`.

    `pairs` are those of the dataset as ingest told them; empty: those of its compositions. `trained`: of
    each sampled frame whether a dataset that trained the model holds it; empty: of none.

    Frames that failed a check are held against the model for their labels only: they are neither
    covered nor useful.
    """
    keep = [position for position, one in enumerate(sampled) if not one.failed]
    kept = [frames[position] for position in keep]
    known = model.elements if model is not None else frozenset()
    new_elements = tuple(element for element in survey.elements if element not in known) if model is not None else ()
    branches: tuple[BranchJudgement, ...] = ()
    candidates = _candidates(model, predictions) if model is not None and frames else []
    labels = judge_all(survey.records.rows["closest_ratio"], frames, candidates, limits)
    held = np.array([trained[position] for position in keep] if trained else [False] * len(keep), dtype=np.bool_)
    if model is not None and kept:
        branches = tuple(
            judge_branch(branch, kept, _subset(prediction, keep), known, held)
            for branch, prediction in zip(model.branches, predictions, strict=True)
        )
    near = nearest(branches) if branches else None
    coverage = near.coverage.coverage if near is not None else 0.0
    facts = Judged(
        model_version=model.version if model is not None else None,
        frames_judged=len(kept),
        branches=branches,
        nearest=near,
        new_elements=new_elements,
        with_new_elements=sum(not set(frame.symbols) <= known for frame in kept) if model is not None else 0,
        distrusted=bool(labels.against),
        trained=int(held.sum()),
    )
    sound_result, new_result = sound(survey, labels.against, limits), new(facts, coverage, limits)
    judged = [sampled[position] for position in keep]
    among_known = _placed(model, predictions, keep, judged, seed)
    return Judgement(
        outcome=outcome(sound_result, new_result),
        sound=sound_result,
        new=new_result,
        checks=(*survey.checks, *labels.results),
        coverage=coverage,
        frames_judged=len(kept),
        branches=branches,
        nearest=near,
        energy_shift_ev=_shift(judged, kept, near) if near is not None else {},
        new_elements=new_elements if model is not None else survey.elements,
        new_element_pairs=in_order(
            (pairs or pairs_of_formulas(survey.records.formulas)) - (model.pairs if model is not None else frozenset())
        ),
        agreement=labels.agreement,
        parity=parity(kept, near, seed) if near is not None else (),
        histogram=log_histogram(near.max_force_errors, near.coverage.threshold_ev_per_angstrom) if near else None,
        verdicts=frame_verdicts(
            survey, judged, kept, near, sound_result.passed, among_known.distance if among_known is not None else None
        ),
        failed_frames=survey.failed,
        novelty=among_known.novelty if among_known is not None else None,
        map=among_known.map if among_known is not None else None,
    )


def _candidates(model: Known, predictions: Sequence[Prediction]) -> list[Candidate]:
    return [
        Candidate(branch.name, branch.elements, branch.held_out_force_rmse_mev_per_angstrom, prediction)
        for branch, prediction in zip(model.branches, predictions, strict=True)
    ]


def _subset(prediction: Prediction, keep: Sequence[int]) -> Prediction:
    return Prediction(prediction.energy[list(keep)], [prediction.forces[position] for position in keep])


def _placed(
    model: Known | None,
    predictions: Sequence[Prediction],
    keep: Sequence[int],
    judged: Sequence[Surveyed],
    seed: int,
) -> Placed | None:
    """Descriptors are shared by all branches: they come with the prediction of one of them."""
    close = next((one.closeness for one in predictions if one.closeness is not None), None)
    if model is None or model.outline is None or close is None or not keep:
        return None
    return placed(close, model.outline, keep, [(one.split, one.index) for one in judged], seed)


def _shift(judged: Sequence[Surveyed], frames: Sequence[Frame], near: BranchJudgement) -> dict[str, float]:
    """Fitted on training frames: held-out ones must not help a branch that they will be used to judge."""
    rows = [position for position, one in enumerate(judged) if one.split == "train"] or list(range(len(frames)))
    return energy_shift([frames[position] for position in rows], near.prediction.energy[rows])


def parity(frames: Sequence[Frame], near: BranchJudgement, seed: int) -> tuple[Parity, ...]:
    """Predicted against DFT, at most PARITY_POINTS each.

    Energy: per atom, less what a least-squares energy of each element explains, or composition would hide all else;
    force: components. `rmse` is in `unit`, over all judged frames.
    """
    rng = np.random.default_rng(seed)
    natoms = np.array([frame.natoms for frame in frames], dtype=np.float64)
    baseline = composition_only(frames).energies(frames)
    reported = np.array([frame.energy for frame in frames])
    energy = _parity(
        "energy",
        "eV/atom",
        (reported - baseline) / natoms,
        (near.aligned - baseline) / natoms,
        near.coverage.energy_rmse_mev_per_atom / 1000,
        rng,
    )
    force = _parity(
        "force",
        "eV/Å",
        np.concatenate([frame.forces.ravel() for frame in frames]),
        np.concatenate([forces.ravel() for forces in near.prediction.forces]),
        near.coverage.force_rmse_mev_per_angstrom / 1000,
        rng,
    )
    return energy, force


def _parity(
    quantity: Literal["energy", "force"],
    unit: str,
    reference: FloatArray,
    predicted: FloatArray,
    rmse: float,
    rng: np.random.Generator,
) -> Parity:
    if len(reference) > PARITY_POINTS:
        chosen = np.sort(rng.choice(len(reference), size=PARITY_POINTS, replace=False))
        reference, predicted = reference[chosen], predicted[chosen]
    return Parity(quantity=quantity, unit=unit, reference=_rounded(reference), predicted=_rounded(predicted), rmse=rmse)


def _rounded(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in np.round(values, 6))


def log_histogram(errors: Collection[float] | FloatArray, threshold: float) -> Histogram:
    """Of positive numbers in tenths of a decade; the threshold is one of the edges, so no bin mixes both sides.

    What lies below the lowest edge, at most four decades under the largest, is counted in the first bin.
    """
    values = np.asarray(errors, dtype=np.float64)
    top = max(float(values.max()), threshold)
    low = max(min(float(values.min()), threshold), top * 10.0**-_DECADES_SHOWN)
    first = int(np.floor(_BINS_PER_DECADE * np.log10(low / threshold) + 1e-9))
    last = int(np.ceil(_BINS_PER_DECADE * np.log10(top / threshold) - 1e-9))
    steps = np.arange(min(first, -1), max(last, 1) + 1)
    edges = threshold * 10.0 ** (steps / _BINS_PER_DECADE)
    # A frame exactly at the threshold is covered: bins are closed above.
    bins = np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)
    counts = np.bincount(bins, minlength=len(edges) - 1)
    return Histogram(edges=tuple(map(float, edges)), counts=tuple(map(int, counts)))

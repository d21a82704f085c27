"""Reports and manifests that the metric's pictures are drawn from: judged, without a model, with and without extras."""

from itertools import combinations
from uuid import UUID

import numpy as np
from contracts.artifacts import (
    BranchCoverage,
    DatasetManifest,
    DescriptorMap,
    FrameVerdict,
    GainPoint,
    Histogram,
    LearningGain,
    MapPoint,
    MetricReport,
    Novelty,
    Parity,
)
from contracts.base import BlobRef, DatasetRef, LevelOfTheory, RuleResult
from frames.frame import SYMBOLS
from metric.domain.report import log_histogram

REF = DatasetRef(dataset_id=UUID(int=7), version=1)
BLOB = BlobRef(key="k", sha256="0" * 64, size=1)
FINE = RuleResult(rule="sound", passed=True, sentence="Fine.")


def manifest() -> DatasetManifest:
    return DatasetManifest(
        dataset=REF,
        content_sha256="0" * 64,
        train=BLOB,
        held_out=BLOB,
        frames=12,
        train_frames=9,
        held_out_frames=3,
        duplicate_frames=0,
        atoms=96,
        elements=("C", "Si"),
        compositions=(),
        has_virial=True,
        level_of_theory=LevelOfTheory(),
        format="qe/pw/scf",
        set_aside=(),
        energy_per_atom_ev=Histogram(edges=(-107.95, -107.9, -107.85), counts=(5, 7)),
        force_component_ev_per_angstrom=Histogram(edges=(-1.0, 0.0, 1.0), counts=(100, 188)),
        preview=(),
        versions={},
    )


def report(model: str | None, branch: str = "si-pbe", points: int = 50, threshold: float = 0.5) -> MetricReport:
    rng = np.random.default_rng(1)
    errors = rng.lognormal(-1.6, 0.4, points)
    values = tuple(map(float, rng.normal(0, 1, points)))
    covered = int((errors <= threshold).sum())
    near = BranchCoverage(
        branch=branch,
        force_rmse_mev_per_angstrom=141.0,
        energy_rmse_mev_per_atom=6.0,
        threshold_ev_per_angstrom=threshold,
        coverage=covered / points,
        alignment_rank=1,
        elements=1,
    )
    return MetricReport(
        dataset=REF,
        run_id=UUID(int=1),
        model_version=model,
        frames_judged=points,
        sound=FINE,
        new=FINE,
        checks=(),
        coverage=near.coverage if model else 0,
        threshold_ev_per_angstrom=threshold if model else None,
        branches=(near,) if model else (),
        nearest_branch=branch if model else None,
        energy_shift_ev={},
        new_elements=(),
        parity=(
            Parity(quantity="energy", unit="eV/atom", reference=values, predicted=values, rmse=0.006),
            Parity(quantity="force", unit="eV/Å", reference=values, predicted=values, rmse=0.141),
        )
        if model
        else (),
        max_force_error_histogram=log_histogram(errors, threshold) if model else None,
        verdicts=(),
        pictures={},
        settings={},
        versions={},
    )


def full_report(points: int = 50, threshold: float = 0.5, far_above: float = 2.0) -> MetricReport:
    """With a map and novelty of `points` frames, every third of which is covered."""
    rng = np.random.default_rng(2)
    places = rng.normal(0, 1, (points, 2)).tolist()
    distances = rng.lognormal(0.3, 0.6, points)
    edges = np.geomspace(0.5 * distances.min(), 1.1 * distances.max(), 12)
    return report("1.0", points=points, threshold=threshold).model_copy(
        update={
            "verdicts": tuple(
                FrameVerdict(split="train", index=k, verdict="useful", covered=k % 3 == 0) for k in range(points)
            ),
            "map": DescriptorMap(
                known=(MapPoint(x=0.0, y=0.0), MapPoint(x=1.0, y=-1.0)),
                new=tuple(MapPoint(x=x, y=y, split="train", index=k) for k, (x, y) in enumerate(places)),
                explained=(0.6, 0.25),
            ),
            "novelty": Novelty(
                median=float(np.median(distances)),
                percentile_95=float(np.percentile(distances, 95)),
                far_fraction=float((distances > far_above).mean()),
                far_above=far_above,
                histogram=Histogram(
                    edges=tuple(map(float, edges)), counts=tuple(map(int, np.histogram(distances, edges)[0]))
                ),
            ),
        }
    )


def with_pairs(elements: tuple[str, ...]) -> DatasetManifest:
    pairs = tuple(f"{a}-{b}" for a, b in combinations(elements, 2))
    return manifest().model_copy(update={"elements": elements, "element_pairs": pairs})


def cases() -> dict[str, tuple[MetricReport, DatasetManifest]]:
    """What `pictures` takes: together, every sentence that pictures have."""
    novel = full_report(points=200)
    assert novel.novelty is not None
    gain = LearningGain(
        steps=300,
        points=(
            GainPoint(frames=0, energy_rmse_mev_per_atom=6.0, force_rmse_mev_per_angstrom=141.0),
            GainPoint(frames=64, energy_rmse_mev_per_atom=2.0, force_rmse_mev_per_angstrom=70.0),
        ),
    )
    some_new = {"new_elements": ("La",), "new_element_pairs": ("O-La", "Si-La")}
    many_new = {
        "new_elements": SYMBOLS[:30],
        "new_element_pairs": tuple(f"{a}-{b}" for a, b in combinations(SYMBOLS[:30], 2)),
    }
    left = report("1.0").model_copy(
        update={
            "verdicts": tuple(
                FrameVerdict(
                    split="train", index=k, verdict="useful", covered=k < 4, max_force_error_ev_per_angstrom=error
                )
                for k, error in enumerate([0.1] * 6 + [0.9] * 2)
            ),
            "max_force_error_histogram": log_histogram([0.1] * 6 + [0.9] * 2, 0.5),
        }
    )
    trained = novel.model_copy(update={"novelty": novel.novelty.model_copy(update={"median": 1e-7})})
    return {
        "judged": (full_report(), with_pairs(("O", "Si"))),
        "one of each": (full_report(points=1), manifest().model_copy(update={"elements": ("C",)})),
        "new elements": (report("1.0").model_copy(update=some_new), with_pairs(("O", "Si", "La"))),
        "many new elements": (report("1.0").model_copy(update=many_new), with_pairs(SYMBOLS[:40])),
        "left of the threshold": (left, manifest()),
        "training frames": (trained, manifest()),
        "gain": (novel.model_copy(update={"learning_gain": gain}), manifest()),
        "no model": (report(None), with_pairs(("C", "Si"))),
        "no model, many elements": (report(None), manifest().model_copy(update={"elements": SYMBOLS[:40]})),
    }

"""Datasets, candidates and events with round numbers, as the registry's tests need them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from contracts.artifacts import BranchManifest, Cost, DatasetManifest, Gpu, Hardware, Histogram, ModelManifest
from contracts.base import BlobRef, BranchError, Credit, DatasetRef, LevelOfTheory, RuleResult
from contracts.events import DatasetMetricPassed
from registry.domain.policy import GrowthPolicy
from registry.domain.rounds import Branch, Member

CONTENT = "c" * 64
Errors = tuple[float, float]
"""Energy RMSE in meV/atom, force RMSE in meV/Å."""


def policy(**changes: object) -> GrowthPolicy:
    """The documented thresholds, short times, two attempts."""
    values: dict[str, object] = {
        "preset": "laptop",
        "first_round_min_datasets": 2,
        "gather_seconds": 10,
        "gather_max_seconds": 1_000_000,
        "max_datasets_per_round": 3,
        "first_round_steps": 100,
        "growth_round_steps": 90,
        "lease_ttl_seconds": 30,
        "seed": 1,
        "max_attempts": 2,
        "learned_min_reduction": 0.05,
        "standard_max_worsening": 0.02,
        "remembered_max_rise": 0.05,
    }
    return GrowthPolicy.model_validate(values | changes)


def blob(key: str, data: bytes = b"") -> BlobRef:
    return BlobRef(key=key, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def member(
    title: str = "Silicon",
    train_frames: int = 100,
    *,
    private: bool = False,
    arrival: int = 1,
    author: str = "demo contributor",
) -> Member:
    ref = DatasetRef(dataset_id=uuid4(), version=1)
    return Member(
        ref=ref,
        credit=Credit(title=title, authors=(author,), licence="CC-BY-4.0", private=private),
        arrival=arrival,
        manifest=blob(f"datasets/{ref.dataset_id}/manifest.json"),
        metric_report=blob(f"metric/{ref.dataset_id}/report.json"),
        train_frames=train_frames,
        nearest_branch=None,
        energy_shift_ev={},
        traceparent=None,
    )


def branch(name: str, *, is_new: bool = True, weight: float = 0.5, of: Member | None = None) -> Branch:
    return Branch(name=name, member=of or member(name), is_new=is_new, weight=weight)


@dataclass(frozen=True)
class Numbers:
    """What a candidate says of one branch. `before`: zero-shot of a new branch, the parent's error of an old one."""

    after: Errors
    before: Errors | None = None
    baseline: Errors = (100.0, 1000.0)


def error(name: str, values: Errors, dataset: DatasetRef | None = None) -> BranchError:
    return BranchError(
        branch=name,
        dataset=dataset,
        energy_rmse_mev_per_atom=values[0],
        force_rmse_mev_per_angstrom=values[1],
    )


LOADS = RuleResult(
    rule="verification",
    passed=True,
    sentence="A fresh process reproduced the predictions.",
    numbers={"largest_force_difference_ev_per_angstrom": 1e-6},
)


CONSERVES = RuleResult(
    rule="conserves-energy",
    passed=False,
    sentence="A run of 200 steps at constant energy loses or gains total energy: branch si.",
    numbers={"energy_drift_mev_per_atom": 3.0, "energy_drift_mev_per_atom_allowed": 1.0},
)


HARDWARE = Hardware(
    cpu="Example 9000", cpu_cores=8, memory_bytes=64 << 30, gpus=(Gpu(name="Example GPU"),), device="cuda"
)
COST = Cost(attempts=1, attempts_told=1, core_hours=0.5, gpu_hours=0.5, gpu_energy_kwh=0.25)


def manifest(
    numbers: Mapping[str, Numbers],
    *,
    new: Sequence[str],
    parent: str | None = "1.0",
    round_id: UUID | None = None,
    datasets: Mapping[str, DatasetRef] | None = None,
    files: Mapping[str, BlobRef] | None = None,
    verification: RuleResult = LOADS,
) -> ModelManifest:
    """A candidate with these errors; files lie in the round's folder."""
    identifier = round_id or uuid4()
    refs = datasets or {name: DatasetRef(dataset_id=uuid4(), version=1) for name in numbers}
    stored = files or {name: blob(f"rounds/{identifier}/{name}") for name in file_names(numbers)}
    return ModelManifest(
        round_id=identifier,
        parent_version=parent,
        preset="laptop",
        checkpoint=stored["checkpoint.pt"],
        release=stored["release.pt"],
        frozen={name: stored[f"{name}.pth"] for name in numbers},
        recipe=stored["recipe.json"],
        branches=tuple(
            BranchManifest(
                name=name,
                dataset=refs[name],
                dataset_manifest=blob(f"datasets/{name}/manifest.json"),
                elements=("Si",),
                level_of_theory=LevelOfTheory(functional="PBE"),
                weight=1 / len(numbers),
                held_out=error(name, one.after, refs[name]),
                held_out_max_force_errors_ev_per_angstrom=(0.1, 0.2),
                baseline_energy_rmse_mev_per_atom=one.baseline[0],
                baseline_force_rmse_mev_per_angstrom=one.baseline[1],
                content_sha256=CONTENT,
                left_out_held_out=(3,),
                baseline_element_energies_ev={"Si": -107.5},
                baseline_train_frames=(0, 1),
            )
            for name, one in numbers.items()
        ),
        new_branches=tuple(new),
        zero_shot=tuple(error(name, one.before) for name, one in numbers.items() if name in new and one.before),
        parent_held_out=tuple(
            error(name, one.before) for name, one in numbers.items() if name not in new and one.before
        ),
        verification=verification,
        checks=(CONSERVES,),
        steps=100,
        wall_seconds=12.5,
        versions={"deepmd-kit": "3.2.0"},
        hardware=HARDWARE,
        cost=COST,
    )


def file_names(branches: Mapping[str, Numbers]) -> list[str]:
    return ["checkpoint.pt", "release.pt", "recipe.json", *(f"{name}.pth" for name in branches)]


def dataset_manifest(ref: DatasetRef, train_frames: int) -> DatasetManifest:
    histogram = Histogram(edges=(0.0, 1.0), counts=(1,))
    return DatasetManifest(
        dataset=ref,
        content_sha256=CONTENT,
        train=blob("datasets/c/train.mdb") if train_frames else None,
        held_out=blob("datasets/c/held-out.mdb"),
        frames=train_frames + 20,
        train_frames=train_frames,
        held_out_frames=20,
        duplicate_frames=0,
        atoms=8 * (train_frames + 20),
        elements=("Si",),
        compositions=(),
        has_virial=False,
        level_of_theory=LevelOfTheory(functional="PBE"),
        format="qe/pw/scf",
        set_aside=(),
        energy_per_atom_ev=histogram,
        force_component_ev_per_angstrom=histogram,
        preview=(),
        versions={"dpdata": "1.1.0"},
    )


def metric_passed(
    ref: DatasetRef, manifest_blob: BlobRef, credit: Credit, *, nearest: str | None = None
) -> DatasetMetricPassed:
    verdict = RuleResult(rule="sound", passed=True, sentence="Every frame is sound.")
    return DatasetMetricPassed(
        dataset=ref,
        run_id=uuid4(),
        credit=credit,
        dataset_manifest=manifest_blob,
        model_version=None,
        report=blob(f"metric/{ref.dataset_id}/report.json"),
        sound=verdict,
        new=verdict.model_copy(update={"rule": "new"}),
        coverage=0.0,
        nearest_branch=nearest,
        energy_shift_ev={"Si": -1.5} if nearest else {},
        failed_frames=0,
    )

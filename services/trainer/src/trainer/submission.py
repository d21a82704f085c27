"""From an outcome to a stored candidate with its manifest."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from contracts import keys
from contracts.artifacts import BranchManifest, Cost, DatasetManifest, Hardware, ModelManifest
from contracts.base import BlobRef, BranchError, RuleResult
from kit.blobs import Blobs

from trainer.domain import Lease
from trainer.work import OUTCOME_FILE, Outcome, Verified

LOADS_RULE = "loads"


@dataclass(frozen=True, slots=True)
class Ran:
    """Where the attempt ran and what it used until its candidate was stored."""

    hardware: Hardware
    cost: Cost


async def store_candidate(
    blobs: Blobs, lease: Lease, folder: Path, manifests: dict[str, DatasetManifest], verified: Verified, ran: Ran
) -> BlobRef:
    """Store every file of the candidate, then the ModelManifest that names them; returns its reference.

    Repeating it writes the same objects again.
    """
    outcome = Outcome.model_validate_json((folder / OUTCOME_FILE).read_text())

    async def put(path: PurePath, name: str) -> BlobRef:
        return await blobs.put_file(candidate_key(lease, name), folder / path)

    frozen = {name: await put(path, path.name) for name, path in outcome.frozen.items()}
    manifest = ModelManifest(
        round_id=lease.round_id,
        parent_version=lease.parent_version,
        preset=lease.preset,
        checkpoint=await put(outcome.checkpoint, "training-checkpoint.pt"),
        release=await put(outcome.release, outcome.release.name),
        frozen=frozen,
        recipe=await put(outcome.recipe, outcome.recipe.name),
        branches=branch_manifests(lease, outcome, manifests),
        new_branches=tuple(branch.name for branch in lease.branches if branch.is_new),
        zero_shot=tuple(of_dataset(lease, error) for error in outcome.zero_shot),
        start=tuple(of_dataset(lease, error) for error in outcome.start),
        parent_held_out=tuple(of_dataset(lease, error) for error in outcome.parent_held_out),
        verification=RuleResult(
            rule=LOADS_RULE, passed=verified.passed, sentence=verified.sentence, numbers=verified.numbers
        ),
        checks=verified.checks,
        moments_kept=outcome.moments_kept,
        took_turns=outcome.took_turns,
        steps=outcome.steps,
        wall_seconds=outcome.wall_seconds,
        versions=outcome.versions,
        seed=lease.seed,
        hardware=ran.hardware,
        cost=ran.cost,
    )
    return await blobs.put_model(candidate_key(lease, "manifest.json"), manifest)


def candidate_key(lease: Lease, name: str) -> str:
    """Keys carry the fence: a slow worker never overwrites its successor's files."""
    return keys.round_file(lease.round_id, f"candidate-{lease.fence}/{name}")


def branch_manifests(
    lease: Lease, outcome: Outcome, manifests: dict[str, DatasetManifest]
) -> tuple[BranchManifest, ...]:
    """Each branch with its dataset, its weight and its accuracy, in the model's order."""
    measured = {branch.name: branch for branch in outcome.branches}
    return tuple(
        BranchManifest(
            name=branch.name,
            dataset=branch.dataset,
            dataset_manifest=branch.manifest,
            elements=manifests[branch.name].elements,
            level_of_theory=manifests[branch.name].level_of_theory,
            weight=branch.weight,
            held_out=of_dataset(lease, measured[branch.name].held_out),
            held_out_max_force_errors_ev_per_angstrom=measured[branch.name].max_force_errors_ev_per_angstrom,
            baseline_energy_rmse_mev_per_atom=measured[branch.name].baseline_energy_rmse_mev_per_atom,
            baseline_force_rmse_mev_per_angstrom=measured[branch.name].baseline_force_rmse_mev_per_angstrom,
            held_out_frames=measured[branch.name].held_out_frames,
            left_out_frames=measured[branch.name].left_out_frames,
            content_sha256=manifests[branch.name].content_sha256,
            left_out_held_out=measured[branch.name].left_out_held_out,
            baseline_element_energies_ev=measured[branch.name].baseline_element_energies_ev,
            baseline_train_frames=measured[branch.name].baseline_train_frames,
        )
        for branch in lease.branches
    )


def of_dataset(lease: Lease, error: BranchError) -> BranchError:
    """The same error with the dataset that the branch learns."""
    dataset = next(branch.dataset for branch in lease.branches if branch.name == error.branch)
    return error.model_copy(update={"dataset": dataset})

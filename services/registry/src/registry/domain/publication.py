"""What a published model consists of, and what outsiders may read of it.

Of a private dataset nobody hears more than that one contributed: `trained_dataset`, `published_manifest` and
`standard_table.published_standard` are the three places where that is kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import PurePosixPath

from contracts import keys
from contracts.artifacts import BranchManifest, ModelManifest, PublishedBranch, PublishedFile, PublishedManifest
from contracts.base import BlobRef, BranchError, RuleResult
from contracts.events import ModelFile, ModelMarked, ModelPublished, TrainedDataset
from contracts.standard import StandardScore
from frames.errors import conformal_threshold

from registry.domain.bootstrap import rmse
from registry.domain.policy import has_scale, score
from registry.domain.receipts import content_sha256
from registry.domain.rounds import Branch, InvalidRequest, Model, ModelBranch, Round

# Errors of single frames travel with six digits.
FRAMES_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class FinalFile:
    """A file of a candidate and where it lies once published."""

    source: BlobRef
    target: BlobRef
    public: ModelFile | None
    """None: kept for the next round, not offered for download."""


def check_candidate(manifest: ModelManifest, round_: Round, branches: Sequence[Branch]) -> None:
    """Raises InvalidRequest when the manifest is not one of this round.

    Objects outside the round's own folder are refused: publishing copies them to where anyone may read.
    """
    if manifest.round_id != round_.round_id:
        raise InvalidRequest(f"the manifest is of round {manifest.round_id}, submitted for {round_.round_id}")
    if manifest.parent_version != round_.parent_version:
        raise InvalidRequest(
            f"the manifest's parent is {manifest.parent_version}; this round grows {round_.parent_version}"
        )
    known = {branch.name: branch.member.ref for branch in branches}
    contents = {branch.name: branch.member.content_sha256 for branch in branches}
    names = [branch.name for branch in manifest.branches]
    if len(set(names)) != len(names):
        raise InvalidRequest("the manifest names a branch twice")
    for name in (*names, *manifest.frozen):
        if name not in known:
            raise InvalidRequest(f"branch {name!r} is not part of this round")
    for branch in manifest.branches:
        if branch.dataset != known[branch.name]:
            raise InvalidRequest(f"branch {branch.name!r} learns dataset {known[branch.name]}, not {branch.dataset}")
        content = contents[branch.name]
        if content and branch.content_sha256 and branch.content_sha256 != content:
            raise InvalidRequest(
                f"branch {branch.name!r} learned content {branch.content_sha256}; dataset {branch.dataset} is {content}"
            )
        check_frames(branch, manifest)
    for blob in (manifest.checkpoint, manifest.release, manifest.recipe, *manifest.frozen.values()):
        check_belongs(blob, round_)


def check_frames(branch: BranchManifest, manifest: ModelManifest) -> None:
    """Raises InvalidRequest when the errors of single frames are not those that the RMSE values are made of."""
    frames = branch.held_out_frames
    if frames is None:
        return
    if frames.hashes and not len(frames.hashes) == len(set(frames.hashes)) == len(frames.atoms):
        raise InvalidRequest(f"branch {branch.name!r}: held_out_frames.hashes must have one hash a frame, each once")
    if any(not 0 <= index < len(frames.atoms) for index in frames.seen):
        raise InvalidRequest(f"branch {branch.name!r}: held_out_frames.seen names a frame that is not there")
    start = {error.branch: error for error in (*manifest.zero_shot, *manifest.parent_held_out)}.get(branch.name)
    told = {
        "after": (frames.after, _errors(branch.held_out)),
        "before": (frames.before, _errors(start)),
        "baseline": (
            frames.baseline,
            (branch.baseline_energy_rmse_mev_per_atom, branch.baseline_force_rmse_mev_per_angstrom),
        ),
    }
    for which, (errors, stated) in told.items():
        if errors is None or stated is None:
            continue
        counts = {len(frames.atoms), len(errors.energy_mev_per_atom), len(errors.force_mev_per_angstrom)}
        if len(counts) > 1 or min(frames.atoms, default=0) < 1:
            raise InvalidRequest(
                f"branch {branch.name!r}: held_out_frames.{which} must have one error a frame, each of one atom or more"
            )
        found = rmse(errors, frames.atoms)
        if not all(isclose(*pair, rel_tol=FRAMES_TOLERANCE, abs_tol=1e-6) for pair in zip(found, stated, strict=True)):
            raise InvalidRequest(
                f"branch {branch.name!r}: the RMSE of held_out_frames.{which} is {found[0]:g} meV/atom and "
                f"{found[1]:g} meV/Å, the manifest says {stated[0]:g} and {stated[1]:g}"
            )


def _errors(error: BranchError | None) -> tuple[float, float] | None:
    return None if error is None else (error.energy_rmse_mev_per_atom, error.force_rmse_mev_per_angstrom)


def check_belongs(blob: BlobRef, round_: Round) -> None:
    """Raises InvalidRequest when the object does not lie in the round's folder."""
    folder = keys.round_file(round_.round_id, "")
    if not blob.key.startswith(folder) or ".." in PurePosixPath(blob.key).parts:
        raise InvalidRequest(f"object {blob.key!r} does not lie in {folder}")


def final_files(manifest: ModelManifest, version: str) -> tuple[FinalFile, ...]:
    """Where each file of the candidate goes. Equal content has the same place: copying again changes nothing."""

    def final(source: BlobRef, stem: str, kind: str | None, branch: str | None = None) -> FinalFile:
        name = stem + PurePosixPath(source.key).suffix
        target = source.model_copy(update={"key": keys.model_file(version, source.sha256, name)})
        public = ModelFile(name=name, blob=target, kind=kind, branch=branch) if kind else None
        return FinalFile(source, target, public)

    return (
        final(manifest.release, "model", "checkpoint"),
        *(final(blob, branch, "frozen", branch) for branch, blob in manifest.frozen.items()),
        final(manifest.recipe, "input", "recipe"),
        # With the optimizer's state: three times the size and of use to the next round alone.
        final(manifest.checkpoint, "training-checkpoint", None),
    )


def final_manifest(
    manifest: ModelManifest, files: Iterable[FinalFile], standard_dataset: BlobRef | None = None
) -> ModelManifest:
    """The candidate's manifest with every file where it finally lies, and the standard dataset of its score."""
    moved = {file.source.key: file.target for file in files}
    return manifest.model_copy(
        update={
            "checkpoint": moved[manifest.checkpoint.key],
            "release": moved[manifest.release.key],
            "recipe": moved[manifest.recipe.key],
            "frozen": {branch: moved[blob.key] for branch, blob in manifest.frozen.items()},
            "standard_dataset": standard_dataset,
        }
    )


def contributors(branches: Iterable[Branch]) -> tuple[str, ...]:
    """Authors of the public datasets in the order of arrival, each once."""
    ordered = sorted(branches, key=lambda branch: branch.member.arrival)
    return tuple(
        dict.fromkeys(
            author for branch in ordered if not branch.member.credit.private for author in branch.member.credit.authors
        )
    )


def model_branches(manifest: ModelManifest, branches: Sequence[Branch]) -> tuple[ModelBranch, ...]:
    """The round's branches with the candidate's held-out errors (the policy has seen that none is missing)."""
    errors = {branch.name: branch.held_out for branch in manifest.branches}
    return tuple(
        ModelBranch(
            branch=branch,
            energy_rmse_mev_per_atom=errors[branch.name].energy_rmse_mev_per_atom,
            force_rmse_mev_per_angstrom=errors[branch.name].force_rmse_mev_per_angstrom,
        )
        for branch in branches
    )


def trained_dataset(one: ModelBranch) -> TrainedDataset:
    """A row of the model page's table; a private dataset shows its branch and numbers alone."""
    branch = one.branch
    credit = branch.member.credit
    return TrainedDataset(
        dataset=None if credit.private else branch.member.ref,
        title=None if credit.private else credit.title,
        authors=() if credit.private else credit.authors,
        branch=branch.name,
        weight=branch.weight,
        new=branch.is_new,
        energy_rmse_mev_per_atom=one.energy_rmse_mev_per_atom,
        force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
    )


def published_manifest(
    manifest: ModelManifest,
    version: str,
    branches: Sequence[ModelBranch],
    rules: tuple[RuleResult, ...],
    standard_score: float,
    files: Sequence[ModelFile],
    standard: StandardScore | None = None,
) -> PublishedManifest:
    """The manifest that anyone may download. `files`: what is offered beside it."""
    described = {branch.name: branch for branch in manifest.branches}
    return PublishedManifest(
        version=version,
        parent_version=manifest.parent_version,
        round_id=manifest.round_id,
        preset=manifest.preset,
        branches=tuple(_published_branch(one, described[one.branch.name]) for one in branches),
        contributors=contributors(one.branch for one in branches),
        rules=rules,
        checks=manifest.checks,
        standard_score=standard_score,
        standard=standard,
        steps=manifest.steps,
        wall_seconds=manifest.wall_seconds,
        versions=manifest.versions,
        files=tuple(
            PublishedFile(
                name=file.name, kind=file.kind, branch=file.branch, sha256=file.blob.sha256, size=file.blob.size
            )
            for file in files
        ),
        moments_kept=manifest.moments_kept,
        took_turns=manifest.took_turns,
        seed=manifest.seed,
        hardware=manifest.hardware,
        cost=manifest.cost,
        score_held_out=score_held_out(manifest),
    )


def score_held_out(manifest: ModelManifest) -> float | None:
    """E on all held-out frames of all branches; none when a baseline has no error and so is no scale."""
    branches = manifest.branches
    if not branches or not all(has_scale(branch) for branch in branches):
        return None
    return score((branch.held_out, branch) for branch in branches)


def _published_branch(one: ModelBranch, described: BranchManifest) -> PublishedBranch:
    row = trained_dataset(one)
    credit = one.branch.member.credit
    public = PublishedBranch(
        name=row.branch,
        dataset=row.dataset,
        title=row.title,
        authors=row.authors,
        licence=None if credit.private else credit.licence,
        elements=() if credit.private else described.elements,
        level_of_theory=None if credit.private else described.level_of_theory,
        weight=row.weight,
        new=row.new,
        energy_rmse_mev_per_atom=row.energy_rmse_mev_per_atom,
        force_rmse_mev_per_angstrom=row.force_rmse_mev_per_angstrom,
        threshold_ev_per_angstrom=conformal_threshold(described.held_out_max_force_errors_ev_per_angstrom),
    )
    if credit.private:
        return public
    return public.model_copy(
        update={
            "content_sha256": content_sha256(one.branch, described),
            "held_out_frames": len(described.held_out_max_force_errors_ev_per_angstrom),
            "left_out_held_out": described.left_out_held_out,
            "baseline_element_energies_ev": described.baseline_element_energies_ev,
            # Gaps between these tell which frames were left out, and so what other datasets hold, private ones too.
            "baseline_train_frames": None if described.left_out_frames else described.baseline_train_frames,
            "baseline_energy_rmse_mev_per_atom": described.baseline_energy_rmse_mev_per_atom,
            "baseline_force_rmse_mev_per_angstrom": described.baseline_force_rmse_mev_per_angstrom,
        }
    )


def model_marked(model: Model) -> ModelMarked:
    """The event that tells what of its data is withdrawn by now."""
    return ModelMarked(
        version=model.version,
        withdrawn_branches=tuple(one.branch.name for one in model.branches if one.branch.member.withdrawn),
        withdrawn_ancestral_datasets=model.withdrawn_ancestral_datasets,
    )


def model_published(model: Model, manifest: ModelManifest, standard: StandardScore | None = None) -> ModelPublished:
    """The event that tells outsiders."""
    rows = tuple(trained_dataset(one) for one in model.branches)
    return ModelPublished(
        version=model.version,
        parent=model.parent_version,
        round_id=model.round_id,
        datasets=rows,
        contributors=model.contributors,
        files=model.files,
        branches=tuple(
            BranchError(
                branch=row.branch,
                dataset=row.dataset,
                energy_rmse_mev_per_atom=row.energy_rmse_mev_per_atom,
                force_rmse_mev_per_angstrom=row.force_rmse_mev_per_angstrom,
            )
            for row in rows
        ),
        standard_score=model.standard_score,
        standard=standard,
        rules=model.rules,
        checks=model.checks,
        preset=model.preset,
        wall_seconds=manifest.wall_seconds,
        seed=manifest.seed,
        steps=manifest.steps,
        versions=manifest.versions,
        hardware=manifest.hardware,
        cost=manifest.cost,
    )

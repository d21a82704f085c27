"""The standard dataset: which frames it holds, and how good a model is on them. Pure rules (docs/decisions/0014).

The choice depends on frame hashes, a seed and what was chosen before alone, so that anybody can make it again.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from contracts.artifacts import BranchManifest, FrameErrors, HeldOutFrames, ModelManifest
from contracts.base import BranchError, DatasetRef
from contracts.standard import StandardBranch, StandardBranchScore, StandardDataset, StandardScore
from frames.hashing import HASH_BYTES, ascending, hash_array
from frames.hashing import content_sha256 as over_hashes
from frames.score import geometric_mean

from registry.domain.bootstrap import rmse
from registry.domain.policy import OnStandard
from registry.domain.rounds import Branch


@dataclass(frozen=True, slots=True)
class StandardError:
    """Error of a model on the standard frames of one branch. `zero_shot`: it has no such branch."""

    energy_rmse_mev_per_atom: float
    force_rmse_mev_per_angstrom: float
    zero_shot: bool

    @classmethod
    def of(cls, error: BranchError, *, zero_shot: bool) -> "StandardError":
        return cls(error.energy_rmse_mev_per_atom, error.force_rmse_mev_per_angstrom, zero_shot)


def frames_sha256(branch: StandardBranch) -> str:
    """Names the set of frames: errors on them stay what they are when other branches come and go."""
    return over_hashes(bytes.fromhex(one) for one in branch.frames)


def choose(
    hashes: Sequence[str], seen: Collection[int], kept: Collection[str], seed: int, most: int
) -> tuple[str, ...]:
    """At most `most` of a branch's held-out frames, ascending.

    kept  frames chosen before: they stay
    seen  indices of frames that another dataset trains on: never chosen, since a model may have learned them
    """
    fresh = [one for index, one in enumerate(hashes) if index not in seen and one not in kept]
    fresh.sort(key=lambda one: hashlib.sha256(seed.to_bytes(8, "big", signed=True) + bytes.fromhex(one)).digest())
    return tuple(sorted([*kept, *fresh[: max(0, most - len(kept))]]))


def next_standard(
    current: StandardDataset | None,
    manifest: ModelManifest,
    branches: Sequence[Branch],
    version: str,
    seed: int,
    most: int,
) -> StandardDataset | None:
    """The standard dataset once this candidate is published as `version`: frames of each of its branches.

    It is `current` itself when nothing changes; none when no branch has a frame to give. Branches that the candidate
    does not have, those of withdrawn datasets first of all, are no longer in it.
    """
    before = {one.dataset: one for one in current.branches} if current else {}
    described = {one.name: one for one in manifest.branches}
    chosen = [_chosen(one, described.get(one.name), before.get(one.member.ref), seed, most) for one in branches]
    parts = tuple(one for one in chosen if one is not None)
    if not parts:
        return None
    if current is not None and parts == current.branches:
        return current
    return StandardDataset(
        number=current.number + 1 if current else 1,
        model_version=version,
        seed=seed,
        frames_per_branch=most,
        branches=parts,
    )


def _chosen(
    branch: Branch, described: BranchManifest | None, before: StandardBranch | None, seed: int, most: int
) -> StandardBranch | None:
    frames = described.held_out_frames if described else None
    if frames is None or not frames.hashes:
        return before
    kept = before.frames if before else ()
    names = choose(frames.hashes, frames.seen, kept, seed, most)
    if before is not None and names == before.frames:
        return before.model_copy(update={"branch": branch.name})
    indices = _indices(frames, names)
    if not names or indices is None:
        return before
    energy, force = rmse(_part(frames.baseline, indices), [frames.atoms[index] for index in indices])
    if min(energy, force) <= 0:
        return before  # a baseline without error is no scale
    return StandardBranch(
        branch=branch.name,
        dataset=branch.member.ref,
        dataset_manifest=branch.member.manifest,
        metric_report=branch.member.metric_report,
        frames=names,
        baseline_energy_rmse_mev_per_atom=energy,
        baseline_force_rmse_mev_per_angstrom=force,
        baseline_element_energies_ev=described.baseline_element_energies_ev if described else None,
    )


def on_standard(manifest: ModelManifest, standard: StandardDataset) -> OnStandard:
    """The candidate as if the standard frames were all its held-out frames; baselines are those of the standard.

    A branch that was not measured on each of its standard frames is missing in the manifest, and so is one without any.
    """
    wanted = {one.branch: one for one in standard.branches}
    starts = {one.branch: one for one in (*manifest.zero_shot, *manifest.parent_held_out)}
    branches, start = [], {}
    for one in manifest.branches:
        part = wanted.get(one.name)
        indices = _indices(one.held_out_frames, part.frames) if part and one.held_out_frames else None
        if part is None or one.held_out_frames is None or indices is None:
            continue
        branches.append(_restricted(one, part, one.held_out_frames, indices))
        if one.held_out_frames.before is not None and one.name in starts:
            start[one.name] = _error(starts[one.name], one.held_out_frames.before, one.held_out_frames, indices)
    measured = manifest.model_copy(
        update={
            "branches": tuple(branches),
            "zero_shot": tuple(start[one.branch] for one in manifest.zero_shot if one.branch in start),
            "parent_held_out": tuple(start[one.branch] for one in manifest.parent_held_out if one.branch in start),
        }
    )
    return OnStandard(measured, {one.branch: len(one.frames) for one in standard.branches}, standard.number)


def candidate_errors(manifest: ModelManifest) -> dict[str, StandardError]:
    """Of each branch; `manifest` as `on_standard` gives it."""
    return {one.name: StandardError.of(one.held_out, zero_shot=False) for one in manifest.branches}


def parent_errors(manifest: ModelManifest) -> dict[str, StandardError]:
    """What the round found out about its parent: on old branches, and zero-shot on the new ones."""
    return {
        one.branch: StandardError.of(one, zero_shot=new)
        for errors, new in ((manifest.parent_held_out, False), (manifest.zero_shot, True))
        for one in errors
    }


def scored(standard: StandardDataset, errors: Mapping[DatasetRef, StandardError]) -> StandardScore | None:
    """E and what it is made of; none while the error on a branch is not known."""
    if any(one.dataset not in errors for one in standard.branches):
        return None
    pairs = [(one, errors[one.dataset]) for one in standard.branches]
    energy = geometric_mean(e.energy_rmse_mev_per_atom / one.baseline_energy_rmse_mev_per_atom for one, e in pairs)
    force = geometric_mean(e.force_rmse_mev_per_angstrom / one.baseline_force_rmse_mev_per_angstrom for one, e in pairs)
    return StandardScore(
        standard=standard.number,
        score=0.5 * (energy + force),
        energy_ratio=energy,
        force_ratio=force,
        energy_rmse_mev_per_atom=geometric_mean(error.energy_rmse_mev_per_atom for _, error in pairs),
        force_rmse_mev_per_angstrom=geometric_mean(error.force_rmse_mev_per_angstrom for _, error in pairs),
        branches=tuple(
            StandardBranchScore(
                branch=one.branch,
                frames=len(one.frames),
                energy_rmse_mev_per_atom=error.energy_rmse_mev_per_atom,
                force_rmse_mev_per_angstrom=error.force_rmse_mev_per_angstrom,
                baseline_energy_rmse_mev_per_atom=one.baseline_energy_rmse_mev_per_atom,
                baseline_force_rmse_mev_per_angstrom=one.baseline_force_rmse_mev_per_angstrom,
                zero_shot=error.zero_shot,
            )
            for one, error in pairs
        ),
    )


def changes(before: StandardDataset | None, after: StandardDataset) -> tuple[int, int]:
    """How many frames came and went."""
    old = {(one.dataset, frame) for one in before.branches for frame in one.frames} if before else set()
    new = {(one.dataset, frame) for one in after.branches for frame in one.frames}
    return len(new - old), len(old - new)


def in_standard(trained: bytes, standard: Iterable[bytes]) -> tuple[int, ...]:
    """Indices of training frames, given as hashes one after another, that are in the standard dataset."""
    rows = np.frombuffer(trained, dtype=np.uint8).reshape(-1, HASH_BYTES)
    sought = hash_array(set(standard))
    if not len(sought):
        return ()
    # One sort for both: millions of training frames must not become millions of Python objects.
    both = np.concatenate([sought, rows])
    order = ascending(both)
    group = np.concatenate([[0], np.cumsum((both[order[1:]] != both[order[:-1]]).any(axis=1))])
    marked = np.zeros(group[-1] + 1, dtype=np.bool_)
    marked[group[order < len(sought)]] = True
    found = order[marked[group] & (order >= len(sought))] - len(sought)
    return tuple(int(place) for place in np.sort(found))


def _indices(frames: HeldOutFrames, wanted: Collection[str]) -> list[int] | None:
    """Where the wanted frames are, in order; none when one is missing."""
    names = set(wanted)
    indices = [index for index, one in enumerate(frames.hashes) if one in names]
    return indices if len(indices) == len(names) else None


def _restricted(
    branch: BranchManifest, part: StandardBranch, frames: HeldOutFrames, indices: Sequence[int]
) -> BranchManifest:
    return branch.model_copy(
        update={
            "held_out": _error(branch.held_out, frames.after, frames, indices),
            "baseline_energy_rmse_mev_per_atom": part.baseline_energy_rmse_mev_per_atom,
            "baseline_force_rmse_mev_per_angstrom": part.baseline_force_rmse_mev_per_angstrom,
            "held_out_frames": HeldOutFrames(
                atoms=tuple(frames.atoms[index] for index in indices),
                after=_part(frames.after, indices),
                before=_part(frames.before, indices) if frames.before else None,
                baseline=_part(frames.baseline, indices),
                hashes=tuple(frames.hashes[index] for index in indices),
            ),
        }
    )


def _error(error: BranchError, errors: FrameErrors, frames: HeldOutFrames, indices: Sequence[int]) -> BranchError:
    energy, force = rmse(_part(errors, indices), [frames.atoms[index] for index in indices])
    return error.model_copy(update={"energy_rmse_mev_per_atom": energy, "force_rmse_mev_per_angstrom": force})


def _part(errors: FrameErrors, indices: Sequence[int]) -> FrameErrors:
    return FrameErrors(
        energy_mev_per_atom=tuple(errors.energy_mev_per_atom[index] for index in indices),
        force_mev_per_angstrom=tuple(errors.force_mev_per_angstrom[index] for index in indices),
    )

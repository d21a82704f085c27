"""Which frames the standard dataset holds, as anyone may read it (docs/decisions/0021). Pure rules.

Of a private dataset it tells what a published score tells of it anyway: its branch and how many frames.
"""

from collections.abc import Sequence

from contracts.artifacts import BranchManifest, ModelManifest
from contracts.standard import PublishedStandard, PublishedStandardBranch, StandardBranch, StandardDataset

from registry.domain.rounds import Branch


def published_standard(
    standard: StandardDataset, branches: Sequence[Branch], manifest: ModelManifest
) -> PublishedStandard:
    """`branches` and `manifest` are those of the version that it is published with."""
    private = {one.member.ref: one.member.credit.private for one in branches}
    described = {one.dataset: one for one in manifest.branches}
    # A dataset that the version does not have is nobody's to show: it counts as private.
    return PublishedStandard(
        number=standard.number,
        branches=tuple(
            _private(one) if private.get(one.dataset, True) else _public(one, described.get(one.dataset))
            for one in standard.branches
        ),
    )


def _private(branch: StandardBranch) -> PublishedStandardBranch:
    return PublishedStandardBranch(
        branch=branch.branch,
        count=len(branch.frames),
        dataset=None,
        frames=(),
        positions=None,
        baseline_element_energies_ev=None,
    )


def _public(branch: StandardBranch, described: BranchManifest | None) -> PublishedStandardBranch:
    return _private(branch).model_copy(
        update={
            "dataset": branch.dataset,
            "frames": branch.frames,
            "positions": None if described is None else _positions(branch, described),
            "baseline_element_energies_ev": branch.baseline_element_energies_ev,
        }
    )


def _positions(branch: StandardBranch, described: BranchManifest) -> tuple[int, ...] | None:
    """Where each frame is in the dataset's held-out LMDB, among them those that were not measured on."""
    if described.held_out_frames is None or described.left_out_held_out is None:
        return None
    left_out = set(described.left_out_held_out)
    measured = described.held_out_frames.hashes
    kept = [place for place in range(len(measured) + len(left_out)) if place not in left_out]
    places = dict(zip(measured, kept, strict=False))
    if any(frame not in places for frame in branch.frames):
        return None
    return tuple(places[frame] for frame in branch.frames)

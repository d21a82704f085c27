"""Which frames of a dataset the model was trained on already, in other datasets of the platform."""

from collections.abc import Iterable, Sequence

from contracts.artifacts import DatasetManifest, ModelManifest, OverlappingFrames
from frames.frame import Frame
from kit.blobs import Blobs

from metric.domain.records import Split
from metric.domain.survey import Surveyed
from metric.fetch import artifact


async def trained_frames(
    blobs: Blobs,
    manifest: DatasetManifest,
    model: ModelManifest | None,
    sampled: Sequence[Surveyed],
    frames: Sequence[Frame],
) -> list[bool]:
    """Of each sampled frame whether a dataset version that trained the model holds it, of those that may be named.

    `frames` are the sampled ones. Raises BlobMissing, BlobCorrupt.
    """
    if model is None or not manifest.overlaps:
        return [False] * len(frames)
    if manifest.known_in is None:
        # Written before frames told in which datasets they are: the errors decide unless all of those trained it.
        entries = {branch.dataset.dataset_id for branch in model.branches}
        every = {overlap.dataset.dataset_id for overlap in manifest.overlaps} <= entries
        return [every and frame.known for frame in frames]
    versions = {branch.dataset for branch in model.branches}
    shared = (await artifact(blobs, manifest.known_in, OverlappingFrames)).shared
    held: dict[Split, set[int]] = {
        "train": _positions(run for one in shared if one.dataset in versions for run in one.train),
        "held-out": _positions(run for one in shared if one.dataset in versions for run in one.held_out),
    }
    return [one.index in held[one.split] for one in sampled]


def _positions(runs: Iterable[tuple[int, int]]) -> set[int]:
    return {position for first, count in runs for position in range(first, first + count)}

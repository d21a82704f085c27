"""What ingest found about a dataset as a whole, as far as the checks need it."""

from dataclasses import dataclass

from contracts.artifacts import DatasetManifest
from contracts.base import Overlap


@dataclass(frozen=True, slots=True)
class Origin:
    """duplicate_frames: dropped by ingest. standard_frames: held out here because another dataset holds them out."""

    duplicate_frames: int = 0
    overlaps: tuple[Overlap, ...] = ()
    standard_frames: int = 0


UNKNOWN_ORIGIN = Origin()


def origin_of(manifest: DatasetManifest) -> Origin:
    return Origin(manifest.duplicate_frames, manifest.overlaps, manifest.standard_frames)

"""Which frames the model was trained on already: by the dataset versions that they are really in."""

from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import reference_model
from contracts.artifacts import DatasetManifest, Histogram, OverlappingFrames, SharedFrames
from contracts.base import BlobRef, DatasetRef, LevelOfTheory, Overlap
from frames.frame import Frame
from kit.blobs import BlobCorrupt, Blobs
from metric.domain.survey import survey
from metric.settings import MetricSettings
from metric.trained import trained_frames

LIMITS = MetricSettings(blobs_url="file:///unused").limits()
MODEL = reference_model.manifest()
TRAINED = MODEL.branches[0].dataset
OTHER = DatasetRef(dataset_id=uuid4(), version=1)
BLOB = BlobRef(key="k", sha256="0" * 64, size=1)
_NO_HISTOGRAM = Histogram(edges=(0, 1), counts=(0,))


def manifest(known_in: BlobRef | None, *overlaps: DatasetRef) -> DatasetManifest:
    return DatasetManifest(
        dataset=DatasetRef(dataset_id=uuid4(), version=1), content_sha256="0" * 64, train=BLOB, held_out=BLOB, frames=6,
        train_frames=4, held_out_frames=2, duplicate_frames=0, atoms=6, elements=("Si",), compositions=(),
        has_virial=False, level_of_theory=LevelOfTheory(), format="extxyz", set_aside=(),
        energy_per_atom_ev=_NO_HISTOGRAM, force_component_ev_per_angstrom=_NO_HISTOGRAM, preview=(), versions={},
        overlaps=tuple(Overlap(dataset=one, title="another", frames=1) for one in overlaps), known_in=known_in,
    )  # fmt: skip


def frame(known: bool = True) -> Frame:
    return Frame(np.array([14]), np.zeros((1, 3)), None, -1.0, np.zeros((1, 3)), known=known)


async def judged(blobs: Blobs, told: DatasetManifest, frames: list[Frame]) -> list[bool]:
    """Four frames to train on, two held out."""
    places = [("train", 0), ("train", 1), ("train", 2), ("train", 3), ("held-out", 0), ("held-out", 1)]
    found = survey([(split, index, one) for (split, index), one in zip(places, frames, strict=True)], LIMITS)  # type: ignore[misc]
    return await trained_frames(blobs, told, MODEL, found.frames, frames)


async def test_each_frame_is_judged_by_the_datasets_that_it_is_in(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    shared = OverlappingFrames(
        shared=(
            SharedFrames(dataset=TRAINED, train=((1, 2),), held_out=((1, 1),)),
            # Another version of what trained, and a dataset that trained nothing.
            SharedFrames(dataset=TRAINED.model_copy(update={"version": 9}), train=((3, 1),)),
            SharedFrames(dataset=OTHER, train=((0, 4),), held_out=((0, 2),)),
        )
    )
    ref = await blobs.put_bytes("known-in.json", shared.model_dump_json().encode())
    told = manifest(ref, TRAINED, OTHER)
    assert await judged(blobs, told, [frame()] * 6) == [False, True, True, False, False, True]
    assert await trained_frames(blobs, told, None, [], []) == []
    with pytest.raises(BlobCorrupt):
        await judged(blobs, manifest(ref.model_copy(update={"sha256": "1" * 64}), TRAINED), [frame()] * 6)


async def test_where_frames_do_not_tell_all_of_the_named_datasets_must_have_trained(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    frames = [frame(known=index % 2 == 0) for index in range(6)]
    assert await judged(blobs, manifest(None, TRAINED), frames) == [True, False] * 3
    assert await judged(blobs, manifest(None, TRAINED, OTHER), frames) == [False] * 6
    assert await judged(blobs, manifest(None), frames) == [False] * 6

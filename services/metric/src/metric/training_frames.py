"""What a model was trained on, as far as new frames are compared with it: sampled once, described once a model.

Kept in a folder that all workers of a machine share. A sample of a dataset's frames outlives the model for which it was
drawn, as the next one has been trained on it too; what the newest model was not trained on is removed.
"""

import asyncio
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contracts.artifacts import BranchManifest, DatasetManifest
from contracts.base import BlobRef
from frames import store as lmdb
from frames.frame import Frame, formula
from kit.blobs import BlobCorrupt, BlobMissing, Blobs
from kit.logs import get_logger
from pydantic import ValidationError

from metric.domain.run_settings import Share
from metric.domain.sampling import sample_by_group
from metric.fetch import artifact
from metric.judging import LoadedModel

log = get_logger(__name__)

_LOCK = ".lock"
_LOOK_AGAIN_SECONDS = 0.5
_MOST_ATOMS = 200_000
# A run that was redelivered may still ask for the model before.
_KEPT = 3


class Predictions(Protocol):
    async def learn(self, model: Path, branch: str, sample: Path, target: Path, seed: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Drawn:
    """`per_branch` frames are kept of a dataset, `count` of them stand for it in this model; `seed` draws both."""

    per_branch: int
    count: int
    seed: int


class TrainingFrames:
    """Reference files of models, made when they are first asked for."""

    def __init__(self, predictions: Predictions, blobs: Blobs, folder: Path) -> None:
        self._predictions = predictions
        self._blobs = blobs
        self._folder = folder

    async def learned(self, loaded: LoadedModel, share: Share, seed: int) -> Path | None:
        """The file to hold new frames against (`reference.load`); None when no training frame is there any more, or
        none is wanted. Several workers may ask at once: one makes it. Raises what is wrong with storage or model.
        """
        manifest = loaded.manifest
        if manifest is None or not manifest.branches or share.per_branch == 0:
            return None
        wanted = _Drawn(share.per_branch, share.of(len(manifest.branches)), seed)
        target = self._folder / f"{manifest.release.sha256}-{wanted.count}-{seed}.npz"
        if not target.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            async with self._alone():
                if not target.exists() and not await self._learn(loaded, manifest.branches, target, wanted):
                    return None
        os.utime(target)
        return target

    async def _learn(
        self, loaded: LoadedModel, branches: Sequence[BranchManifest], target: Path, wanted: _Drawn
    ) -> bool:
        samples = [sample for branch in branches if (sample := await self._sample(branch, wanted)) is not None]
        if not samples:
            return False
        with tempfile.TemporaryDirectory(prefix="learning-", dir=self._folder) as name:
            together = Path(name) / "sample.lmdb"
            frames = await asyncio.to_thread(_write_together, samples, together, wanted.count, wanted.seed)
            await self._predictions.learn(loaded.release, branches[0].name, together, target, wanted.seed)
        self._forget(samples)
        log.info("training-frames-learned", version=loaded.model.version, branches=len(samples), frames=frames)
        return True

    async def _sample(self, branch: BranchManifest, wanted: _Drawn) -> Path | None:
        """An LMDB folder with frames of the branch's training data; None when they are gone."""
        sample = self._folder / f"{branch.dataset_manifest.sha256}-{wanted.per_branch}-{wanted.seed}.lmdb"
        if sample.exists():
            return sample
        try:
            dataset = await artifact(self._blobs, branch.dataset_manifest, DatasetManifest)
            if dataset.train is None:
                return None
            await self._draw(dataset.train, sample, wanted)
        except (BlobMissing, BlobCorrupt, ValidationError, lmdb.NotADataset) as error:
            # A dataset that was withdrawn and deleted trained the model all the same; the others can still be seen.
            log.warning("training-frames-gone", branch=branch.name, reason=str(error)[:300])
            return None
        return sample

    async def _draw(self, train: BlobRef, sample: Path, wanted: _Drawn) -> None:
        with tempfile.TemporaryDirectory(prefix="drawing-", dir=self._folder) as name:
            whole, drawn = Path(name) / "train.lmdb", Path(name) / "drawn.lmdb"
            await self._blobs.get_file(train, whole / lmdb.DATA_FILE)
            await asyncio.to_thread(_write_sample, whole, drawn, wanted.per_branch, wanted.seed)
            drawn.rename(sample)

    def _forget(self, samples: Sequence[Path]) -> None:
        """Samples that the model does not need, and all reference files but the newest."""
        for old in set(self._folder.glob("*.lmdb")) - set(samples):
            shutil.rmtree(old, ignore_errors=True)
        files = sorted(self._folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in files[_KEPT:]:
            old.unlink(missing_ok=True)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Nobody else works in the folder meanwhile; what a killed worker left there is removed."""
        with (self._folder / _LOCK).open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            for left in (
                *self._folder.glob("learning-*"),
                *self._folder.glob("drawing-*"),
                *self._folder.glob(".*.npz.*"),
            ):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield


def _write_sample(whole: Path, drawn: Path, most: int, seed: int) -> None:
    """By composition, as judged frames are drawn; fewer where frames are so large that they would fill the disk."""
    known = [(formula(frame.numbers), frame.natoms) for frame in lmdb.iterate(whole)]
    groups = [group for group, _ in known]
    chosen = sample_by_group(groups, most, seed)
    while len(chosen) > 1 and sum(known[one][1] for one in chosen) > _MOST_ATOMS:
        chosen = sample_by_group(groups, len(chosen) // 2, seed)
    wanted = set(chosen)
    lmdb.write(drawn, (frame for number, frame in enumerate(lmdb.iterate(whole)) if number in wanted))


def _write_together(samples: Sequence[Path], target: Path, count: int, seed: int) -> int:
    """At most `count` frames of each sample in one LMDB; returns how many they are."""

    def frames() -> Iterator[Frame]:
        for sample in samples:
            every = lmdb.read(sample)
            for one in sample_by_group([formula(frame.numbers) for frame in every], count, seed):
                yield every[one]

    return lmdb.write(target, frames())

"""What would the model gain? Short trainings on growing parts of the dataset, for operators who can spare the time."""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from contracts.artifacts import DatasetManifest, GainPoint, LearningGain
from contracts.base import BlobRef
from frames import store as lmdb
from frames.align import align_energies
from frames.errors import energy_rmse, force_rmse
from frames.frame import Frame, element_counts
from kit.blobs import Blobs
from kit.logs import get_logger

from metric.domain.coverage import Prediction
from metric.domain.sampling import growing_parts
from metric.finetuning import rendered, train
from metric.judging import LoadedModel

log = get_logger(__name__)


class Predictions(Protocol):
    async def predict(
        self, model: Path, branch: str, frames: Sequence[Frame], known: Path | None = None
    ) -> Prediction: ...


@dataclass(frozen=True, slots=True)
class Trials:
    """`steps` of each training (0: none is tried), the parts of the training frames, and the limit for all together."""

    steps: int
    parts: tuple[float, ...]
    seconds: float
    threads: int
    seed: int


class LearningGains:
    """Tries trainings from the nearest branch, and judges them by the dataset's held-out frames."""

    def __init__(self, predictions: Predictions, blobs: Blobs, folder: Path, trials: Trials) -> None:
        self._predictions = predictions
        self._blobs = blobs
        self._folder = folder
        self._trials = trials

    async def tried(
        self, loaded: LoadedModel, nearest: str, manifest: DatasetManifest, left_out: frozenset[int]
    ) -> LearningGain | None:
        """`left_out` are training frames that failed. None when it is off, when there is nothing to train on or to
        judge by, and when it went wrong or took too long: a verdict never waits for it in vain.
        """
        if self._trials.steps == 0 or manifest.train is None or loaded.manifest is None:
            return None
        try:
            async with asyncio.timeout(self._trials.seconds):
                with tempfile.TemporaryDirectory(prefix="gain-", dir=self._folder) as name:
                    recipe = json.loads(await self._blobs.get_bytes(loaded.manifest.recipe.key))
                    return await self._curve(loaded, nearest, recipe, manifest, manifest.train, left_out, Path(name))
        except Exception as error:  # an extra that fails is no reason to have no verdict
            log.warning(
                "learning-gain-failed", dataset=str(manifest.dataset), reason=f"{type(error).__name__}: {error}"
            )
            return None

    async def _curve(
        self,
        loaded: LoadedModel,
        nearest: str,
        recipe: dict[str, Any],
        manifest: DatasetManifest,
        train_data: BlobRef,
        left_out: frozenset[int],
        folder: Path,
    ) -> LearningGain | None:
        every = await self._frames(train_data, folder / "all")
        held_out = await self._frames(manifest.held_out, folder / "held-out")
        usable = [frame for index, frame in enumerate(every) if index not in left_out]
        if not usable:
            return None
        trials = self._trials
        points = [await self._point(0, loaded.release, nearest, held_out)]
        for number, part in enumerate(growing_parts(len(usable), trials.parts, trials.seed)):
            data = folder / f"part-{number}.lmdb"
            await asyncio.to_thread(lmdb.write, data, [usable[row] for row in part])
            text = rendered(recipe, nearest, data, trials.steps, manifest.has_virial, trials.seed)
            trained = await train(
                folder / f"training-{number}", text, loaded.release, nearest, trials.steps, trials.threads
            )
            points.append(await self._point(len(part), trained, nearest, held_out))
        return LearningGain(steps=trials.steps, points=tuple(points))

    async def _frames(self, ref: BlobRef, folder: Path) -> list[Frame]:
        await self._blobs.get_file(ref, folder / lmdb.DATA_FILE)
        return await asyncio.to_thread(lmdb.read, folder)

    async def _point(self, count: int, model: Path, branch: str, held_out: Sequence[Frame]) -> GainPoint:
        """Errors on the held-out frames, energies aligned as everywhere before a branch has its own reference."""
        found = await self._predictions.predict(model, branch, held_out)
        counts = element_counts(held_out)
        missing = found.energy - np.array([frame.energy for frame in held_out])
        return GainPoint(
            frames=count,
            force_rmse_mev_per_angstrom=1000 * force_rmse(found.forces, [frame.forces for frame in held_out]),
            energy_rmse_mev_per_atom=1000 * energy_rmse(align_energies(counts, missing).residual, counts.sum(axis=1)),
        )

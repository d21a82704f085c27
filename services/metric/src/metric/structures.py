"""Predict one structure that somebody sent, and say whether the branch that answers knows such structures."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from contracts import keys
from contracts.artifacts import PreviewStructure, StructurePrediction
from contracts.base import BlobRef
from contracts.events import PredictionFinished, PredictionStructureRead
from frames.distances import FlatCell, closest_pair
from frames.frame import ATOMIC_NUMBERS, Frame
from kit.blobs import BlobCorrupt, BlobMissing, Blobs

from metric.domain.coverage import KnownBranch
from metric.domain.novelty import told
from metric.domain.run_settings import RunSettings
from metric.fetch import artifact
from metric.judging import CurrentModel, LoadedModel, Models, Predictions, Training
from metric.reference import outline


class NamedModels(Models, Protocol):
    async def named(self, version_or_alias: str) -> CurrentModel | None: ...


class NotPredicted(Exception):
    """Why not, and what would change that; in words for who sent the structure."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Structures:
    """seconds: longest that a prediction may take, waiting for other work of this service included."""

    models: NamedModels
    predictions: Predictions
    training: Training
    blobs: Blobs
    settings: RunSettings
    seconds: float

    async def predict(self, event: PredictionStructureRead) -> PredictionFinished:
        """The result is in storage afterwards. Raises whatever is wrong on our side."""
        try:
            ref = await self._predicted(event)
        except NotPredicted as error:
            return not_predicted(event, error.reason, error.remedy)
        return PredictionFinished(prediction_id=event.prediction_id, result=ref)

    async def _predicted(self, event: PredictionStructureRead) -> BlobRef:
        structure = await self._structure(event)
        frame = frame_of(structure)
        check(frame, self.settings.limits.distance_fail_ratio)
        current = await self.models.named(event.model_version)
        if current is None:
            raise NotPredicted(f"There is no version {event.model_version} any more.", "Choose another version.")
        loaded = await self.models.load(current)
        branch, unknown = chosen(loaded.branches, event.branches, set(frame.symbols))
        share, seed = self.settings.share, self.settings.seed
        known = await self.training.learned(loaded, share, seed)
        result = await self._told(loaded, branch, frame, known, structure, unknown)
        return await self.blobs.put_model(keys.prediction_file(event.prediction_id, "result.json"), result)

    async def _structure(self, event: PredictionStructureRead) -> PreviewStructure:
        try:
            return await artifact(self.blobs, event.structure, PreviewStructure)
        except (BlobMissing, BlobCorrupt):
            raise NotPredicted("It is not stored any more.", "Send it again.") from None

    async def _told(
        self,
        loaded: LoadedModel,
        branch: KnownBranch,
        frame: Frame,
        known: Path | None,
        structure: PreviewStructure,
        unknown: tuple[str, ...],
    ) -> StructurePrediction:
        try:
            async with asyncio.timeout(self.seconds):
                found = await self.predictions.predict(loaded.release, branch.name, [frame], known)
        except TimeoutError:
            raise NotPredicted(
                f"It was not predicted within {self.seconds:g} s.", "Try again later, or send a smaller structure."
            ) from None
        forces = found.forces[0]
        distance = float(found.closeness.distance[0]) if found.closeness is not None else None
        far_above = (await asyncio.to_thread(outline, known)).far_above if known is not None else None
        near = distance is None or far_above is None or distance <= far_above
        return StructurePrediction(
            model_version=loaded.model.version,
            branch=branch.name,
            structure=structure,
            energy_ev=float(found.energy[0]),
            forces_ev_per_angstrom=tuple((float(x), float(y), float(z)) for x, y, z in forces),
            max_force_ev_per_angstrom=float(np.linalg.norm(forces, axis=1).max()),
            covered=near and not unknown,
            unknown_elements=unknown,
            distance=told(distance) if distance is not None else None,
            far_above=told(far_above) if far_above is not None else None,
            expected_force_rmse_mev_per_angstrom=branch.held_out_force_rmse_mev_per_angstrom,
        )


def frame_of(structure: PreviewStructure) -> Frame:
    """Without labels: energy and forces are zero."""
    coords = np.array(structure.positions, dtype=np.float64)
    numbers = np.array([ATOMIC_NUMBERS[symbol] for symbol in structure.symbols], dtype=np.int64)
    cell = np.array(structure.cell, dtype=np.float64) if structure.cell is not None else None
    return Frame(numbers, coords, cell, 0.0, np.zeros_like(coords))


def check(frame: Frame, fail_ratio: float) -> None:
    """No model was trained on overlapping atoms: its answer would mean nothing. Raises NotPredicted."""
    try:
        pair = closest_pair(frame, fail_ratio)
    except FlatCell:
        raise NotPredicted(
            "The cell has no volume: its vectors do not span space.", "Give three vectors that do."
        ) from None
    if pair is None:
        return
    first, second = (f"{frame.symbols[place]} {place + 1}" for place in (pair.first, pair.second))
    raise NotPredicted(
        f"Atoms {first} and {second} overlap: they are {pair.distance:.2f} Å apart.",
        f"Move them apart: less than {fail_ratio:g} of the sum of their covalent radii is no structure.",
    )


def chosen(
    branches: tuple[KnownBranch, ...], allowed: tuple[str, ...], elements: set[str]
) -> tuple[KnownBranch, tuple[str, ...]]:
    """Of those that may answer the one that knows most of the elements, then that of the smallest error; with the
    elements that it has never seen. Raises NotPredicted when none of them is there.
    """
    found = [one for one in branches if one.name in allowed]
    if not found:
        raise NotPredicted("This version has no such branch.", "Choose one that its page names.")
    best = min(
        found, key=lambda one: (len(elements - one.elements), one.held_out_force_rmse_mev_per_angstrom, one.name)
    )
    return best, tuple(sorted(elements - best.elements))


def not_predicted(event: PredictionStructureRead, reason: str, remedy: str) -> PredictionFinished:
    return PredictionFinished(prediction_id=event.prediction_id, reason=reason, remedy=remedy)

"""Structures that somebody wants predicted: read in a confined child, then given to the metric."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from contracts import keys
from contracts.artifacts import PreviewStructure
from contracts.events import PredictionRefused, PredictionRequested, PredictionStructureRead
from kit.blobs import BlobCorrupt, BlobMissing, Blobs
from pydantic import ValidationError

from ingest.confinement.children import Children, Job
from ingest.confinement.kernel import Limits
from ingest.domain import IngestBroken
from ingest.opening import read_answer
from ingest.parsing import blame_ourselves
from ingest.settings import MEBIBYTE, IngestSettings

IMPORTS = ("ingest.confined.structures",)
_LARGEST_ANSWER = 16 * MEBIBYTE
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Structures:
    """Nothing is kept of them but what is stored for the prediction itself."""

    settings: IngestSettings
    children: Children
    blobs: Blobs
    job_folder: Callable[[], AbstractContextManager[Path]]

    async def read(self, event: PredictionRequested) -> PredictionStructureRead | PredictionRefused:
        """Raises IngestBroken when it is our fault, and whatever storage raises while it is away."""
        with self.job_folder() as work:
            try:
                await self.blobs.get_file(event.text, work / "text")
            except (BlobMissing, BlobCorrupt):
                return _refused(event, "It is not stored any more.", "Send it again.")
            said = await self._said(work)
        if isinstance(said, PreviewStructure):
            stored = await self.blobs.put_model(keys.prediction_file(event.prediction_id, "structure.json"), said)
            return PredictionStructureRead(
                prediction_id=event.prediction_id,
                structure=stored,
                model_version=event.model_version,
                branches=event.branches,
            )
        return _refused(event, *said)

    async def _said(self, work: Path) -> PreviewStructure | tuple[str, str]:
        """The structure, or reason and remedy."""
        settings, answer = self.settings, work / "answer.json"
        job = Job(
            "ingest.confined.structures:run",
            {"max_atoms": settings.max_predicted_atoms},
            Limits(settings.child_memory_mib * MEBIBYTE, settings.structure_seconds, _LARGEST_ANSWER),
            2.0 * settings.structure_seconds,
            inputs=(work / "text",),
            outputs=(answer,),
            imports=IMPORTS,
        )
        ending = await self.children.run(job)
        await self.children.prepare()
        if not ending.well:
            blame_ourselves(ending)
            return f"It cannot be read: reading it {ending.why}.", "Send a smaller or simpler structure."
        said = await asyncio.to_thread(read_answer, answer, _LARGEST_ANSWER)
        if refused := said.get("refused"):
            return str(refused["reason"])[:_LONGEST], str(refused["remedy"])[:_LONGEST]
        try:
            return PreviewStructure.model_validate(said.get("structure"))
        except ValidationError as error:
            raise IngestBroken(f"the structure of a child is not valid: {error}") from error


def _refused(event: PredictionRequested, reason: str, remedy: str) -> PredictionRefused:
    return PredictionRefused(prediction_id=event.prediction_id, reason=reason, remedy=remedy)

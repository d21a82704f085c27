"""Structures of strangers: read in a confined child, and passed on or refused in the same transaction as the inbox."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from contracts.artifacts import PreviewStructure
from contracts.base import BlobRef
from contracts.events import PredictionRefused, PredictionRequested, PredictionStructureRead
from ingest.confinement.children import Children, Ending, Feeding, Job
from ingest.domain import IngestBroken
from ingest.handlers import StructureHandlers
from ingest.settings import IngestSettings
from ingest.structures import Structures
from ingest.work import WorkFolder
from kit.blobs import Blobs
from kit.bus import Poison
from kit.db import Database
from kit.migrations import migrate
from known_frames import delivery, outbox, uploaded

SETTINGS = IngestSettings(blobs_url="file:///unused", max_predicted_atoms=50)
POSCAR = b"Si\n1.0\n5.43 0 0\n0 5.43 0\n0 0 5.43\nSi\n2\nDirect\n0 0 0\n0.25 0.25 0.25\n"


@pytest.fixture
async def database(service_env: Callable[[str], dict[str, str]]) -> AsyncIterator[Database]:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    migrate(dsn, "ingest")
    async with Database.opened(dsn, "test", 4) as opened:
        yield opened


@pytest.fixture
def structures(children: Children, work: WorkFolder, tmp_path: Path) -> Structures:
    return Structures(SETTINGS, children, Blobs((tmp_path / "blobs").as_uri()), work.job)


async def requested(structures: Structures, text: bytes) -> PredictionRequested:
    prediction_id = uuid4()
    stored = await structures.blobs.put_bytes(f"predictions/{prediction_id}/text", text)
    return PredictionRequested(prediction_id=prediction_id, text=stored, model_version="1.1", branches=("si",))


async def test_a_structure_is_read_and_passed_on_once(database: Database, structures: Structures) -> None:
    event = await requested(structures, POSCAR)
    handlers = StructureHandlers(database, structures)
    twice = delivery(event, "ingest-prediction-requested")
    await handlers.on_prediction_requested(event, twice)
    await handlers.on_prediction_requested(event, twice)
    assert await outbox(database) == [PredictionStructureRead.nats_subject]
    read = await structures.read(event)
    assert isinstance(read, PredictionStructureRead)
    assert (read.prediction_id, read.model_version, read.branches) == (event.prediction_id, "1.1", ("si",))
    structure = await structures.blobs.get_model(read.structure.key, PreviewStructure)
    assert structure.symbols == ("Si", "Si")
    assert structure.positions[1] == pytest.approx((1.3575, 1.3575, 1.3575))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"100000\n\n" + 100_000 * b"Si 0 0 0\n", "It has 100,000 atoms, and at most 50 are predicted here."),
        (b"Dear all,\n", "This is no structure in a format that is read here."),
        (b"\x00\xff" * 1000, "This is no text file."),
    ],
)
async def test_bad_input_is_refused(structures: Structures, text: bytes, reason: str) -> None:
    refused = await structures.read(await requested(structures, text))
    assert isinstance(refused, PredictionRefused)
    assert refused.reason == reason
    assert refused.remedy


async def test_a_text_that_is_not_stored_any_more_is_refused(structures: Structures) -> None:
    lost = BlobRef(key="predictions/x/text", sha256="0" * 64, size=1)
    event = PredictionRequested(prediction_id=uuid4(), text=lost, model_version="1.1", branches=("si",))
    refused = await structures.read(event)
    assert isinstance(refused, PredictionRefused)
    assert refused.reason == "It is not stored any more."


class Ended(Children):
    """A child that ended as told, without an answer."""

    ending = Ending(None, None, "")

    async def run(self, job: Job, feeding: Feeding | None = None) -> Ending:
        return self.ending


async def test_a_child_that_is_ended_is_the_text_s_fault_and_broken_walls_are_ours(
    structures: Structures, tmp_path: Path
) -> None:
    ended = Ended(tmp_path)
    broken = replace(structures, children=ended)
    event = await requested(structures, POSCAR)
    ended.ending = Ending("took longer than 40 s", "timed-out", "")
    refused = await broken.read(event)
    assert isinstance(refused, PredictionRefused)
    assert refused.reason == "It cannot be read: reading it took longer than 40 s."
    ended.ending = Ending("ended with code 1", "crashed", "ingest.confinement.kernel.ConfinementFailed: no landlock")
    with pytest.raises(IngestBroken):
        await broken.read(event)


async def test_another_event_is_poison(database: Database, structures: Structures) -> None:
    other = uploaded("x")
    with pytest.raises(Poison):
        await StructureHandlers(database, structures).on_prediction_requested(other, delivery(other))

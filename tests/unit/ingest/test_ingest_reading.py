"""The use case with a stand-in for the engine: what is stored, what is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from contracts.artifacts import DatasetManifest, Histogram
from contracts.base import Credit, DatasetRef, LevelOfTheory
from contracts.events import DatasetRejected, DatasetUploaded, DatasetValidated
from ingest.domain import Prepared, Rejected, Summary, note
from ingest.engine import Request
from ingest.service import Reading
from kit.blobs import Blobs

SET_ASIDE = tuple(note(f"f{number}", None, "truncated", "cut", "Let it finish.") for number in range(150))


@dataclass
class StandIn:
    """Prepares a dataset of two files, or rejects."""

    rejects: Rejected | None = None
    asked: list[Request] = field(default_factory=list)

    async def prepare(self, request: Request, work: Path) -> Prepared:
        self.asked.append(request)
        assert request.archive.read_bytes() == b"archive"
        if self.rejects is not None:
            raise self.rejects
        (work / "train").write_bytes(b"train")
        (work / "held").write_bytes(b"held")
        histogram = Histogram(edges=(0.0, 1.0), counts=(4,))
        summary = Summary(
            content_sha256="c" * 64, frames=4, train_frames=3, held_out_frames=1, duplicate_frames=2, atoms=8,
            elements=("Si",), compositions=(), has_virial=True, energy_per_atom_ev=histogram,
            force_component_ev_per_angstrom=histogram, preview=(),
        )  # fmt: skip
        theory = LevelOfTheory(code="VASP 6.4")
        return Prepared(summary, work / "train", work / "held", "vasp/outcar", theory, SET_ASIDE, {"dpdata": "1.1.0"})


@dataclass
class Bench:
    reading: Reading
    engine: StandIn
    blobs: Blobs
    folder: Path
    prepared: int = 0

    async def upload(self) -> DatasetUploaded:
        return DatasetUploaded(
            dataset=DatasetRef(dataset_id=uuid4(), version=1),
            owner_id=uuid4(),
            credit=Credit(title="Si", authors=("demo contributor",), licence="CC-BY-4.0", private=False),
            archive=await self.blobs.put_bytes("uploads/x/archive", b"archive"),
            filename="si.tar",
            format="detect",
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    jobs = tmp_path / "jobs"
    jobs.mkdir()

    @contextmanager
    def job() -> Iterator[Path]:
        folder = jobs / uuid4().hex
        folder.mkdir()
        yield folder

    async def afterwards() -> None:
        made.prepared += 1

    engine, blobs = StandIn(), Blobs((tmp_path / "blobs").as_uri())
    made = Bench(Reading(engine, blobs, job, 100, 120, afterwards), engine, blobs, tmp_path)
    return made


async def test_a_dataset_is_stored_under_its_content_and_told(bench: Bench) -> None:
    uploaded = await bench.upload()
    told = await bench.reading.read(uploaded)
    assert isinstance(told, DatasetValidated)
    assert (told.dataset, told.frames, told.duplicate_frames) == (uploaded.dataset, 4, 2)
    assert (told.set_aside_count, len(told.set_aside)) == (150, 100)
    manifest = await bench.blobs.get_model(told.manifest.key, DatasetManifest)
    assert len(manifest.set_aside) == 120
    assert manifest.train is not None
    assert await bench.blobs.get_bytes(manifest.train.key) == b"train"
    assert manifest.train.key == f"datasets/{'c' * 64}/train-{manifest.train.sha256[:16]}.mdb"
    assert bench.prepared == 1


async def test_reading_twice_tells_the_same(bench: Bench) -> None:
    uploaded = await bench.upload()
    assert await bench.reading.read(uploaded) == await bench.reading.read(uploaded)


async def test_a_rejection_is_told_with_its_remedy(bench: Bench) -> None:
    bench.engine.rejects = Rejected("no-calculation", "nothing", "Pack outputs.", SET_ASIDE)
    told = await bench.reading.read(await bench.upload())
    assert isinstance(told, DatasetRejected)
    assert (told.rule, told.reason, told.remedy, len(told.set_aside)) == (
        "no-calculation",
        "nothing",
        "Pack outputs.",
        100,
    )
    assert bench.prepared == 1


async def test_an_archive_beyond_the_limit_is_not_even_fetched(bench: Bench) -> None:
    uploaded = await bench.upload()
    large = uploaded.model_copy(update={"archive": uploaded.archive.model_copy(update={"size": 101})})
    told = await bench.reading.read(large)
    assert isinstance(told, DatasetRejected)
    assert told.rule == "archive-too-large"
    assert bench.engine.asked == []

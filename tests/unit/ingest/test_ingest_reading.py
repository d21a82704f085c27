"""The use case with a stand-in for the engine: what is stored, what is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from contracts.artifacts import DatasetManifest, Histogram
from contracts.base import Credit, DatasetRef, Detection, LevelOfTheory, Overlap, ScfCounts, TheoryMismatch
from contracts.events import DatasetRejected, DatasetUploaded, DatasetValidated
from frames.hashing import HashArray
from ingest.domain import Download, Prepared, Progress, Rejected, Summary, Tell, note
from ingest.engine import Request
from ingest.selecting import Ask, Elsewhere, nothing_known, select
from ingest.service import Outcome, Reading
from kit.blobs import Blobs

READ = np.random.default_rng(1).integers(0, 256, (6, 32), dtype=np.uint8)[[0, 1, 2, 3, 0, 1]]
SET_ASIDE = tuple(note(f"f{number}", None, "truncated", "cut", "Let it finish.") for number in range(150))


@dataclass
class StandIn:
    """Prepares a dataset of two files, or rejects."""

    rejects: Rejected | None = None
    asked: list[Request] = field(default_factory=list)

    async def prepare(self, request: Request, work: Path, tell: Tell, ask: Ask) -> Prepared:
        self.asked.append(request)
        assert request.archive.read_bytes() == b"archive"
        if self.rejects is not None:
            raise self.rejects
        (work / "train").write_bytes(b"train")
        (work / "held").write_bytes(b"held")
        histogram = Histogram(edges=(0.0, 1.0), counts=(4,))
        summary = Summary(
            atoms=8, elements=("Si",), element_pairs=("Si-Si",), compositions=(), virial_frames=3, converged_frames=1,
            energy_per_atom_ev=histogram, force_component_ev_per_angstrom=histogram, preview=(),
        )  # fmt: skip
        tell(Progress("assembling"))
        (work / "shared").write_bytes(b"without POTCAR")
        return Prepared(
            summary=summary,
            selection=await select(READ, ask),
            train=work / "train",
            held_out=work / "held",
            format="vasp/outcar",
            level_of_theory=LevelOfTheory(code="VASP 6.4"),
            theory_mismatches=(TheoryMismatch(field="functional", declared="PBEsol", found="PBE"),),
            set_aside=SET_ASIDE,
            set_aside_count=151,
            scf=ScfCounts(converged=1, unconverged=2, unknown=3),
            detection=Detection(format="vasp/outcar", confidence="certain", sentence="OUTCARs"),
            versions={"dpdata": "1.1.0"},
            download=Download(work / "shared", ("a/POTCAR", "b/POTCAR")),
        )


@dataclass
class Bench:
    reading: Reading
    engine: StandIn
    blobs: Blobs
    folder: Path
    prepared: int = 0
    told: list[Progress] = field(default_factory=list)

    async def read(self, uploaded: DatasetUploaded, ask: Ask = nothing_known) -> Outcome:
        return await self.reading.read(uploaded, self.told.append, ask)

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
    outcome = await bench.read(uploaded)
    told = outcome.event
    assert isinstance(told, DatasetValidated)
    assert outcome.selection is not None
    assert (told.dataset, told.frames, told.duplicate_frames) == (uploaded.dataset, 4, 2)
    assert (told.train_frames, told.held_out_frames) == (3, 1)
    assert (told.set_aside_count, len(told.set_aside)) == (151, 100)
    manifest = await bench.blobs.get_model(told.manifest.key, DatasetManifest)
    assert len(manifest.set_aside) == 120
    assert manifest.train is not None
    assert await bench.blobs.get_bytes(manifest.train.key) == b"train"
    assert manifest.train.key == f"datasets/{told.content_sha256}/train-{manifest.train.sha256[:16]}.mdb"
    assert bench.prepared == 1
    assert bench.told == [Progress("assembling")]


async def test_everything_that_reading_found_is_told(bench: Bench) -> None:
    uploaded = (await bench.upload()).model_copy(update={"declared": LevelOfTheory(functional="PBEsol")})
    overlap = Overlap(dataset=DatasetRef(dataset_id=uuid4(), version=1), title="Other", frames=2)

    async def ask(hashes: HashArray) -> Elsewhere:
        held = np.array([True, True, False, False])
        return Elsewhere(held, ~held, held, (overlap,), standard_frames=2)

    told = (await bench.read(uploaded, ask)).event
    assert isinstance(told, DatasetValidated)
    manifest = await bench.blobs.get_model(told.manifest.key, DatasetManifest)
    for one in (told, manifest):
        assert one.declared == LevelOfTheory(functional="PBEsol")
        assert [mismatch.found for mismatch in one.theory_mismatches] == ["PBE"]
        assert (one.overlaps, one.standard_frames, one.held_out_frames) == ((overlap,), 2, 2)
        assert [(label.name, label.unit, label.frames) for label in one.labels] == [
            ("energy", "eV", 4),
            ("force", "eV/Å", 4),
            ("virial", "eV", 3),
        ]
        assert one.scf == ScfCounts(converged=1, unconverged=2, unknown=3)
        assert one.detection is not None
        assert one.removed == ("a/POTCAR", "b/POTCAR")
        assert one.download is not None
        assert await bench.blobs.get_bytes(one.download.key) == b"without POTCAR"
    assert manifest.element_pairs == ("Si-Si",)


async def test_reading_twice_tells_the_same(bench: Bench) -> None:
    uploaded = await bench.upload()
    assert (await bench.read(uploaded)).event == (await bench.read(uploaded)).event


async def test_a_rejection_is_told_with_its_remedy(bench: Bench) -> None:
    bench.engine.rejects = Rejected("no-calculation", "nothing", "Pack outputs.", SET_ASIDE)
    outcome = await bench.read(await bench.upload())
    told = outcome.event
    assert outcome.selection is None
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
    told = (await bench.read(large)).event
    assert isinstance(told, DatasetRejected)
    assert told.rule == "archive-too-large"
    assert bench.engine.asked == []

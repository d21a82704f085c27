"""Contributions on their way: published through the API, then told of as the other services tell."""

import base64
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, Self, TypeVar
from uuid import UUID, uuid4

import httpx
import numpy
import pytest
from contracts.artifacts import (
    BranchCoverage,
    CompositionCount,
    DatasetManifest,
    Histogram,
    MetricReport,
    Parity,
    PreviewStructure,
)
from contracts.base import (
    BlobRef,
    BranchError,
    Credit,
    DatasetRef,
    ElementCount,
    LevelOfTheory,
    Overlap,
    RuleResult,
    SetAside,
)
from contracts.envelope import Event
from contracts.events import (
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetMetricStarted,
    DatasetRejected,
    DatasetValidated,
    MetricRerunRequested,
    ModelFile,
    ModelPublished,
    ModelWithheld,
    TrainedDataset,
    TrainingFinished,
    TrainingProgress,
    TrainingQueued,
    TrainingStarted,
)
from gateway_examples import read_closely, reading, rerun_finished
from kit.blobs import Blobs
from metric.pictures import gallery
from report_examples import everything

DESCRIPTION = """Ab-initio molecular dynamics of **cubic SiC** at 300 to 2,000 K, 8 atoms a cell.

| part | frames | temperature |
|---|---|---|
| solid | 48 | 300–1,200 K |
| hot solid | 16 | 1,200–2,000 K |

Good for *thermal expansion* and phonons; see [the code](https://www.quantum-espresso.org).
"""
T = TypeVar("T")


class Platform(Protocol):
    """The gateway under test; see the conftest above."""

    blobs: Blobs

    def client(self) -> httpx.Client: ...
    def say(self, *events: Event) -> None: ...
    def wait(self, work: Awaitable[T]) -> T: ...


class Contribution:
    """One dataset on its way: published through the API, then told of as ingest, metric and registry tell."""

    def __init__(
        self,
        platform: Platform,
        client: httpx.Client,
        name: str,
        private: bool = False,
        content: bytes | None = None,
        **fields: Any,
    ) -> None:
        self._platform = platform
        content = content or f"archive of {name}".encode()
        started = client.post(
            "/api/v1/uploads",
            headers={
                "tus-resumable": "1.0.0",
                "upload-length": str(len(content)),
                "upload-metadata": f"filename {base64.b64encode(b'calculations.zip').decode()}",
            },
        ).raise_for_status()
        offset = {"tus-resumable": "1.0.0", "upload-offset": "0", "content-type": "application/offset+octet-stream"}
        client.patch(started.headers["location"], headers=offset, content=content).raise_for_status()
        form: dict[str, Any] = {
            "upload_id": started.headers["location"].rsplit("/", 1)[1],
            "name": name,
            "authors": ["Demo Contributor", "李华"],
            "format": "qe/pw/scf",
            "licence": "CC-BY-4.0",
            "private": private,
            "description": DESCRIPTION,
            "agreement": True,
        } | fields
        dataset = client.post("/api/v1/datasets", json=form).raise_for_status().json()
        self.client = client
        self.path: str = f"/datasets/{dataset['id']}"
        self.ref = DatasetRef(dataset_id=dataset["id"], version=1)
        self.credit = Credit(title=name, authors=tuple(map(str, form["authors"])), licence="CC-BY-4.0", private=private)
        self.round_id = uuid4()
        self.branch = name.lower().replace(" ", "-")

    def validated(self) -> Self:
        theory = LevelOfTheory(code="Quantum ESPRESSO 6.7", functional="PBE", cutoff_ev=1088.5, k_points="2 2 2 0 0 0")
        aside = SetAside(
            path="run-07/scf.out",
            frame=3,
            rule="not-finite",
            reason="A force of this frame is not a number.",
            remedy="Repeat this calculation, or leave it out.",
        )
        event = DatasetValidated(
            dataset=self.ref,
            credit=self.credit,
            manifest=_no_blob("manifest.json"),
            content_sha256="0" * 64,
            format="qe/pw/scf",
            frames=64,
            train_frames=48,
            held_out_frames=16,
            duplicate_frames=2,
            elements=("C", "Si"),
            has_virial=True,
            level_of_theory=theory,
            set_aside_count=1,
            set_aside=(aside,),
        )
        self._platform.say(event)
        return self

    def with_counts(self) -> Self:
        """As `read_closely`, with how much of each element there is."""
        counts = tuple(ElementCount(symbol=symbol, atoms=256, frames=64) for symbol in ("C", "Si"))
        event = read_closely(self.ref).model_copy(update={"credit": self.credit, "element_counts": counts})
        self._platform.say(event)
        return self

    def reading(self, parsed: int, calculations: int = 1000) -> Self:
        self._platform.say(reading(self.ref, parsed, calculations))
        return self

    def read_closely(self, *overlaps: Overlap) -> Self:
        """As `validated`, with everything that ingest may tell."""
        cleaned = self._platform.wait(self._platform.blobs.put_bytes(f"cleaned/{self.ref.dataset_id}.zip", b"cleaned"))
        event = read_closely(self.ref, *overlaps, download=cleaned)
        self._platform.say(event.model_copy(update={"credit": self.credit}))
        return self

    def rejected(self) -> Self:
        event = DatasetRejected(
            dataset=self.ref,
            rule="wrong-format",
            reason="No calculation could be read as qe/pw/scf. This looks like VASP: 40 files are OUTCARs.",
            remedy="Upload it again and choose vasp/outcar, or detect.",
        )
        self._platform.say(event)
        return self

    def checking(self) -> Self:
        self._platform.say(DatasetMetricStarted(dataset=self.ref, run_id=uuid4(), model_version="1.0"))
        return self

    def passed(self) -> Self:
        self._platform.say(DatasetMetricPassed.model_validate(self._outcome(coverage=0.03)))
        return self

    def passed_before_the_first_model(self) -> Self:
        """There is nothing to predict with: no coverage, no zero-shot errors, other pictures."""
        unknown = {"model_version": None, "nearest_branch": None, "new_elements": ("C", "Si")}
        unknown |= dict.fromkeys(("force_rmse_zero_shot_mev_per_angstrom", "energy_rmse_zero_shot_mev_per_atom"))
        self._platform.say(DatasetMetricPassed.model_validate(self._outcome(coverage=0.0, model=None) | unknown))
        return self

    def not_sound(self) -> Self:
        unsound = RuleResult(rule="sound", passed=False, sentence="9 of 64 frames fail a check: up to 5 % may.")
        outcome = self._outcome(coverage=0.03) | {"outcome": "not-sound", "sound": unsound, "failed_frames": 9}
        self._platform.say(DatasetMetricNotPassed.model_validate(outcome))
        return self

    def repeated(self, run_id: str, rerun_id: str, *, same: bool = True) -> Self:
        asked = MetricRerunRequested(dataset=self.ref, run_id=UUID(run_id), rerun_id=UUID(rerun_id))
        self._platform.say(rerun_finished(asked, same=same))
        return self

    def covered(self) -> Self:
        outcome = self._outcome(coverage=0.96) | {"outcome": "covered"}
        self._platform.say(DatasetMetricNotPassed.model_validate(outcome))
        return self

    def _outcome(self, coverage: float, model: str | None = "1.0") -> dict[str, Any]:
        report = _report(self.ref, coverage).model_copy(update={"model_version": model} | everything())
        drawn = {**gallery.pictures(report, _manifest(self.ref)), "parity-force.png": b"a picture"}
        tables = {
            name: self._platform.wait(self._platform.blobs.put_bytes(f"metric/{report.run_id}/{name}", b"frame,rule"))
            for name in ("frames.csv", "frames.parquet")
        }
        stored = {
            name: self._platform.wait(self._platform.blobs.put_bytes(f"metric/{report.run_id}/{name}", picture))
            for name, picture in drawn.items()
        }
        report = report.model_copy(update={"pictures": stored, "tables": tables})
        put = self._platform.blobs.put_model(f"metric/{report.run_id}/report.json", report)
        near = report.branches[0]
        return {
            "dataset": self.ref,
            "run_id": report.run_id,
            "credit": self.credit,
            "dataset_manifest": _no_blob("manifest.json"),
            "model_version": report.model_version,
            "report": self._platform.wait(put),
            "sound": report.sound,
            "new": report.new,
            "coverage": coverage,
            "nearest_branch": near.branch,
            "force_rmse_zero_shot_mev_per_angstrom": near.force_rmse_mev_per_angstrom,
            "energy_rmse_zero_shot_mev_per_atom": near.energy_rmse_mev_per_atom,
            "new_elements": () if coverage > 0.9 else ("C",),
            "failed_frames": 0,
        }

    def training(self) -> Self:
        queued = TrainingQueued(
            round_id=self.round_id,
            datasets=(self.ref,),
            branches={str(self.ref): self.branch},
            parent_version="1.0",
            preset="laptop",
            total_steps=900,
        )
        started = TrainingStarted(round_id=self.round_id, attempt=1, worker="worker-1", resumed_from_step=0)
        self._platform.say(queued, started)
        return self

    def progress(self, step: int, force_rmse: float) -> Self:
        event = TrainingProgress(
            round_id=self.round_id,
            attempt=1,
            step=step,
            total_steps=900,
            learning_rate=1e-3,
            branches=(self._error(force_rmse),),
            frames_per_second=200,
            eta_seconds=(900 - step) / 10,
        )
        self._platform.say(event)
        return self

    def published(self, version: str, force_rmse: float = 404) -> Self:
        error = self._error(force_rmse)
        finished = TrainingFinished(round_id=self.round_id, attempt=1, branches=(error,), wall_seconds=86)
        row = TrainedDataset(
            dataset=None if self.credit.private else self.ref,
            title=None if self.credit.private else self.credit.title,
            authors=() if self.credit.private else self.credit.authors,
            branch=self.branch,
            weight=0.5,
            new=True,
            energy_rmse_mev_per_atom=error.energy_rmse_mev_per_atom,
            force_rmse_mev_per_angstrom=error.force_rmse_mev_per_angstrom,
        )
        older = row.model_copy(update={"dataset": None, "title": None, "authors": (), "branch": "si", "new": False})
        checkpoint = self._platform.wait(self._platform.blobs.put_bytes(f"models/{version}/model.pt", b"weights"))
        published = ModelPublished(
            version=version,
            parent="1.0",
            round_id=self.round_id,
            datasets=(row, older),
            contributors=self.credit.authors,
            files=(ModelFile(name="model.pt", blob=checkpoint, kind="checkpoint"),),
            branches=(error,),
            standard_score=0.214,
            rules=tuple(_rules(passed=True)),
            checks=tuple(_checks()),
            preset="laptop",
            wall_seconds=86,
        )
        self._platform.say(finished, published)
        return self

    def withheld(self) -> Self:
        withheld = ModelWithheld(round_id=self.round_id, parent="1.0", rules=tuple(_rules(passed=False)))
        self._platform.say(withheld)
        return self

    def _error(self, force_rmse: float) -> BranchError:
        return BranchError(
            branch=self.branch,
            dataset=self.ref,
            energy_rmse_mev_per_atom=force_rmse / 20,
            force_rmse_mev_per_angstrom=force_rmse,
        )

    def knows(self, member: str) -> Self:
        """Wait until the gateway tells something under that name."""
        for _ in range(600):
            if self.client.get(f"/api/v1{self.path}").json()[member]:
                return self
            time.sleep(0.1)
        raise AssertionError(f"nothing is known of {member}")

    def learns(self, step: int) -> Self:
        """Wait until the gateway has heard how far the training is."""
        for _ in range(600):
            training = self.client.get(f"/api/v1{self.path}").json()["training"]
            if training and training["step"] == step:
                return self
            time.sleep(0.1)
        raise AssertionError(f"the training is not at step {step}")

    def reaches(self, state: str) -> Self:
        """Wait until the gateway has heard so much."""
        for _ in range(600):
            if self.client.get(f"/api/v1{self.path}").json()["state"] == state:
                return self
            time.sleep(0.1)
        raise AssertionError(f"the dataset is not {state}: {self.client.get(f'/api/v1{self.path}').json()}")


def _no_blob(key: str) -> BlobRef:
    return BlobRef(key=key, sha256="0" * 64, size=0)


def _manifest(ref: DatasetRef) -> DatasetManifest:
    flat = Histogram(edges=(-1, 0, 1), counts=(32, 32))
    return DatasetManifest(
        dataset=ref,
        content_sha256="0" * 64,
        train=_no_blob("train.mdb"),
        held_out=_no_blob("held-out.mdb"),
        frames=64,
        train_frames=48,
        held_out_frames=16,
        duplicate_frames=2,
        atoms=512,
        elements=("C", "Si"),
        compositions=(CompositionCount(formula="C4Si4", frames=64),),
        has_virial=True,
        level_of_theory=LevelOfTheory(functional="PBE"),
        format="qe/pw/scf",
        set_aside=(),
        energy_per_atom_ev=flat,
        force_component_ev_per_angstrom=flat,
        preview=tuple(_structure(step) for step in range(5)),
        versions={},
    )


def _structure(step: int) -> PreviewStructure:
    """Zinc blende, its atoms a little off their places, more with each step."""
    a, corners = 4.36, ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))
    silicon = [tuple(a / 2 * one + 0.05 * step for one in corner) for corner in corners]
    carbon = [tuple(one + a / 4 for one in place) for place in silicon]
    return PreviewStructure(
        symbols=("Si",) * 4 + ("C",) * 4,
        positions=tuple((x, y, z) for x, y, z in (*silicon, *carbon)),
        cell=((a, 0, 0), (0, a, 0), (0, 0, a)),
        frame=16 * step,
    )


def _rules(passed: bool) -> list[RuleResult]:
    learned = "Force RMSE on it fell from 1,971 to 404 meV/Å, by 80 %; 5 % was asked for."
    suffered = "Branch si: force RMSE rose from 150 to 190 meV/Å, by 27 %; at most 5 % was allowed."
    return [
        RuleResult(rule="learned", passed=True, sentence=learned),
        RuleResult(rule="remembered", passed=passed, sentence="No branch suffered." if passed else suffered),
        RuleResult(rule="standard", passed=True, sentence="The score went from 0.231 to 0.214."),
        RuleResult(rule="loads", passed=True, sentence="A fresh process reproduced the predictions to 1e-6 eV."),
    ]


def _checks() -> list[RuleResult]:
    held = "A turned structure has the same energy and turned forces: force difference 2.3e-05 eV/Å (0.001 allowed)."
    lost = "A run of 200 steps at constant energy, from 100 K, loses or gains total energy: branch si: 3 meV/atom."
    large = "This could not be looked at. Not asked: si, whose frames are too large for it."
    return [
        RuleResult(rule="rotation", passed=True, sentence=held),
        RuleResult(rule="extensive", passed=False, unknown=True, sentence=large),
        RuleResult(rule="conserves-energy", passed=False, sentence=lost),
    ]


def _report(ref: DatasetRef, coverage: float) -> MetricReport:
    """A metric report over made-up errors; pictures are drawn from it by the metric's own code."""
    random = numpy.random.default_rng(7)
    scale = 0.1 if coverage > 0.9 else 1.5
    energy, force = random.normal(-8, 0.2, 200), random.normal(0, 1.5, 1200)
    parity = tuple(
        Parity(
            quantity=quantity,
            unit=unit,
            reference=tuple(values),
            predicted=tuple(values + random.normal(0, scale * share, values.size)),
            rmse=scale * share,
        )
        for quantity, unit, values, share in (("energy", "eV/atom", energy, 0.1), ("force", "eV/Å", force, 1.0))
    )
    counts, edges = numpy.histogram(random.gamma(4, scale / 3, 64), bins=16)
    near = BranchCoverage(
        branch="si",
        force_rmse_mev_per_angstrom=1971 if coverage < 0.9 else 141,
        energy_rmse_mev_per_atom=210.5 if coverage < 0.9 else 4.2,
        threshold_ev_per_angstrom=0.62,
        coverage=coverage,
        alignment_rank=1,
        elements=2,
    )
    known = f"DPA 1.0, branch si, predicts {coverage:.0%} of 64 frames as well as the data it was trained on."
    return MetricReport(
        dataset=ref,
        run_id=uuid4(),
        model_version="1.0",
        frames_judged=64,
        sound=RuleResult(rule="sound", passed=True, sentence="Every frame passes; up to 5 % may fail a check."),
        new=RuleResult(rule="new", passed=coverage < 0.9, sentence=known, numbers={"coverage": coverage}),
        checks=(),
        coverage=coverage,
        threshold_ev_per_angstrom=0.62,
        branches=(near,),
        nearest_branch="si",
        energy_shift_ev={"Si": 0.1, "C": -0.3},
        new_elements=(),
        parity=parity,
        max_force_error_histogram=Histogram(edges=tuple(edges), counts=tuple(counts)),
        verdicts=(),
        pictures={},
        settings={},
        versions={},
    )


@pytest.fixture(scope="session", autouse=True)
def stored_manifests(platform: Platform) -> None:
    """What the facts that tests tell refer to."""
    manifest = _manifest(DatasetRef(dataset_id=uuid4(), version=1))
    for key in ("manifest.json", "datasets/x/manifest.json"):
        platform.wait(platform.blobs.put_model(key, manifest))


@pytest.fixture
def contribution(platform: Platform) -> Callable[..., Contribution]:
    """`contribution("SiC")`: a new dataset of a new person."""

    def contribute(name: str, private: bool = False, client: httpx.Client | None = None, **fields: Any) -> Contribution:
        return Contribution(platform, client or platform.client(), name, private, **fields)

    return contribute

"""Real training: what the standard dataset holds is not trained on, and idle workers score every version on it."""

import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from contracts.artifacts import DatasetManifest, ModelManifest
from contracts.base import BlobRef, Credit, DatasetRef
from contracts.events import ModelPublished, ModelRescored, StandardReleased
from contracts.fleet.v1 import fleet_pb2 as pb
from contracts.fleet.v1 import scoring_pb2
from contracts.standard import StandardBranch, StandardDataset, StandardScore
from crystals import crystals
from frames.frame import Frame
from frames.hashing import frame_hash
from google.protobuf.duration_pb2 import Duration
from kit.blobs import Blobs
from registry_bench import TOKEN, Bench, FreshDatabase, opened
from registry_examples import metric_passed, policy
from trainer_fleet import FakeFleet, FakeScoring, WorkerProcess, message, serving, stored_branch, until

CHOSEN = 3
SILICON = crystals("Si", "Si", 12, 1), crystals("Si", "Si", 6, 2)
GERMANIUM = crystals("Ge", "Ge", 12, 3), crystals("Ge", "Ge", 6, 4)
CARBON = crystals("C", "C", 12, 5), crystals("C", "C", 6, 6)


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/blobs")


@pytest_asyncio.fixture
async def bench(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Bench]:
    """A registry that publishes whatever is trained: what is tested here is not how well a toy learns."""
    (tmp_path / "blobs").mkdir(exist_ok=True)
    easy = policy(
        preset="smoke",
        first_round_min_datasets=1,
        first_round_steps=60,
        growth_round_steps=20,
        standard_max_worsening=1000,
        remembered_max_rise=1000,
        standard_frames_per_branch=CHOSEN,
        lease_ttl_seconds=20,
    )
    # Beyond what a policy file may say: twenty steps may as well make a toy worse.
    easy = easy.model_copy(update={"learned_min_reduction": -1000})
    async with opened(fresh_database.dsn("registry"), tmp_path / "blobs", easy) as one:
        yield one


async def arrive(bench: Bench, folder: Path, name: str, train: Sequence[Frame], held_out: Sequence[Frame]) -> None:
    """A dataset of which nobody stored hashes: neither ingest nor planning knows its frames."""
    stored = await stored_branch(bench.blobs, folder, name, train, held_out, weight=1)
    manifest = BlobRef.model_validate(stored.dataset_manifest, from_attributes=True)
    assert (await bench.blobs.get_model(manifest.key, DatasetManifest)).frame_hashes is None
    ref = DatasetRef(dataset_id=UUID(stored.dataset_id), version=1)
    event = metric_passed(ref, manifest, Credit(title=name, authors=(), licence="CC-BY-4.0", private=False))
    report = BlobRef.model_validate(stored.metric_report, from_attributes=True)
    async with bench.database.transaction() as conn:
        await bench.rounds.join(conn, event.model_copy(update={"report": report}), len(train), None)


async def grow(bench: Bench, version: str) -> ModelManifest:
    """A round on what waits, carried out by the worker that listens."""
    await bench.quiet()
    await bench.leakage.look()
    assert await bench.plan() is not None
    newest = "select state, reason from rounds order by sequence desc limit 1"

    async def ended() -> bool:
        return (await bench.rows(newest))[0]["state"] not in ("waiting", "training")

    await until("the round's end", ended)
    (told,) = await bench.rows(newest)
    assert told["state"] == "published", told
    events = [event for event in await bench.events() if isinstance(event, ModelPublished)]
    assert events[-1].version == version
    rows = await bench.rows("select manifest from models where version = %s", version)
    return await bench.blobs.get_model(rows[0]["manifest"]["key"], ModelManifest)


async def rescored(bench: Bench, version: str, standard: int) -> StandardScore:
    async def told() -> list[StandardScore]:
        events = [event for event in await bench.events() if isinstance(event, ModelRescored)]
        return [one.standard for one in events if (one.version, one.standard.standard) == (version, standard)]

    await until(f"the score of {version} on standard dataset {standard}", told)
    return (await told())[0]


def branch_of(score: StandardScore, name: str) -> tuple[float, float]:
    part = next(one for one in score.branches if one.branch == name)
    return part.energy_rmse_mev_per_atom, part.force_rmse_mev_per_angstrom


async def forgotten(bench: Bench, version: str) -> None:
    """As if no round had measured this model: a version from before the standard dataset."""
    await bench.rows("delete from standard_errors where model_version = %s", version)
    await bench.rows("delete from standard_scores where model_version = %s", version)
    await bench.rows("delete from outbox where type like '%%rescored%%'")
    async with bench.database.transaction() as conn:
        newest = await bench.store.newest_standard(conn)
        assert newest is not None
        await bench.store.queue_scoring(conn, version, newest.standard.number)


@pytest.mark.timeout(1200)
async def test_models_grow_without_test_frames_and_an_idle_worker_says_of_one_what_its_round_said(
    bench: Bench, tmp_path: Path
) -> None:
    port, fleet_token = int(bench.address.rpartition(":")[2]), TOKEN.get_secret_value()
    process = WorkerProcess(tmp_path / "worker", port, f"file://{tmp_path}/blobs", FLEET_TOKEN=fleet_token)
    async with process:
        await arrive(bench, tmp_path, "silicon", *SILICON)
        first = await grow(bench, "1.0")
        frames = first.branches[0].held_out_frames
        assert frames is not None
        assert frames.hashes == tuple(frame_hash(frame).hex() for frame in SILICON[1])
        (released,) = [event for event in await bench.events() if isinstance(event, StandardReleased)]
        standard = await bench.blobs.get_model(released.content.key, StandardDataset)
        tests = [frame for frame in SILICON[1] if frame_hash(frame).hex() in standard.branches[0].frames]
        assert len(tests) == CHOSEN

        # The race that ingest cannot see: two of its training frames are test frames since the first model.
        await arrive(bench, tmp_path, "carbon", [*CARBON[0], *tests[:2]], CARBON[1])
        second = await grow(bench, "1.1")
        assert [one.left_out_frames for one in second.branches] == [0, 2]
        by_round = await rescored(bench, "1.0", 2)
        await forgotten(bench, "1.0")
        by_worker = await rescored(bench, "1.0", 2)
        assert await process.end(signal.SIGTERM) == 0
    assert [part.zero_shot for part in by_round.branches] == [False, True]
    assert [part.zero_shot for part in by_worker.branches] == [False, True]
    for name in ("silicon", "carbon"):
        assert branch_of(by_worker, name) == pytest.approx(branch_of(by_round, name), rel=1e-3), name
    assert by_worker.score == pytest.approx(by_round.score, rel=1e-3)
    energy, _ = branch_of(by_worker, "carbon")
    assert energy < 500, "aligned on training frames: 50 eV an atom lie between the elements"


async def test_a_dataset_of_standard_frames_alone_is_not_trained_on(tmp_path: Path, blobs: Blobs) -> None:
    """Planning named nothing, ingest split as it liked: the trainer finds them by what it reads."""
    fleet = FakeFleet()
    stored = await stored_branch(blobs, tmp_path, "silicon", *SILICON, weight=1)
    content = await standard_dataset(blobs, stored, [frame_hash(frame).hex() for frame in SILICON[0]])
    spec = pb.RoundSpec(preset="smoke", total_steps=20, seed=1, branches=[stored], standard_dataset=message(content))
    fleet.offer(spec)
    async with serving(fleet) as port, WorkerProcess(tmp_path / "worker", port, f"file://{tmp_path}/blobs"):
        await until("the failure", lambda: fleet.failures or fleet.submissions)
    (failure,) = fleet.failures
    assert (failure.rule, failure.retryable) == ("data-unreadable", False)
    assert "branch silicon" in failure.reason
    assert "12 of 12 test the model" in failure.reason


async def standard_dataset(blobs: Blobs, of: pb.RoundBranch, frames: Sequence[str]) -> BlobRef:
    branch = StandardBranch(
        branch=of.name,
        dataset=DatasetRef(dataset_id=uuid4(), version=1),
        dataset_manifest=BlobRef.model_validate(of.dataset_manifest, from_attributes=True),
        metric_report=BlobRef.model_validate(of.metric_report, from_attributes=True),
        frames=tuple(sorted(frames)),
        baseline_energy_rmse_mev_per_atom=100,
        baseline_force_rmse_mev_per_angstrom=1000,
    )
    standard = StandardDataset(number=1, model_version="1.0", seed=1, frames_per_branch=64, branches=(branch,))
    return await blobs.put_model("standard/1/content.json", standard)


async def scoring_lease(blobs: Blobs, folder: Path, release: bytes = b"no model") -> scoring_pb2.ScoringLease:
    """Of a model whose files are what a test says."""
    stored = await stored_branch(blobs, folder, "silicon", *SILICON, weight=1)
    content = await standard_dataset(blobs, stored, [frame_hash(frame).hex() for frame in SILICON[1][:CHOSEN]])
    file = await blobs.put_bytes("models/1.0/model.pt", release)
    manifest = ModelManifest.model_validate(
        {
            "round_id": uuid4(), "parent_version": None, "preset": "smoke", "checkpoint": file, "release": file,
            "frozen": {}, "recipe": file, "branches": (), "new_branches": (), "zero_shot": (), "parent_held_out": (),
            "verification": {"rule": "loads", "passed": True, "sentence": "Loads."}, "steps": 1, "wall_seconds": 1,
            "versions": {},
        }
    )  # fmt: skip
    return scoring_pb2.ScoringLease(
        model_version="1.0",
        fence=1,
        ttl=Duration(seconds=30),
        model_manifest=message(await blobs.put_model("models/1.0/manifest-full.json", manifest)),
        standard_dataset=message(content),
        branches=[scoring_pb2.ScoringBranch(name="silicon", own_branch="silicon")],
    )


async def test_a_worker_that_scores_leaves_when_a_round_waits(tmp_path: Path, blobs: Blobs) -> None:
    fleet, scorings = FakeFleet(), FakeScoring(await scoring_lease(blobs, tmp_path), hand_back=True)
    async with (
        serving(fleet, scorings=scorings) as port,
        WorkerProcess(tmp_path / "worker", port, f"file://{tmp_path}/blobs"),
    ):
        await until("the scoring to be given up", lambda: scorings.given_up)
        stored = await stored_branch(blobs, tmp_path, "germanium", *GERMANIUM, weight=1)
        fleet.offer(pb.RoundSpec(preset="smoke", total_steps=20, seed=1, branches=[stored]))
        await until("the round to be leased", lambda: fleet.leases, 30)
    (given_up,) = scorings.given_up
    assert (given_up.model_version, given_up.fence, given_up.rule) == ("1.0", 1, "")
    assert "a round waits" in given_up.reason
    assert scorings.submissions == []


async def test_a_worker_that_is_told_to_stop_gives_its_scoring_back(tmp_path: Path, blobs: Blobs) -> None:
    scorings = FakeScoring(await scoring_lease(blobs, tmp_path))
    async with serving(FakeFleet(), scorings=scorings) as port:
        process = WorkerProcess(tmp_path / "worker", port, f"file://{tmp_path}/blobs")
        async with process:
            await until("a lease", lambda: scorings.leases)
            assert await process.end(signal.SIGTERM) == 0
    assert [(one.rule, one.reason) for one in scorings.given_up] == [("", "the worker is shutting down")]


@pytest.mark.parametrize("broken", ["model", "storage"])
async def test_what_cannot_be_scored_is_told_with_its_reason(tmp_path: Path, blobs: Blobs, broken: str) -> None:
    scorings = FakeScoring(await scoring_lease(blobs, tmp_path))
    if broken == "storage":
        await blobs.delete("models/1.0/model.pt")
    async with (
        serving(FakeFleet(), scorings=scorings) as port,
        WorkerProcess(tmp_path / "worker", port, f"file://{tmp_path}/blobs"),
    ):
        await until("the reason", lambda: scorings.given_up or scorings.submissions)
    (given_up,) = scorings.given_up
    assert given_up.rule
    assert ("model.pt" in given_up.reason) or given_up.rule == "crashed", given_up.reason

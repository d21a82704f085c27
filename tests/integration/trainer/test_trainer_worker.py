"""A real worker with deepmd, against a registry that keeps the promises of contracts.fleet.v1."""

import json
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from contracts.artifacts import BranchManifest
from contracts.base import BlobRef
from contracts.fleet.v1 import fleet_pb2 as pb
from crystals import crystals
from dpa.checkpoint import branches, load
from kit.blobs import Blobs
from ports import free_port
from registry.domain.publication import check_frames
from trainer_fleet import (
    PRESETS,
    FakeFleet,
    WorkerProcess,
    candidate,
    children,
    message,
    serving,
    stored_branch,
    until,
    within,
)

# They wait for as long as the work goes on, which on a busy machine is long.
pytestmark = pytest.mark.timeout(1200)
STEPS = 60


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/blobs")


@pytest.fixture
def fleet() -> FakeFleet:
    return FakeFleet()


async def first_round(blobs: Blobs, folder: Path, steps: int = STEPS) -> pb.RoundSpec:
    silicon = await stored_branch(
        blobs, folder, "silicon", crystals("Si", "Si", 12, 1), crystals("Si", "Si", 5, 2), weight=0.5
    )
    germanium = await stored_branch(
        blobs, folder, "germanium", crystals("Ge", "Ge", 12, 3), crystals("Ge", "Ge", 5, 4), weight=0.5
    )
    return pb.RoundSpec(preset="smoke", total_steps=steps, seed=7, branches=[silicon, germanium])


def worker(stack_folder: Path, port: int, name: str = "worker", **settings: str) -> WorkerProcess:
    return WorkerProcess(stack_folder / name, port, f"file://{stack_folder}/blobs", **settings)


async def test_a_first_model_is_trained_and_then_grows(tmp_path: Path, blobs: Blobs, fleet: FakeFleet) -> None:
    spec = await first_round(blobs, tmp_path, steps=40)
    fleet.offer(spec)
    async with serving(fleet) as port, worker(tmp_path, port, WARM_START="true") as process:
        await until("the first submission", lambda: fleet.submissions or fleet.failures)
        assert not fleet.failures, fleet.failures
        first = await candidate(blobs, fleet.submissions[0])
        # Labels of one frame are nonsense: trained on, they would end the attempt as not finite.
        frames = crystals("Si", "C", 12, 5)
        frames[3].forces[:] = float("nan")
        added = await stored_branch(
            blobs, tmp_path, "carbide", frames, crystals("Si", "C", 5, 6), weight=0.5, failed_train=[3]
        )
        old = [pb.RoundBranch() for _ in spec.branches]
        for mine, theirs in zip(old, spec.branches, strict=True):
            mine.CopyFrom(theirs)
            mine.is_new, mine.weight = False, 0.25
        fleet.offer(
            pb.RoundSpec(
                preset="smoke",
                total_steps=20,
                seed=8,
                parent_manifest=message(await blobs.put_model(f"models/1.0/{'0' * 64}/manifest-full.json", first)),
                parent_version="1.0",
                branches=[*old, added],
            )
        )
        await until("the second submission", lambda: len(fleet.submissions) > 1 or fleet.failures)
        assert not fleet.failures, fleet.failures
        grown = await candidate(blobs, fleet.submissions[1])
        assert await process.end(signal.SIGTERM) == 0

    assert first.verification.passed, first.verification.sentence
    assert [branch.name for branch in first.branches] == ["silicon", "germanium"]
    assert first.zero_shot == first.start == first.parent_held_out == ()
    assert first.moments_kept is None
    assert first.seed == spec.seed
    assert first.hardware is not None
    assert first.cost is not None
    assert 0 < fleet.usages[0].core_seconds / 3600 < first.cost.core_hours < 0.2
    if first.hardware.device == "cpu":
        assert (first.cost.gpu_hours, first.cost.gpu_energy_kwh) == (0, None)
    # A slow machine gives signs of life, without branches, before the first look.
    assert next(report for report in fleet.reports if report.branches).step == 10
    assert sorted({request.checkpoint.step for request in fleet.checkpoints})[-1] == 40

    assert grown.verification.passed, grown.verification.sentence
    assert grown.parent_version == "1.0"
    assert grown.moments_kept is False
    assert (first.took_turns, grown.took_turns) == (False, True)
    assert grown.new_branches == ("carbide",)
    assert [error.branch for error in grown.zero_shot] == [error.branch for error in grown.start] == ["carbide"]
    # The parent's errors on the old branches are those that the parent was submitted with.
    for before, after in zip(first.branches, grown.parent_held_out, strict=True):
        assert after.branch == before.name
        assert after.dataset == before.dataset
        assert after.force_rmse_mev_per_angstrom == pytest.approx(before.held_out.force_rmse_mev_per_angstrom, rel=1e-5)
        assert after.energy_rmse_mev_per_atom == pytest.approx(before.held_out.energy_rmse_mev_per_atom, rel=1e-3)
    # Aligned on its training frames: 2000 eV lie between the elements' energies.
    assert grown.zero_shot[0].energy_rmse_mev_per_atom < 500
    assert grown.start[0].energy_rmse_mev_per_atom < 500
    assert grown.start[0].dataset == grown.branches[-1].dataset
    began = next(report for report in fleet.reports if report.fence == 2)
    assert began.step == 0
    assert began.branches[-1].force_rmse_mev_per_angstrom == pytest.approx(grown.start[0].force_rmse_mev_per_angstrom)
    assert [branch.left_out_held_out for branch in grown.branches] == [()] * 3
    assert all(branch.content_sha256 for branch in grown.branches)
    for branch in grown.branches:
        assert len(branch.held_out_max_force_errors_ev_per_angstrom) == 5
        assert branch.baseline_force_rmse_mev_per_angstrom > 0
        check_single_frames(branch)
    assert set(grown.frozen) == {"silicon", "germanium", "carbide"}


async def test_a_killed_worker_leaves_nothing_and_another_goes_on_from_its_checkpoint(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    fleet.offer(await first_round(blobs, tmp_path))
    async with serving(fleet) as port:
        async with worker(tmp_path, port, "first") as first:
            await until("a checkpoint", lambda: fleet.checkpoints)
            engines = children(first.pid)
            assert engines
            await first.end(signal.SIGKILL)
            await within(5, "the engine's end", lambda: not any(_runs(pid) for pid in engines))
        reached = fleet.newest
        assert reached is not None
        async with worker(tmp_path, port, "second"):
            await until("the submission", lambda: fleet.submissions or fleet.failures)
    assert not fleet.failures, fleet.failures
    assert fleet.leases[-1].resume_from.step == reached.step
    later = [request.checkpoint.step for request in fleet.checkpoints if request.fence == 2]
    assert min(later) > reached.step
    assert max(later) == STEPS
    assert (await candidate(blobs, fleet.submissions[0])).verification.passed


def check_single_frames(branch: BranchManifest) -> None:
    """The errors of single frames make up the RMSE values, after and for the baseline."""
    frames = branch.held_out_frames
    assert frames is not None
    assert frames.atoms == (8,) * 5
    assert frames.before is not None
    atoms = np.array(frames.atoms)
    for errors, energy, force in (
        (frames.after, branch.held_out.energy_rmse_mev_per_atom, branch.held_out.force_rmse_mev_per_angstrom),
        (frames.baseline, branch.baseline_energy_rmse_mev_per_atom, branch.baseline_force_rmse_mev_per_angstrom),
    ):
        assert np.sqrt(np.mean(np.square(errors.energy_mev_per_atom))) == pytest.approx(energy, rel=1e-5)
        squares = atoms * np.square(errors.force_mev_per_angstrom)
        assert np.sqrt(np.sum(squares) / np.sum(atoms)) == pytest.approx(force, rel=1e-5)


async def test_a_pause_saves_a_checkpoint_and_hands_the_lease_back_and_the_round_goes_on_later(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    fleet.offer(await first_round(blobs, tmp_path, steps=100_000))
    async with serving(fleet) as port, worker(tmp_path, port):
        await until("progress", lambda: fleet.reports)
        fleet.paused = True
        await until("the hand-back", lambda: fleet.hand_backs)
        assert (fleet.hand_backs[0].fence, fleet.hand_backs[0].reason) == (1, "growth is paused")
        reached = fleet.checkpoints[-1].checkpoint.step
        assert reached >= fleet.reports[-1].step
        fleet.paused = False
        await until("another lease", lambda: len(fleet.leases) == 2)
        assert fleet.leases[1].resume_from.step == reached
        await until("progress after it", lambda: fleet.reports[-1].step > reached)
    assert not fleet.failures


async def test_a_withdrawn_datasets_branch_is_removed_only_if_the_round_says_so(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    spec = await first_round(blobs, tmp_path, steps=20)
    fleet.offer(spec)
    async with serving(fleet) as port, worker(tmp_path, port):
        await until("the first submission", lambda: fleet.submissions or fleet.failures)
        first = await candidate(blobs, fleet.submissions[0])
        parent = message(await blobs.put_model(f"models/1.0/{'0' * 64}/manifest-full.json", first))
        germanium = pb.RoundBranch()
        germanium.CopyFrom(spec.branches[1])
        germanium.is_new = False
        # Silicon is neither trained nor left out: somebody has made a mistake.
        fleet.offer(pb.RoundSpec(preset="smoke", total_steps=20, parent_manifest=parent, branches=[germanium]))
        await until("the failure", lambda: fleet.failures)
        assert (fleet.failures[0].rule, fleet.failures[0].retryable) == ("parent-unusable", False)
        assert "the parent has branches silicon, germanium; the round expects germanium" in fleet.failures[0].reason
        added = await stored_branch(
            blobs, tmp_path, "carbide", crystals("Si", "C", 12, 7), crystals("Si", "C", 5, 8), weight=0.5
        )
        fleet.offer(
            pb.RoundSpec(
                preset="smoke",
                total_steps=20,
                parent_manifest=parent,
                parent_version="1.0",
                left_out_branches=["silicon"],
                branches=[germanium, added],
            )
        )
        await until("the second submission", lambda: len(fleet.submissions) > 1 or len(fleet.failures) > 1)
        assert len(fleet.failures) == 1, fleet.failures
        without = await candidate(blobs, fleet.submissions[1])

    assert without.verification.passed, without.verification.sentence
    assert [branch.name for branch in without.branches] == ["germanium", "carbide"]
    release = tmp_path / "release.pt"
    await blobs.get_file(without.release, release)
    assert branches(release) == ["germanium", "carbide"]
    for branch in without.branches:
        check_single_frames(branch)
        check_frames(branch, without)  # as the registry does, before the first step too
    # Exactly as before: the parent was measured on the same frames when it still had both branches.
    was, now = first.branches[1].held_out_frames, without.branches[0].held_out_frames
    assert was is not None
    assert now is not None
    assert now.before is not None
    assert now.before.force_mev_per_angstrom == pytest.approx(was.after.force_mev_per_angstrom, rel=1e-4)
    assert first.branches[1].held_out.force_rmse_mev_per_angstrom == pytest.approx(
        without.parent_held_out[0].force_rmse_mev_per_angstrom, rel=1e-5
    )


async def test_sigterm_saves_a_checkpoint_and_hands_the_lease_back(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    fleet.offer(await first_round(blobs, tmp_path, steps=100_000))
    async with serving(fleet) as port, worker(tmp_path, port) as process:
        await until("progress", lambda: fleet.reports)
        assert await process.end(signal.SIGTERM) == 0
    assert [request.fence for request in fleet.hand_backs] == [1]
    assert fleet.checkpoints[-1].checkpoint.step >= fleet.reports[-1].step
    stored = fleet.checkpoints[-1].checkpoint.blob
    assert await blobs.size(stored.key) == stored.size
    assert not list((tmp_path / "worker" / "work" / "attempts").iterdir())


async def test_a_stale_fence_ends_the_attempt_and_the_worker_leases_again(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    fleet.offer(await first_round(blobs, tmp_path, steps=100_000))
    async with serving(fleet) as port, worker(tmp_path, port) as process:
        await until("progress", lambda: fleet.reports)
        engines = children(process.pid)
        heard = len(fleet.reports)
        fleet.usurp()
        await until("another lease", lambda: len(fleet.leases) == 2)
        assert not any(_runs(pid) for pid in engines)
        assert fleet.stale_calls >= 1
        assert len(fleet.reports) == heard
    assert not fleet.failures


async def test_training_goes_on_while_the_registry_is_away(tmp_path: Path, blobs: Blobs, fleet: FakeFleet) -> None:
    fleet.ttl = 60
    fleet.offer(await first_round(blobs, tmp_path, steps=40))
    port = free_port()  # while nobody serves there, no passing connection takes it
    async with AsyncExitStack() as stack:
        async with serving(fleet, port):
            process = await stack.enter_async_context(worker(tmp_path, port))
            await until("progress", lambda: fleet.reports)
        await until("the end of training", lambda: "waiting-for-infrastructure" in process.log_file.read_text())
        async with serving(fleet, port):
            await until("the submission", lambda: fleet.submissions or fleet.failures)
    assert not fleet.failures, fleet.failures
    assert len(fleet.leases) == 1


async def test_labels_that_are_no_numbers_are_named_and_tried_once_more_with_half_the_learning_rate(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    frames = crystals("Si", "Si", 12, 1)
    frames[0].forces[:] = float("nan")
    held_out = crystals("Si", "Si", 5, 2)
    branches = [
        await stored_branch(blobs, tmp_path, "sound", crystals("Ge", "Ge", 12, 3), held_out, weight=0.5),
        await stored_branch(blobs, tmp_path, "broken", frames, held_out, weight=0.5),
    ]
    fleet.retries = True
    fleet.offer(pb.RoundSpec(preset="smoke", total_steps=1000, seed=1, branches=branches))
    async with serving(fleet) as port, worker(tmp_path, port):
        await until("both failures", lambda: len(fleet.failures) == 2 or fleet.submissions)
    assert [(failure.rule, failure.retryable) for failure in fleet.failures] == [
        ("not-finite", True),
        ("not-finite", False),
    ]
    assert [lease.learning_rate_factor for lease in fleet.leases] == [1, 0.5]
    for failure in fleet.failures:
        assert (
            "The cause is the dataset of branch broken: a label of it (force) is not a finite number" in failure.reason
        )
        assert "branch sound" not in failure.reason
    assert "from the last good checkpoint with half the learning rate" in fleet.failures[0].reason
    assert "second time" in fleet.failures[1].reason
    assert "have the registry bisect the round" in fleet.failures[1].reason
    # At once: with eight of twelve frames a batch it shows within the first few steps of the branch.
    assert all(report.step <= 10 for report in fleet.reports)


async def test_a_learning_rate_that_is_too_high_ends_the_attempt_and_the_next_goes_back_to_a_good_checkpoint(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    preset = json.loads((PRESETS / "smoke.json").read_text())
    preset["learning_rate"]["first_round"] |= {"start_lr": 1e3, "stop_lr": 1e2, "warmup_ratio": 0.5}
    preset["checkpoint_every"] = 1
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "smoke.json").write_text(json.dumps(preset))
    fleet.retries = True
    fleet.offer(await first_round(blobs, tmp_path, steps=2000))
    async with serving(fleet) as port, worker(tmp_path, port, PRESETS=str(tmp_path / "presets")):
        await until("both failures", lambda: len(fleet.failures) == 2 or fleet.submissions)
    assert [(failure.rule, failure.retryable) for failure in fleet.failures] == [
        ("not-finite", True),
        ("not-finite", False),
    ]
    assert "exploded" in fleet.failures[0].reason or "stopped being" in fleet.failures[0].reason
    resumed = fleet.leases[1].resume_from
    assert resumed.step > 0
    place = tmp_path / "good.pt"
    await blobs.get_file(BlobRef(key=resumed.blob.key, sha256=resumed.blob.sha256, size=resumed.blob.size), place)
    weights = load(place)["model"].values()
    assert all(bool(one.isfinite().all()) for one in weights if hasattr(one, "isfinite"))


async def test_a_dataset_that_is_gone_fails_the_attempt_before_training(
    tmp_path: Path, blobs: Blobs, fleet: FakeFleet
) -> None:
    spec = await first_round(blobs, tmp_path)
    await blobs.delete("datasets/" + "0" * 64 + "/silicon-train.mdb")
    fleet.offer(spec)
    async with serving(fleet) as port, worker(tmp_path, port):
        await until("the failure", lambda: fleet.failures)
    assert fleet.failures[0].rule == "data-unreadable"
    assert "silicon-train.mdb" in fleet.failures[0].reason


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()[0]
    return status != "Z"

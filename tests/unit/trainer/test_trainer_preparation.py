"""From a lease to a work folder, and from an outcome to a manifest."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from contracts.artifacts import FrameErrors, HeldOutFrames
from contracts.base import BlobRef, BranchError, DatasetRef
from crystals import crystals
from frames.store import read
from kit.blobs import Blobs
from trainer.cache import Cache
from trainer.child import AttemptFailed, explained
from trainer.domain import Checkpoint, Lease, LeasedBranch
from trainer.engine.frames import load, spaced
from trainer.preparation import Preparation
from trainer.submission import branch_manifests, candidate_key
from trainer.work import WORK_FILE, BranchOutcome, Outcome, Work
from trainer_fleet import PRESETS, dataset_manifest, stored_branch


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/blobs")


@pytest.fixture
def preparation(tmp_path: Path, blobs: Blobs) -> Preparation:
    return Preparation(Cache(tmp_path / "cache", blobs, 1 << 30), PRESETS)


async def leased(blobs: Blobs, folder: Path) -> Lease:
    stored = await stored_branch(
        blobs, folder, "carbide", crystals("Si", "C", 6, 1), crystals("Si", "C", 3, 2), weight=1, failed_train=[1, 4]
    )
    branch = LeasedBranch(
        name="carbide",
        dataset=DatasetRef(dataset_id=UUID(stored.dataset_id), version=1),
        manifest=_ref(stored.dataset_manifest),
        metric_report=_ref(stored.metric_report),
        is_new=True,
        nearest=None,
        energy_shift_ev={},
        weight=1,
    )
    return Lease(uuid4(), 2, 3, 30, "smoke", 40, 2**31 - 2, None, None, (branch,), ("withdrawn",), None, None)


def _ref(blob: object) -> BlobRef:
    return BlobRef.model_validate(blob, from_attributes=True)


async def test_a_work_folder_holds_the_frames_without_those_that_the_metric_failed(
    tmp_path: Path, blobs: Blobs, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    await preparation.prepare(await leased(blobs, tmp_path), folder)
    work = Work.model_validate_json((folder / WORK_FILE).read_text())
    assert work.branches[0].left_out_train == (1, 4)
    assert work.branches[0].elements == ("C", "Si")
    assert work.left_out_branches == ("withdrawn",)
    assert work.seed == 0  # 2³¹ − 2 and two attempts before: seeds stay below 2³¹
    monkeypatch.chdir(folder)
    loaded = load(work.branches, 100, (), cutoff=4)["carbide"]
    wanted = [frame.energy for index, frame in enumerate(crystals("Si", "C", 6, 1)) if index not in (1, 4)]
    assert [frame.energy for frame in read(loaded.train)] == wanted
    assert [frame.energy for frame in loaded.train_sample] == wanted
    assert len(loaded.held_out) == 3


async def test_frames_that_all_failed_cannot_be_trained_on(
    tmp_path: Path, blobs: Blobs, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    await preparation.prepare(await leased(blobs, tmp_path), folder)
    work = Work.model_validate_json((folder / WORK_FILE).read_text())
    monkeypatch.chdir(folder)
    with pytest.raises(AttemptFailed, match="branch carbide") as caught:
        load([work.branches[0].model_copy(update={"left_out_train": tuple(range(6))})], 100, (), cutoff=4)
    assert (caught.value.rule, caught.value.retryable) == ("data-unreadable", False)


async def test_a_dataset_without_training_frames_is_refused_in_words(
    tmp_path: Path, blobs: Blobs, preparation: Preparation
) -> None:
    lease = await leased(blobs, tmp_path)
    held_out = crystals("Si", "C", 3, 2)
    manifest = dataset_manifest(lease.branches[0].dataset, None, await blobs.put_bytes("x", b""), [], held_out)
    without = replace(lease.branches[0], manifest=await blobs.put_model("without", manifest))
    with pytest.raises(AttemptFailed, match="no training frames"):
        await preparation.prepare(replace(lease, branches=(without,)), tmp_path)


async def test_a_missing_checkpoint_and_an_unknown_preset_have_their_own_rules(
    tmp_path: Path, blobs: Blobs, preparation: Preparation
) -> None:
    lease = await leased(blobs, tmp_path)
    gone = Checkpoint(BlobRef(key="rounds/gone.pt", sha256="0" * 64, size=1), 10)
    with pytest.raises(AttemptFailed, match=r"gone\.pt") as missing:
        await preparation.prepare(replace(lease, resume_from=gone), tmp_path)
    assert (missing.value.rule, missing.value.retryable) == ("data-unreadable", True)
    with pytest.raises(AttemptFailed, match="no preset") as unknown:
        await preparation.prepare(replace(lease, preset="huge"), tmp_path)
    assert (unknown.value.rule, unknown.value.retryable) == ("preset-unknown", False)


async def test_a_branch_manifest_says_what_was_measured_on_which_dataset(tmp_path: Path, blobs: Blobs) -> None:
    lease = await leased(blobs, tmp_path)
    manifest = dataset_manifest(
        lease.branches[0].dataset, None, await blobs.put_bytes("x", b""), [], crystals("Si", "C", 1, 1)
    )
    errors = FrameErrors(energy_mev_per_atom=(4.0,), force_mev_per_angstrom=(200.0,))
    frames = HeldOutFrames(atoms=(8,), after=errors, baseline=errors)
    measured = BranchOutcome(
        name="carbide",
        held_out=BranchError(branch="carbide", energy_rmse_mev_per_atom=4, force_rmse_mev_per_angstrom=200),
        max_force_errors_ev_per_angstrom=(0.5, 0.7),
        baseline_energy_rmse_mev_per_atom=50,
        baseline_force_rmse_mev_per_angstrom=900,
        baseline_element_energies_ev={"C": -155.0, "Si": -107.5},
        baseline_train_frames=(0, 2, 3),
        left_out_held_out=(2,),
        held_out_frames=frames,
        sample=Path("s"),
        predictions=Path("p"),
    )
    outcome = Outcome(
        checkpoint=Path("c.pt"),
        release=Path("model.pt"),
        frozen={"carbide": Path("frozen/carbide.pth")},
        recipe=Path("input.json"),
        branches=(measured,),
        zero_shot=(),
        parent_held_out=(),
        steps=40,
        wall_seconds=1,
        versions={},
    )
    (described,) = branch_manifests(lease, outcome, {"carbide": manifest})
    assert described.held_out.dataset == described.dataset == lease.branches[0].dataset
    assert described.held_out_max_force_errors_ev_per_angstrom == (0.5, 0.7)
    assert described.held_out_frames == frames
    assert described.content_sha256 == manifest.content_sha256
    assert described.left_out_held_out == (2,)
    assert described.baseline_element_energies_ev == {"C": -155.0, "Si": -107.5}
    assert described.baseline_train_frames == (0, 2, 3)
    assert described.elements == ("C", "Si")


async def test_keys_of_a_candidate_carry_the_fence(tmp_path: Path, blobs: Blobs) -> None:
    lease = await leased(blobs, tmp_path)
    mine, theirs = candidate_key(lease, "model.pt"), candidate_key(replace(lease, fence=3), "model.pt")
    assert mine.startswith(f"rounds/{lease.round_id}/")
    assert mine != theirs


def test_a_sample_is_evenly_spaced_and_never_more_than_asked() -> None:
    frames = crystals("Si", "C", 10, 1)
    assert [frame.index for frame in spaced(frames, 4)] == [0, 2, 5, 7]
    assert spaced(frames, 10) == frames


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (MemoryError(), "out-of-memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "out-of-memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out-of-memory"),
        (KeyError("x"), "crashed"),
        (AttemptFailed("not-finite", "the loss is no number", retryable=True), "not-finite"),
    ],
)
def test_errors_have_a_stable_rule_and_words(error: Exception, rule: str) -> None:
    failed = explained(error)
    assert failed.rule == rule
    assert failed.reason

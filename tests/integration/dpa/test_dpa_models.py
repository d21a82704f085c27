"""Prediction, surgery and release on a real (untrained) deepmd model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dpa.environment import environment

os.environ.update(environment())

from crystals import crystals  # torch reads the environment at import
from dpa.batches import Batch, UnknownElement, batches
from dpa.checkpoint import NotACheckpoint, branches, load
from dpa.predictor import Predictor, UnknownBranch, device
from dpa.release import freeze, write_release
from dpa.surgery import CannotGrow, NewBranch, add_branches, case_dimension, remove_branches, shift_energies
from frames.store import write
from of_a_gpu import as_a_gpu_writes, places
from trainer.engine.session import build
from trainer.preset import load_preset
from trainer.recipe import render
from trainer.work import Work, WorkBranch
from trainer_fleet import PRESETS
from untrained_model import untrained

import torch  # isort: skip
from torch.multiprocessing.reductions import StorageWeakRef  # isort: skip

CASE = "model.{}.atomic_model.fitting_net.case_embd"
CASE_LAYERS = ("networks.0.layers.0.matrix", "case_film.case_layer1.matrix")
FRAMES = [*crystals("Si", "C", 2, 1), *crystals("Ge", "Ge", 2, 2)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with branches `silicon` and `germanium`, random weights, four case vectors."""
    return untrained(tmp_path_factory.mktemp("model"), "smoke")


def grown(model: Path, folder: Path, *new: NewBranch) -> Path:
    checkpoint = load(model)
    add_branches(checkpoint, new, head_room=3)
    torch.save(checkpoint, folder / "grown.pt")
    return folder / "grown.pt"


def case_row(state: dict[str, Any], branch: str) -> torch.Tensor:
    """What the branch's case vector picks from the layer that it enters."""
    vector = state[CASE.format(branch)]
    layers = [key for key in state if key.startswith(f"model.{branch}.") and key.endswith(CASE_LAYERS)]
    matrix = state[next((key for key in layers if "case_film" in key), layers[0])]
    row: torch.Tensor = matrix[-vector.numel() :][int(vector.argmax())]
    return row.clone().cpu()


def assert_same(found: Any, expected: Any) -> None:
    """To the last bit on a CPU. A GPU does not add up in the same order twice."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=0 if device() == "cpu" else 1e-4)


def test_frames_of_any_size_come_back_in_their_order(model: Path) -> None:
    predictor = Predictor(model, "silicon")
    together = predictor.predict(FRAMES[::-1])
    for position, frame in enumerate(FRAMES[::-1]):
        alone = predictor.predict([frame])
        assert together.energy[position] == pytest.approx(alone.energy[0], abs=1e-4)
        np.testing.assert_allclose(together.forces[position], alone.forces[0], atol=1e-5)
        np.testing.assert_allclose(together.virial[position], alone.virial[0], atol=1e-4)


def test_descriptors_come_with_the_prediction_change_nothing_in_it_and_are_the_same_for_every_branch(
    model: Path, tmp_path: Path
) -> None:
    predictor = Predictor(model, "silicon")
    plain, described = predictor.predict(FRAMES), predictor.predict(FRAMES, descriptors=True)
    assert plain.descriptors is None
    assert described.descriptors is not None
    assert_same(plain.energy, described.energy)
    assert [one.shape[0] for one in described.descriptors] == [frame.natoms for frame in FRAMES]
    (batch,) = batches(FRAMES[:2], predictor.type_map)
    own_pass = predictor._potential.eval_descriptor(*batch.arrays(), mixed_type=True)
    np.testing.assert_allclose(np.stack(described.descriptors[:2]), own_pass, atol=1e-5)
    other = Predictor(model, "germanium").predict(FRAMES, descriptors=True).descriptors
    assert other is not None
    assert_same(np.concatenate(other), np.concatenate(described.descriptors))
    frozen = Predictor(freeze(model, "germanium", tmp_path, ".pth"), "germanium").predict(FRAMES, descriptors=True)
    assert frozen.descriptors is not None
    np.testing.assert_allclose(np.concatenate(frozen.descriptors), np.concatenate(other), atol=1e-5)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["torch", "cublas"],
)
def test_what_a_gpu_cannot_hold_is_predicted_in_halves(
    error: Exception, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(model, "silicon")
    whole = predictor.predict(FRAMES, descriptors=True)
    evaluate, sizes = predictor._evaluate, []

    def small_memory(batch: Batch) -> Any:
        sizes.append(len(batch.positions))
        if len(batch.positions) > 1:
            raise error
        return evaluate(batch)

    monkeypatch.setattr(predictor, "_evaluate", small_memory)
    parts = predictor.predict(FRAMES, descriptors=True)
    assert sizes == [4, 2, 1, 1, 1, 1], "what has not fitted is not tried again"
    assert_same(parts.energy, whole.energy)
    assert_same(np.concatenate(parts.forces), np.concatenate(whole.forces))
    assert_same(np.concatenate(parts.descriptors or []), np.concatenate(whole.descriptors or []))


def test_a_batch_that_did_not_fit_is_out_of_memory_before_its_halves_are_tried(model: Path) -> None:
    """An error that is still being handled holds the frames of the failed pass, and they hold what filled the GPU."""
    predictor = Predictor(model, "silicon")
    whole = predictor.predict(FRAMES, descriptors=True)
    failed: list[StorageWeakRef] = []

    def small_memory(_network: Any, _inputs: Any, output: tuple[torch.Tensor, ...]) -> None:
        assert all(one.expired() for one in failed), "what did not fit still lies there"
        if output[0].shape[0] > 1:
            failed.append(StorageWeakRef(output[0].untyped_storage()))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    predictor._potential.deep_eval.get_model().get_descriptor().register_forward_hook(small_memory)
    parts = predictor.predict(FRAMES, descriptors=True)
    assert len(failed) == 2
    np.testing.assert_allclose(parts.energy, whole.energy, rtol=1e-6)
    np.testing.assert_allclose(
        np.concatenate(parts.descriptors or []), np.concatenate(whole.descriptors or []), atol=1e-5
    )


def test_unknown_branches_elements_and_files_are_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownBranch, match="no branch 'water'; it has silicon, germanium"):
        Predictor(model, "water")
    with pytest.raises(UnknownElement, match="has C, which"):
        list(batches(FRAMES, ["Si", "Ge"]))
    (tmp_path / "x.pt").write_bytes(b"nothing")
    with pytest.raises(NotACheckpoint, match=r"x\.pt"):
        branches(tmp_path / "x.pt")


@pytest.fixture(scope="module", params=["smoke", "laptop-dpa4"], ids=["dpa3", "dpa4"])
def apart(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its branches differ, as those of a trained model do: FiLM's projectors begin as zeros."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = load(untrained(folder, request.param))
    for key, tensor in checkpoint["model"].items():
        if key.startswith("model.silicon.") and ".case_film.projectors." in key and ".networks." in key:
            tensor += torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1), dtype=tensor.dtype)
    torch.save(checkpoint, folder / "apart.pt")
    return folder / "apart.pt"


def test_a_new_branch_begins_with_no_case_and_its_nearest_ones_bias_and_the_old_ones_predict_as_before(
    apart: Path, tmp_path: Path
) -> None:
    after = grown(apart, tmp_path, NewBranch("carbide", "silicon", ("C", "Si")))
    assert branches(after) == ["silicon", "germanium", "carbide"]
    # The nearest branch as the net sees it when nobody says which branch it is.
    nobody = load(apart)
    nobody["model"][CASE.format("silicon")].zero_()
    torch.save(nobody, tmp_path / "nobody.pt")
    plain, new = (
        Predictor(tmp_path / "nobody.pt", "silicon").predict(FRAMES),
        Predictor(after, "carbide").predict(FRAMES),
    )
    np.testing.assert_allclose(new.energy, plain.energy, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(new.forces), np.concatenate(plain.forces), atol=1e-6)
    for name in ("silicon", "germanium"):
        old, kept = Predictor(apart, name).predict(FRAMES), Predictor(after, name).predict(FRAMES)
        assert_same(old.energy, kept.energy)
        assert_same(np.concatenate(old.forces), np.concatenate(kept.forces))
        assert_same(np.stack(old.virial), np.stack(kept.virial))
        assert np.abs(kept.energy - new.energy).max() > 1e-2


def test_energies_of_one_branch_are_shifted_by_element_and_nothing_else(model: Path, tmp_path: Path) -> None:
    checkpoint = load(grown(model, tmp_path, NewBranch("carbide", "silicon", ("C", "Si"))))
    before = {
        name: Predictor(tmp_path / "grown.pt", name).predict(FRAMES[:2]) for name in branches(tmp_path / "grown.pt")
    }
    shift_energies(checkpoint, "carbide", {"Si": 1.5, "C": -2.0})
    torch.save(checkpoint, tmp_path / "after.pt")
    for name, was in before.items():
        now = Predictor(tmp_path / "after.pt", name).predict(FRAMES[:2])
        shift = 4 * 1.5 - 4 * 2.0 if name == "carbide" else 0
        np.testing.assert_allclose(now.energy, was.energy + shift, atol=1e-4)
        assert_same(np.concatenate(now.forces), np.concatenate(was.forces))


@pytest.mark.parametrize("preset", ["smoke", "laptop-dpa4"], ids=["dpa3", "dpa4"])
def test_a_neutral_case_learns_beside_the_others(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With FiLM all of it begins as zeros here: the projectors of an untrained model and the case of the new branch."""
    after = grown(untrained(tmp_path, preset), tmp_path, NewBranch("again", "silicon", ("Si",)))
    monkeypatch.chdir(tmp_path)
    parts = tuple(
        WorkBranch(
            name=name,
            train=tmp_path / data,
            held_out=tmp_path / data,
            has_virial=True,
            elements=(),
            is_new=name == "again",
            weight=1 / 3,
        )
        for name, data in (("silicon", "silicon.lmdb"), ("germanium", "germanium.lmdb"), ("again", "silicon.lmdb"))
    )
    work = Work(
        preset=load_preset(PRESETS, preset), total_steps=9, seed=1, parent=after, resume_from=None, branches=parts
    )
    trainer = build(render(work, {part.name: part.train for part in parts}, case_dimension(load(after))), 1, init=after)
    state = trainer.wrapper.state_dict()
    assert not case_row(state, "again").any()
    trainer.run()
    learned, beside = case_row(state, "again"), case_row(state, "silicon")
    assert learned.any()
    # In the same few steps the others' rows, which did not begin as zeros, are not many times farther from theirs.
    assert learned.abs().max() > 1e-2 * (beside - case_row(load(after)["model"], "silicon")).abs().max()


def test_each_branch_has_its_own_case_vector_and_a_full_embedding_is_widened(model: Path, tmp_path: Path) -> None:
    names = [f"new-{number}" for number in range(4)]
    after = grown(model, tmp_path, *(NewBranch(name, "germanium", ("Ge",)) for name in names))
    checkpoint = load(after)
    assert case_dimension(load(model)) == 4
    assert case_dimension(checkpoint) > 4
    vectors = [checkpoint["model"][CASE.format(name)].numpy() for name in branches(after)]
    np.testing.assert_array_equal(np.sum(vectors, axis=0)[:6], np.ones(6))
    for name in names:  # two in rows that deepmd drew, two in rows that are new
        assert not case_row(checkpoint["model"], name).any()
    first = Predictor(after, "new-0").predict(FRAMES)
    np.testing.assert_allclose(Predictor(after, "new-3").predict(FRAMES).energy, first.energy, atol=1e-4)
    kept, was = Predictor(after, "germanium").predict(FRAMES), Predictor(model, "germanium").predict(FRAMES)
    np.testing.assert_allclose(kept.energy, was.energy, atol=1e-4)
    assert np.abs(kept.energy - first.energy).max() > 1e-2


@pytest.mark.parametrize("preset", ["smoke", "laptop-dpa4"], ids=["dpa3", "dpa4"])
def test_a_full_embedding_is_widened_and_every_old_branch_predicts_as_before(preset: str, tmp_path: Path) -> None:
    parent = untrained(tmp_path, preset)
    room = case_dimension(load(parent))
    full = tmp_path / "full.pt"
    checkpoint = load(parent)
    add_branches(checkpoint, [NewBranch(f"old-{number}", "silicon", ("Si",)) for number in range(room - 2)])
    shift_energies(checkpoint, f"old-{room - 3}", {"Si": 0.5})
    # Branches differ by what their own rows have learned: rows of zeros would hide a mix-up.
    for key, tensor in checkpoint["model"].items():
        if key.startswith("model.silicon.") and key.endswith(CASE_LAYERS):
            tensor += torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1), dtype=tensor.dtype) * 0.1
    torch.save(checkpoint, full)
    assert case_dimension(checkpoint) == room == len(branches(full))

    after = grown(full, tmp_path, NewBranch("carbide", "germanium", ("C", "Si")))
    assert case_dimension(load(after)) == room + 4
    energies = []
    for name in ("silicon", "germanium", f"old-{room - 3}"):
        was, now = Predictor(full, name).predict(FRAMES), Predictor(after, name).predict(FRAMES)
        # Not bitwise: sums over a longer vector may be taken in another order.
        np.testing.assert_allclose(now.energy, was.energy, rtol=1e-9, atol=1e-6)
        np.testing.assert_allclose(np.concatenate(now.forces), np.concatenate(was.forces), atol=1e-6)
        energies.append(was.energy[0])
    assert len(set(energies)) == 3


def test_a_branch_that_cannot_be_added_is_refused(model: Path) -> None:
    for new, words in (
        (NewBranch("silicon", "germanium", ()), "has a branch 'silicon' already"),
        (NewBranch("carbide", "water", ()), "no branch 'water'"),
    ):
        with pytest.raises(CannotGrow, match=words):
            add_branches(load(model), [new])


def test_the_other_branches_predict_exactly_as_before_when_one_is_removed(model: Path, tmp_path: Path) -> None:
    before = grown(model, tmp_path, NewBranch("carbide", "silicon", ("C", "Si")))
    checkpoint = load(before)
    remove_branches(checkpoint, ["silicon"])  # the first one: deepmd shares its weights with all others
    after = tmp_path / "after.pt"
    torch.save(checkpoint, after)
    assert branches(after) == ["germanium", "carbide"]
    assert not [key for key in checkpoint["model"] if ".silicon." in key]
    with pytest.raises(UnknownBranch):
        Predictor(after, "silicon")
    for name in ("germanium", "carbide"):
        was, now = Predictor(before, name).predict(FRAMES), Predictor(after, name).predict(FRAMES)
        assert_same(was.energy, now.energy)
        assert_same(np.concatenate(was.forces), np.concatenate(now.forces))


def test_a_removed_branchs_case_is_cleared_and_given_to_the_next_new_branch(model: Path) -> None:
    checkpoint = load(model)
    state = checkpoint["model"]
    case = int(state[CASE.format("silicon")].argmax())
    assert case_row(state, "silicon").any()
    remove_branches(checkpoint, ["silicon"])
    matrix = state["model.germanium.atomic_model.fitting_net.filter_layers.networks.0.layers.0.matrix"]
    row = matrix.shape[0] - case_dimension(checkpoint) + case
    assert not matrix[row].any()
    add_branches(checkpoint, [NewBranch("carbide", "germanium", ("C", "Si"))])
    assert int(state[CASE.format("carbide")].argmax()) == case
    assert not matrix[row].any()


def test_a_branch_that_cannot_be_removed_is_refused(model: Path) -> None:
    with pytest.raises(CannotGrow, match="no branch water to remove; it has silicon, germanium"):
        remove_branches(load(model), ["silicon", "water"])
    with pytest.raises(CannotGrow, match="nothing of the model would be left"):
        remove_branches(load(model), ["silicon", "germanium"])
    untouched = load(model)
    remove_branches(untouched, [])
    assert list(untouched["model"]["_extra_state"]["model_params"]["model_dict"]) == ["silicon", "germanium"]


def test_a_release_needs_no_head_tells_nothing_of_the_data_and_freezes_to_the_same_model(
    model: Path, tmp_path: Path
) -> None:
    release = tmp_path / "model-release.pt"
    write_release(model, release)
    content = torch.load(release, weights_only=True)
    assert "optimizer" not in content
    assert "observed_type" not in str(content["model"]["_extra_state"]["model_params"])
    frozen = Predictor(freeze(release, "germanium", tmp_path, ".pth"), "germanium").predict(FRAMES)
    released = Predictor(release, "germanium").predict(FRAMES)
    np.testing.assert_allclose(frozen.energy, released.energy, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(frozen.forces), np.concatenate(released.forces), atol=1e-5)


WITHOUT_A_GPU = """
import json, sys
from pathlib import Path
from dpa.predictor import Predictor, device
from frames.store import read
predicted = [Predictor(Path(model), "germanium").predict(read(Path(sys.argv[1]))) for model in sys.argv[2:]]
print(json.dumps({"device": device(), "energy": [list(one.energy) for one in predicted]}))
"""


def test_what_a_gpu_trained_is_read_and_predicted_with_where_there_is_none(model: Path, tmp_path: Path) -> None:
    checkpoint, release = tmp_path / "checkpoint.pt", tmp_path / "release.pt"
    shutil.copy(model, checkpoint)
    as_a_gpu_writes(checkpoint)
    assert places(checkpoint) == {"cuda:0"}
    write_release(checkpoint, release)
    assert places(release) == {"cpu"}  # it opens wherever torch.load is told no place
    frozen = freeze(release, "germanium", tmp_path, ".pth")
    if device() == "cpu":
        as_a_gpu_writes(frozen)
        with pytest.raises(RuntimeError):
            torch.jit.load(frozen)
    write(tmp_path / "frames.lmdb", FRAMES)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_GPU, *map(str, (tmp_path / "frames.lmdb", checkpoint, release, frozen))],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    here = Predictor(model, "germanium").predict(FRAMES)
    assert told["device"] == "cpu"
    for energy in told["energy"]:
        np.testing.assert_allclose(energy, here.energy, atol=1e-4)

"""What a new branch begins with, and what its dataset's contributor was told before: two numbers of one round."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from dpa.environment import environment

os.environ.update(environment())

from crystals import crystals  # torch reads the environment at import
from dpa.checkpoint import branches, load
from dpa.predictor import Predictor, device
from frames.align import align_energies
from frames.errors import force_rmse
from frames.frame import FloatArray, Frame, element_counts
from frames.store import write
from trainer.engine.attempt import Attempt
from trainer.engine.frames import BranchFrames
from trainer.engine.frames import load as load_frames
from trainer.engine.growth import Grown, grow
from trainer.preset import load_preset
from trainer.work import OUTCOME_FILE, WORK_FILE, Message, Outcome, Progress, Work, WorkBranch
from trainer_fleet import PRESETS
from untrained_model import ELEMENTS, untrained

import torch  # isort: skip

SILICON, CARBIDE = crystals("Si", "Si", 4, 3), crystals("Si", "C", 12, 5)
MIXED = [*crystals("Si", "Ge", 5, 7), *crystals("Ge", "Ge", 4, 8)]


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("parent"), "smoke")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a round works."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_round(folder: Path, parent: Path, *, left_out: Sequence[str] = (), **new: list[Frame]) -> Work:
    """The last two frames of each new dataset are held out."""
    parts = {name: crystals(element, element, 6, 4) for name, element in ELEMENTS.items() if name not in left_out} | new
    described = []
    for name, frames in parts.items():
        places = folder / f"{name}.train.lmdb", folder / f"{name}.held-out.lmdb"
        for place, some in zip(places, (frames[:-2], frames[-2:]), strict=True):
            if not place.exists():
                write(place, some)
        described.append(
            WorkBranch(
                name=name,
                train=places[0],
                held_out=places[1],
                has_virial=True,
                elements=tuple(sorted({symbol for frame in frames for symbol in frame.symbols})),
                is_new=name in new,
                nearest="silicon" if name == "carbide" else None,
                weight=1 / len(parts),
            )
        )
    return Work(
        preset=load_preset(PRESETS, "smoke"),
        total_steps=3,
        seed=1,
        parent=parent,
        resume_from=None,
        branches=tuple(described),
        left_out_branches=tuple(left_out),
    )


def grown(work: Work, parent: Path) -> tuple[Grown, dict[str, BranchFrames]]:
    frames = load_frames(work.branches, work.preset.alignment_frames, (), cutoff=0)
    return grow(work, parent, frames), frames


def missing(model: Path, branch: str, frames: Sequence[Frame]) -> FloatArray:
    """DFT less predicted, eV."""
    energies: FloatArray = (
        np.array([frame.energy for frame in frames]) - Predictor(model, branch).predict(frames).energy
    )
    return energies


def test_zero_shot_is_the_nearest_branchs_and_the_start_is_the_new_ones_own(folder: Path, parent: Path) -> None:
    made, frames = grown(a_round(folder, parent, carbide=CARBIDE), parent)
    train, held_out = frames["carbide"].train_sample, frames["carbide"].held_out
    nearest = Predictor(parent, "silicon").predict(held_out)
    forces = [frame.forces for frame in held_out]
    zero_shot, start = made.zero_shot["carbide"].error, made.start["carbide"].error
    assert zero_shot.force_rmse_mev_per_angstrom == pytest.approx(1e3 * force_rmse(nearest.forces, forces))
    shift = align_energies(element_counts(train), missing(parent, "silicon", train)).shift
    rest = missing(parent, "silicon", held_out) - element_counts(held_out) @ shift
    # Four atoms of each element in each frame: only their sum is known, and it is the same in the held-out frames.
    assert zero_shot.energy_rmse_mev_per_atom == pytest.approx(1e3 * np.sqrt(np.mean((rest / 8) ** 2)), rel=1e-3)
    own = Predictor(made.checkpoint, "carbide").predict(held_out)
    assert start.force_rmse_mev_per_angstrom == pytest.approx(1e3 * force_rmse(own.forces, forces))
    rest = missing(made.checkpoint, "carbide", held_out)
    assert start.energy_rmse_mev_per_atom == pytest.approx(1e3 * np.sqrt(np.mean((rest / 8) ** 2)))
    assert abs(start.force_rmse_mev_per_angstrom - zero_shot.force_rmse_mev_per_angstrom) > 0.1
    for name, one in made.parent_held_out.items():
        old = Predictor(parent, name).predict(frames[name].held_out)
        told = [frame.forces for frame in frames[name].held_out]
        # A GPU does not add up in the same order twice.
        same = 0 if device() == "cpu" else 1e-5
        assert one.error.force_rmse_mev_per_angstrom == pytest.approx(
            1e3 * force_rmse(old.forces, told), rel=same, abs=0
        )


def test_each_of_several_new_branches_has_its_training_energies_aligned_by_its_own_prediction(
    folder: Path, parent: Path
) -> None:
    # Carbon is an element that no branch has seen; the third branch needs a wider embedding than the parent has.
    work = a_round(folder, parent, carbide=CARBIDE, mixed=MIXED, again=SILICON)
    made, frames = grown(work, parent)
    assert branches(made.checkpoint) == [*ELEMENTS, "carbide", "mixed", "again"]
    assert made.case_dimension > 4
    assert list(made.zero_shot) == list(made.start) == ["carbide", "mixed", "again"]
    for name in made.start:
        train = frames[name].train_sample
        rest, counts = missing(made.checkpoint, name, train), element_counts(train)
        # What is left is what no energy of an element could take away.
        left = align_energies(counts, rest)
        np.testing.assert_allclose(counts @ left.shift, 0, atol=1e-3)
        assert np.abs(missing(parent, "silicon", train)).min() > 1


def test_what_an_earlier_branch_left_in_its_place_is_not_what_the_next_one_begins_with(
    folder: Path, parent: Path
) -> None:
    first, frames = grown(a_round(folder, parent, carbide=CARBIDE), parent)
    began = Predictor(first.checkpoint, "carbide").predict(frames["carbide"].held_out)
    learned = load(first.checkpoint)
    state = learned["model"]
    vector = state["model.carbide.atomic_model.fitting_net.case_embd"]
    matrix = state["model.carbide.atomic_model.fitting_net.filter_layers.networks.0.layers.0.matrix"]
    matrix[-vector.numel() :][int(vector.argmax())] = 0.3
    torch.save(learned, folder / "learned.pt")
    other = Predictor(folder / "learned.pt", "carbide").predict(frames["carbide"].held_out)
    assert np.abs(np.concatenate(other.forces) - np.concatenate(began.forces)).max() > 1e-3

    work = a_round(folder, folder / "learned.pt", left_out=["carbide"], back=CARBIDE)
    again, _ = grown(work, folder / "learned.pt")
    assert branches(again.checkpoint) == [*ELEMENTS, "back"]
    assert torch.equal(load(again.checkpoint)["model"]["model.back.atomic_model.fitting_net.case_embd"], vector)
    assert again.start["back"].error.force_rmse_mev_per_angstrom == pytest.approx(
        first.start["carbide"].error.force_rmse_mev_per_angstrom
    )
    assert again.start["back"].error.energy_rmse_mev_per_atom == pytest.approx(
        first.start["carbide"].error.energy_rmse_mev_per_atom, abs=1e-3
    )


def test_the_curve_begins_with_the_start_and_frames_are_compared_with_zero_shot(folder: Path, parent: Path) -> None:
    work = a_round(folder, parent, carbide=CARBIDE)
    (folder / WORK_FILE).write_text(work.model_dump_json())
    heard: list[Message] = []
    Attempt(folder, heard.append, lambda: False).run()
    outcome = Outcome.model_validate_json((folder / OUTCOME_FILE).read_text())
    first = next(one for one in heard if isinstance(one, Progress) and one.branches)
    assert first.step == 0
    assert first.branches == (*outcome.parent_held_out, *outcome.start)
    (told,) = outcome.zero_shot
    before = outcome.branches[-1].held_out_frames.before
    assert before is not None
    assert np.sqrt(np.mean(np.square(before.force_mev_per_angstrom))) == pytest.approx(
        told.force_rmse_mev_per_angstrom, rel=1e-4
    )
    assert outcome.start[0].force_rmse_mev_per_angstrom != told.force_rmse_mev_per_angstrom


def test_at_the_end_every_branch_has_its_training_energies_aligned_in_all_that_is_kept(
    folder: Path, parent: Path
) -> None:
    work = a_round(folder, parent, carbide=CARBIDE, mixed=MIXED)
    (folder / WORK_FILE).write_text(work.model_dump_json())
    Attempt(folder, lambda _message: None, lambda: False).run()
    outcome = Outcome.model_validate_json((folder / OUTCOME_FILE).read_text())
    frames = load_frames(work.branches, work.preset.alignment_frames, (), cutoff=0)
    for told in outcome.branches:
        train, held_out = frames[told.name].train_sample, frames[told.name].held_out
        counts = element_counts(train)
        for model in (outcome.checkpoint, outcome.release):
            left = align_energies(counts, missing(model, told.name, train))
            np.testing.assert_allclose(counts @ left.shift, 0, atol=1e-3)
            rest = missing(model, told.name, held_out) / [frame.natoms for frame in held_out]
            assert told.held_out.energy_rmse_mev_per_atom == pytest.approx(1e3 * np.sqrt(np.mean(rest**2)), rel=1e-3)

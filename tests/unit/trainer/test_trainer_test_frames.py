"""No test frame is trained on, whatever ingest and planning promised: it is found by the bytes that are read.

Ingest is not here at all: training parts hold test frames as they please. Planning is switched off unless a test
names frames in its place, and then there is no standard dataset to find them by.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crystals import crystals
from frames.frame import Frame
from frames.hashing import frame_hashes
from frames.store import read, write
from trainer.child import AttemptFailed
from trainer.engine.frames import load
from trainer.work import WorkBranch

SILICON, HELD_OUT = crystals("Si", "Si", 8, 1), crystals("Si", "Si", 3, 2)
CUTOFF = 4.0


def branch(folder: Path, name: str, train: Sequence[Frame], held_out: Sequence[Frame], **facts: object) -> WorkBranch:
    for split, frames in (("train", train), ("held-out", held_out)):
        write(folder / name / f"{split}.lmdb", frames)
    return WorkBranch.model_validate(
        {
            "name": name,
            "train": folder / name / "train.lmdb",
            "held_out": folder / name / "held-out.lmdb",
            "has_virial": True,
            "elements": ("Si",),
            "is_new": True,
            "weight": 1,
        }
        | facts
    )


def energies(folder: Path) -> list[float]:
    return [frame.energy for frame in read(folder)]


def other_labels(frame: Frame) -> Frame:
    """The same structure at another level of theory, its atoms in another order."""
    order = np.arange(frame.natoms)[::-1]
    return replace(
        frame,
        numbers=frame.numbers[order],
        coords=frame.coords[order],
        forces=2 * frame.forces[order],
        energy=frame.energy + 7,
    )


def test_standard_frames_are_left_out_by_their_structure_and_counted(tmp_path: Path) -> None:
    train = [*SILICON[:2], other_labels(SILICON[2]), *SILICON[3:]]
    loaded = load([branch(tmp_path, "si", train, HELD_OUT)], 100, frame_hashes([SILICON[2], SILICON[5]]), CUTOFF)["si"]
    wanted = [frame.energy for place, frame in enumerate(train) if place not in (2, 5)]
    assert energies(loaded.train) == wanted
    assert [frame.energy for frame in loaded.train_sample] == wanted
    assert loaded.sampled == (0, 1, 3, 4, 6, 7)
    assert loaded.left_out == 2
    assert loaded.hashes == tuple(frame_hashes(HELD_OUT))
    assert loaded.seen == ()


def test_nothing_is_rewritten_when_there_is_nothing_to_leave_out(tmp_path: Path) -> None:
    given = branch(tmp_path, "si", SILICON, HELD_OUT)
    loaded = load([given], 100, frame_hashes(crystals("Ge", "Ge", 3, 9)), CUTOFF)["si"]
    assert (loaded.train, loaded.left_out) == (given.train, 0)


def test_a_frame_that_any_branch_holds_out_is_trained_on_by_none(tmp_path: Path) -> None:
    """Failed ones too: they test nothing, but no branch may learn what another holds out."""
    first = branch(tmp_path, "first", SILICON, HELD_OUT)
    second = branch(tmp_path, "second", crystals("Si", "C", 4, 3), SILICON[:3], left_out_held_out=(1,))
    loaded = load([first, second], 100, (), CUTOFF)
    assert energies(loaded["first"].train) == [frame.energy for frame in SILICON[3:]]
    assert (loaded["first"].left_out, loaded["second"].left_out) == (3, 0)
    assert loaded["second"].hashes == tuple(frame_hashes([SILICON[0], SILICON[2]]))
    assert loaded["second"].seen == (0, 1), "an earlier model may have learned them: no standard frames"


def test_frames_that_planning_named_are_left_out_without_a_standard_dataset(tmp_path: Path) -> None:
    given = branch(tmp_path, "si", SILICON, HELD_OUT, test_frames=(1, 6), left_out_train=(1, 3))
    loaded = load([given], 100, (), CUTOFF)["si"]
    assert energies(loaded.train) == [frame.energy for place, frame in enumerate(SILICON) if place not in (1, 3, 6)]
    assert loaded.left_out == 2


def test_what_a_baseline_is_fitted_to_is_told_by_its_place_in_the_dataset(tmp_path: Path) -> None:
    """Frames that were left out count too: the dataset as it is published has them."""
    given = branch(tmp_path, "si", SILICON, HELD_OUT, left_out_train=(0, 4))
    loaded = load([given], 3, frame_hashes([SILICON[2]]), CUTOFF)["si"]
    assert len(loaded.train_sample) == len(loaded.sampled) == 3
    assert [frame.energy for frame in loaded.train_sample] == [SILICON[place].energy for place in loaded.sampled]
    assert not {0, 2, 4} & set(loaded.sampled)


def test_a_dataset_of_test_frames_alone_fails_with_a_sentence(tmp_path: Path) -> None:
    given = branch(tmp_path, "si", SILICON, HELD_OUT, left_out_train=(0, 1))
    with pytest.raises(AttemptFailed, match=r"branch si .*6 of 8 test the model, 2 did not pass") as caught:
        load([given], 100, frame_hashes(SILICON[2:]), CUTOFF)
    assert (caught.value.rule, caught.value.retryable) == ("data-unreadable", False)

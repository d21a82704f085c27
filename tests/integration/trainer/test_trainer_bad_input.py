"""What the engine makes of inputs that are real and awkward: single frames, lone atoms, other presets, huge frames."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from dpa.environment import environment

os.environ.update(environment())

from crystals import crystals  # torch reads the environment at import
from dpa.checkpoint import load
from dpa.surgery import case_dimension
from frames.frame import FloatArray, Frame
from frames.store import write
from trainer.child import AttemptFailed
from trainer.engine import capacity
from trainer.engine.attempt import Attempt
from trainer.preset import Preset, load_preset
from trainer.work import OUTCOME_FILE, WORK_FILE, Done, Message, Outcome, Progress, Work, WorkBranch
from trainer_fleet import PRESETS

import torch  # isort: skip

Parts = tuple[Sequence[Frame], Sequence[Frame]]


def lone(numbers: Sequence[int], apart: float, cell: FloatArray | None, count: int) -> list[Frame]:
    """Atoms beyond each other's reach."""
    random = np.random.default_rng(1)
    size = len(numbers)
    return [
        Frame(
            numbers=np.array(numbers),
            coords=np.arange(size)[:, None] * apart + random.normal(scale=0.01, size=(size, 3)),
            cell=cell,
            energy=-13.0 * size + 0.01 * index,
            forces=np.zeros((size, 3)),
            virial=None,
            source="lone",
            index=index,
        )
        for index in range(count)
    ]


def job(
    folder: Path,
    old: Mapping[str, Parts],
    new: Mapping[str, Parts],
    *,
    parent: Path | None = None,
    steps: int = 4,
    preset: Preset | None = None,
    **more: object,
) -> Work:
    """A work file with these branches."""
    branches = []
    for name, (train, held_out) in {**old, **new}.items():
        places = folder / f"{name}.train.lmdb", folder / f"{name}.held-out.lmdb"
        for place, frames in zip(places, (train, held_out), strict=True):
            write(place, frames)
        frames = [*train, *held_out]
        branches.append(
            WorkBranch(
                name=name,
                train=places[0],
                held_out=places[1],
                has_virial=all(frame.virial is not None for frame in frames),
                elements=tuple(sorted({symbol for frame in frames for symbol in frame.symbols})),
                is_new=name in new,
                weight=1 / (len(old) + len(new)),
            )
        )
    work = Work.model_validate(
        {
            "preset": preset or load_preset(PRESETS, "smoke"),
            "total_steps": steps,
            "seed": 1,
            "parent": parent,
            "resume_from": None,
            "branches": branches,
            **more,
        }
    )
    (folder / WORK_FILE).write_text(work.model_dump_json())
    return work


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Outcome, list[Message]]:
    """The attempt to its end."""
    monkeypatch.chdir(folder)
    heard: list[Message] = []
    Attempt(folder, heard.append, lambda: False).run()
    assert isinstance(heard[-1], Done)
    return Outcome.model_validate_json((folder / OUTCOME_FILE).read_text()), heard


SILICON = (crystals("Si", "Si", 8, 3), crystals("Si", "Si", 3, 4))


def made(folder: Path, names: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A parent with branches of silicon; its training checkpoint."""
    folder.mkdir()
    job(folder, {}, dict.fromkeys(names, SILICON))
    outcome, _ = run(folder, monkeypatch)
    return folder / outcome.checkpoint


def test_atoms_without_a_neighbour_in_reach_are_trained_on_and_predicted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = {
        "silicon": SILICON,
        "atom": (lone([1], 0, 20 * np.eye(3), 4), lone([1], 0, 20 * np.eye(3), 2)),
        "apart": (lone([1, 8], 9, 30 * np.eye(3), 4), lone([1, 8], 9, 30 * np.eye(3), 2)),
        "free": (lone([1, 8], 9, None, 2), lone([1, 8], 9, None, 1)),
    }
    job(tmp_path, {}, sets, steps=20)
    outcome, heard = run(tmp_path, monkeypatch)
    told = [error for message in heard if isinstance(message, Progress) for error in message.branches]
    assert {error.branch for error in told} == set(sets)
    for branch in outcome.branches[1:]:
        # No force acts on what has no neighbour, whatever the weights are.
        assert branch.held_out.force_rmse_mev_per_angstrom == 0
        assert np.isfinite(branch.held_out.energy_rmse_mev_per_atom)


def test_a_dataset_of_two_frames_is_learned_from_one_and_measured_on_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = made(tmp_path / "parent", ["silicon"], monkeypatch)
    (tmp_path / "grown").mkdir()
    job(
        tmp_path / "grown",
        {"silicon": SILICON},
        {"pair": (crystals("Si", "C", 1, 5), crystals("Si", "C", 1, 6))},
        parent=parent,
    )
    outcome, _ = run(tmp_path / "grown", monkeypatch)
    (pair,) = [branch for branch in outcome.branches if branch.name == "pair"]
    assert len(pair.max_force_errors_ev_per_angstrom) == 1
    # Aligned on one frame: the 2000 eV between the elements are gone before the first step.
    assert outcome.zero_shot[0].energy_rmse_mev_per_atom < 1000


def test_a_full_embedding_is_widened_in_a_round_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a", "b", "c", "d"]
    parent = made(tmp_path / "parent", names, monkeypatch)
    assert case_dimension(load(parent)) == len(names)
    (tmp_path / "grown").mkdir()
    carbide = (crystals("Si", "C", 8, 5), crystals("Si", "C", 3, 6))
    work = job(tmp_path / "grown", dict.fromkeys(names, SILICON), {"carbide": carbide}, parent=parent)
    outcome, _ = run(tmp_path / "grown", monkeypatch)
    measured = Outcome.model_validate_json((tmp_path / "parent" / OUTCOME_FILE).read_text())
    for before, after in zip(measured.branches, outcome.parent_held_out, strict=True):
        assert after.force_rmse_mev_per_angstrom == pytest.approx(before.held_out.force_rmse_mev_per_angstrom, rel=1e-5)
    wide = load(tmp_path / "grown" / outcome.checkpoint)
    assert case_dimension(wide) == len(names) + 1 + work.preset.case_head_room


def test_a_parent_of_another_preset_is_refused_with_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = made(tmp_path / "parent", ["silicon"], monkeypatch)
    (tmp_path / "grown").mkdir()
    other = load_preset(PRESETS, "laptop")
    new = {"pair": (crystals("Si", "C", 4, 5), crystals("Si", "C", 1, 6))}
    job(tmp_path / "grown", {"silicon": SILICON}, new, parent=parent, preset=other)
    with pytest.raises(AttemptFailed, match=r"n_dim: 8 in the parent, 32 in the preset.*new major version") as caught:
        run(tmp_path / "grown", monkeypatch)
    assert (caught.value.rule, caught.value.retryable) == ("preset-mismatch", False)


def test_a_parent_of_another_deepmd_kit_is_refused_before_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parent.pt").write_bytes(b"not even a checkpoint")
    new = {"pair": (crystals("Si", "C", 4, 5), crystals("Si", "C", 1, 6))}
    versions = {"deepmd-kit": "2.9.9", "torch": "2.0"}
    job(
        tmp_path,
        {"silicon": SILICON},
        new,
        parent=tmp_path / "parent.pt",
        parent_version="1.4",
        parent_software=versions,
    )
    with pytest.raises(AttemptFailed, match=r"model 1\.4 was trained with deepmd-kit 2\.9\.9.*has 3\.") as caught:
        run(tmp_path, monkeypatch)
    assert (caught.value.rule, caught.value.retryable) == ("software-mismatch", True)


def test_frames_that_no_memory_holds_are_refused_in_words_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = [spread(10_000, seed) for seed in (1, 2)]
    job(tmp_path, {}, {"silicon": SILICON, "huge": (huge[:1], huge[1:])})
    monkeypatch.setattr(capacity, "available_bytes", lambda: 4 << 30)
    with pytest.raises(AttemptFailed, match=r"branch huge has frames of 10,000 atoms.* GB.*has 4\.3 GB") as caught:
        run(tmp_path, monkeypatch)
    assert (caught.value.rule, caught.value.retryable) == ("out-of-memory", True)


def test_memory_of_a_gpu_that_this_process_only_keeps_is_free_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "DEVICE", torch.device("cuda:0"))
    for name, told in {
        "mem_get_info": (1 << 30, 80 << 30),
        "memory_reserved": 70 << 30,
        "memory_allocated": 1 << 30,
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda _device, told=told: told)
    assert capacity.available_bytes() == 70 << 30


@pytest.mark.parametrize(
    ("variables", "why"),
    [({}, r"NVIDIA driver|CUDA|sees no GPU"), ({"DEVICE": "cpu"}, "the variable DEVICE says cpu")],
    ids=["no driver", "told so"],
)
def test_a_preset_for_gpus_is_refused_where_torch_can_use_none(
    variables: dict[str, str], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(capacity, "DEVICE", torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "init", no_driver)
    job(tmp_path, {}, {"silicon": SILICON}, preset=load_preset(PRESETS, "small"))
    with pytest.raises(AttemptFailed, match=rf"preset small needs a GPU.*trains on the CPU \(.*({why}).*\)") as caught:
        run(tmp_path, monkeypatch)
    assert (caught.value.rule, caught.value.retryable) == ("device-failed", True)


def no_driver() -> None:
    raise RuntimeError("Found no NVIDIA driver on your system.")


def spread(atoms: int, seed: int) -> Frame:
    """A dilute gas of silicon."""
    random = np.random.default_rng(seed)
    length = 2.7 * atoms ** (1 / 3)
    return Frame(
        numbers=np.full(atoms, 14),
        coords=random.random((atoms, 3)) * length,
        cell=length * np.eye(3),
        energy=-100.0 * atoms,
        forces=random.normal(size=(atoms, 3)),
        virial=np.zeros((3, 3)),
        source="gas",
        index=seed,
    )

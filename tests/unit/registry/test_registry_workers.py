"""Which worker can run which round, and in what words it is told."""

from pathlib import Path

import pytest
from contracts.recipe import PresetNeeds
from registry.domain.workers import Announcement, Demand, Gpu, demand, refusal, waits_for
from registry.rounds.presets import Presets

PRESETS = Path(__file__).parents[3] / "deploy" / "presets"
LARGE = PresetNeeds(gpus=2, gpu_memory_gb=40, memory_gb=64, cpu_cores=8)
A100 = Gpu("NVIDIA A100", 80_000_000_000)
T4 = Gpu("Tesla T4", 16_000_000_000)


def worker(**other: object) -> Announcement:
    able: dict[str, object] = {
        "worker_id": "gpu-1",
        "gpus": (A100, A100),
        "cpu_cores": 16,
        "memory_bytes": 128_000_000_000,
        "presets": ("large", "small"),
        "deepmd_version": "3.2.0",
    }
    return Announcement(**{**able, **other})  # type: ignore[arg-type]


def asked(needs: PresetNeeds = LARGE, parent: str | None = "1.3", parent_deepmd: str | None = "3.2.0") -> Demand:
    return demand("large", needs, parent, parent_deepmd)


def test_a_machine_with_all_that_is_needed_is_offered_the_round() -> None:
    assert refusal(worker(), asked()) is None
    assert refusal(Announcement("plain"), demand("smoke", PresetNeeds(), None, None)) is None


@pytest.mark.parametrize(
    ("lacks", "sentence"),
    [
        ({"gpus": (A100,)}, "it needs 2 GPUs of at least 40 GB and the worker has NVIDIA A100 (80 GB)"),
        ({"gpus": (A100, T4)}, "the worker has NVIDIA A100 (80 GB), Tesla T4 (16 GB)"),
        ({"gpus": ()}, "it needs 2 GPUs of at least 40 GB and the worker has no GPU"),
        ({"gpus": (Gpu("odd", 0),) * 2}, "odd (memory not known)"),
        ({"cpu_cores": 4}, "it needs 8 CPU cores and the worker has 4"),
        ({"memory_bytes": 32_000_000_000}, "it needs 64 GB of main memory and the worker has 32 GB"),
        ({"memory_bytes": 0}, "the worker does not tell how much it has"),
        ({"presets": ("laptop",)}, "it is of preset 'large' and the worker takes laptop"),
        (
            {"deepmd_version": "3.1.0"},
            "it needs deepmd-kit 3.2.0 (it trained the parent, model 1.3) and the worker has 3.1.0: install "
            "deepmd-kit 3.2.0 there",
        ),
        ({"deepmd_version": ""}, "the worker does not tell its version"),
    ],
)
def test_what_a_machine_lacks_is_named(lacks: dict[str, object], sentence: str) -> None:
    told = refusal(worker(**lacks), asked())
    assert told is not None
    assert told.startswith("worker gpu-1 cannot run this round: ")
    assert sentence in told


def test_a_preset_that_pins_a_version_moves_the_model_to_it() -> None:
    pinned = asked(LARGE.model_copy(update={"deepmd": "3.3.0"}))
    assert refusal(worker(deepmd_version="3.3.0"), pinned) is None
    told = refusal(worker(), pinned)
    assert told is not None
    assert "it needs deepmd-kit 3.3.0 (preset 'large' pins it) and the worker has 3.2.0" in told


def test_a_parent_that_does_not_tell_its_version_is_grown_by_any() -> None:
    assert refusal(worker(deepmd_version="2.9.9"), asked(parent_deepmd=None)) is None


def test_a_round_waits_in_words_only_when_nobody_can_run_it() -> None:
    assert waits_for(asked(), [worker(gpus=()), worker()]) is None
    wanted = (
        "Training waits for a machine with 2 GPUs of at least 40 GB each, 8 CPU cores, 64 GB of main memory, "
        "the training recipe 'large' and deepmd-kit 3.2.0: "
    )
    assert waits_for(asked(), []) == f"{wanted}no training machine is connected at the moment."
    assert waits_for(asked(), [worker(gpus=())]) == f"{wanted}the one that is connected does not do."
    assert waits_for(asked(), [worker(gpus=()), worker(presets=("smoke",))]) == (
        f"{wanted}none of the 2 that are connected do."
    )
    small = demand("small", PresetNeeds(gpu_memory_gb=16), None, None)
    assert waits_for(small, []) == (
        "Training waits for a machine with a GPU of at least 16 GB and the training recipe 'small': "
        "no training machine is connected at the moment."
    )


def test_needs_are_read_from_the_preset_files_and_a_misspelt_one_is_an_error(tmp_path: Path) -> None:
    assert Presets(PRESETS).needs("large").gpus == 4
    assert Presets(PRESETS).needs("laptop") == PresetNeeds()
    assert Presets().needs("whatever") == PresetNeeds()
    with pytest.raises(ValueError, match=r"none-such\.json cannot be read: No such file"):
        Presets(PRESETS).needs("none-such")
    (tmp_path / "odd.json").write_text('{"needs": {"gpu_memory": 16}}')
    with pytest.raises(ValueError, match="gpu_memory"):
        Presets(tmp_path).needs("odd")

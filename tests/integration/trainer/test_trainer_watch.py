"""The loss of every step is looked at: numbers that are none, explosions, and what is no reason to stop."""

from typing import Any

import numpy as np
import pytest
import torch
from trainer.child import AttemptFailed
from trainer.engine.watch import EXPLODED, LossWatch

SOUND = {"energy": torch.zeros(1), "force": torch.zeros(1, 8, 3), "find_force": 1.0}


def told(watch: LossWatch, *losses: tuple[str, float], labels: dict[str, Any] | None = None) -> None:
    for step, (branch, loss) in enumerate(losses, start=1):
        watch.add(step, branch, torch.tensor(loss), labels or SOUND)
        watch.check()


def fallen(branch: str, count: int = 20) -> list[tuple[str, float]]:
    return [(branch, 10 * 0.9**step) for step in range(count)]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_attempt_at_its_step(loss: float) -> None:
    watch = LossWatch(1)
    told(watch, *fallen("silicon"))
    with pytest.raises(AttemptFailed, match="stopped being a number at step 21") as caught:
        watch.add(21, "silicon", torch.tensor(loss), SOUND)
        watch.check()
    assert caught.value.rule == "not-finite"
    assert caught.value.retryable
    assert "half the learning rate" in str(caught.value)


@pytest.mark.parametrize("label", ["energy", "force", "virial"])
def test_a_label_that_is_no_number_is_the_cause_whatever_the_losses_were(label: str) -> None:
    watch = LossWatch(1)
    told(watch, *fallen("silicon"), ("silicon", 1e5))
    with pytest.raises(AttemptFailed, match=rf"dataset of branch water: a label of it \({label}\)"):
        told(watch, ("water", float("nan")), labels={**SOUND, label: torch.tensor([1.0, float("nan")])})


def test_the_branch_whose_loss_grew_is_suspected_not_the_one_that_was_next() -> None:
    watch = LossWatch(1)
    told(watch, *fallen("silicon"), *fallen("water"), ("water", 2e3))
    with pytest.raises(AttemptFailed, match="Most likely the dataset of branch water") as caught:
        told(watch, ("silicon", float("nan")))
    assert "branch silicon" not in str(caught.value)


def test_without_growth_the_learning_rate_is_suspected() -> None:
    watch = LossWatch(1)
    told(watch, *fallen("silicon"))
    with pytest.raises(AttemptFailed, match="the learning rate is the likely cause"):
        told(watch, ("silicon", float("nan")))


def test_a_loss_that_explodes_from_the_first_step_is_recognised_and_not_saved_meanwhile() -> None:
    watch = LossWatch(1)
    told(watch, ("silicon", 1.0), ("silicon", 2 * EXPLODED), ("silicon", 3 * EXPLODED))
    assert not watch.calm
    with pytest.raises(AttemptFailed, match="branch silicon exploded: 4e\\+04") as caught:
        told(watch, ("silicon", 4 * EXPLODED))
    assert caught.value.retryable


def test_strange_frames_and_noise_are_no_explosion() -> None:
    watch = LossWatch(1)
    random = np.random.default_rng(0)
    losses = 10 * np.exp(-np.arange(200) / 50) * random.lognormal(sigma=2, size=200)
    losses[50::10] *= 1e6
    told(watch, *(("silicon", float(loss)) for loss in losses))
    watch.add(201, "silicon", torch.tensor(1.0), SOUND)
    watch.check()
    assert watch.calm


def test_the_second_time_nobody_tries_again_and_the_operator_is_told_what_to_do() -> None:
    watch = LossWatch(0.5)
    with pytest.raises(
        AttemptFailed, match=r"second time.*re-run the round without it, or have the registry"
    ) as caught:
        told(watch, ("silicon", float("nan")))
    assert not caught.value.retryable

"""Watches the loss of every step: is it a number, and did training go astray?"""

import math
import statistics
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from trainer.child import AttemptFailed

NOT_FINITE = "not-finite"
# Losses are squares: a branch has exploded when its errors are a hundred times its best ones, in each of its last
# three batches. One strange frame, a warm-up or the changing weights of energy and force do not reach that.
EXPLODED = 1e4
IN_A_ROW = 3
# Batches that a branch's level is the median of.
WINDOW = 5
ASIDE = "re-run the round without it, or have the registry bisect the round"
_LABELS = ("energy", "force", "virial")


@dataclass(slots=True)
class _Level:
    """Losses of one branch: the last ones, and the best level so far: its first loss, then medians."""

    last: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    best: float = math.inf

    def add(self, loss: float) -> None:
        if not self.last:
            self.best = loss
        self.last.append(loss)
        if len(self.last) == WINDOW:
            self.best = min(self.best, statistics.median(self.last))

    @property
    def growth(self) -> float:
        """The last loss in units of the best level."""
        return self.last[-1] / self.best if self.best > 0 else 1.0

    @property
    def exploded(self) -> bool:
        return len(self.last) >= IN_A_ROW and min(list(self.last)[-IN_A_ROW:]) > EXPLODED * self.best > 0

    @property
    def calm(self) -> bool:
        return self.growth <= EXPLODED


@dataclass(frozen=True, slots=True)
class _Loss:
    """The loss of one step, on its way from the device."""

    step: int
    branch: str
    value: torch.Tensor
    arrived: Any
    """A CUDA event; none: it is here."""
    labels: Mapping[str, Any]


class LossWatch:
    """`add` after each forward pass, `check` before the next step.

    A GPU is not waited for: its losses are looked at as they arrive, a step or two later; `check(wait=True)` waits.
    """

    def __init__(self, learning_rate_factor: float) -> None:
        self._again = learning_rate_factor < 1
        self._pending: deque[_Loss] = deque()
        self._levels: dict[str, _Level] = {}

    @property
    def calm(self) -> bool:
        """No branch's last loss is suspiciously high: weights worth keeping."""
        return all(level.calm for level in self._levels.values())

    def add(self, step: int, branch: str, loss: torch.Tensor, labels: Mapping[str, Any]) -> None:
        """The loss of a batch of `branch`; `labels` are those of the batch."""
        value, arrived = loss.detach(), None
        if value.is_cuda:
            host = torch.empty((), dtype=value.dtype, pin_memory=True)
            host.copy_(value.reshape(()), non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
            value = host
        self._pending.append(_Loss(step, branch, value, arrived, labels))

    def check(self, *, wait: bool = False) -> None:
        """Raises AttemptFailed ('not-finite')."""
        for loss in self._arrived(wait):
            value = float(loss.value)
            if not math.isfinite(value):
                raise self.failure(f"the loss stopped being a number at step {loss.step}", self._culprit(loss))
            level = self._levels.setdefault(loss.branch, _Level())
            level.add(value)
            if level.exploded:
                levels = f"{value:.3g} at step {loss.step}, {level.best:.3g} before"
                found = f"the loss of branch {loss.branch} exploded: {levels}"
                raise self.failure(found, self._culprit(loss))

    def failure(self, found: str, culprit: str) -> AttemptFailed:
        """In words: what was found and what is done about it. The second time there is no third."""
        if self._again:
            done = f"It is the second time, with half the learning rate; {ASIDE}"
        else:
            done = "Training goes on from the last good checkpoint with half the learning rate"
        return AttemptFailed(NOT_FINITE, f"{found}. {culprit}. {done}.", retryable=not self._again)

    def suspect(self) -> str:
        """The branch whose loss grew most against its best."""
        if not self._levels:
            return ""
        name = max(self._levels, key=lambda one: self._levels[one].growth)
        growth = self._levels[name].growth
        if growth < 2:
            return "No branch's loss had grown before: the learning rate is the likely cause"
        return f"Most likely the dataset of branch {name}: its loss had grown to {growth:.3g} times its best"

    def _culprit(self, loss: _Loss) -> str:
        if broken := [name for name in _LABELS if _not_finite(loss.labels.get(name))]:
            which = " and ".join(broken)
            return f"The cause is the dataset of branch {loss.branch}: a label of it ({which}) is not a finite number"
        return self.suspect() or f"It happened on the dataset of branch {loss.branch}"

    def _arrived(self, wait: bool) -> Iterator[_Loss]:
        while self._pending:
            first = self._pending[0]
            if first.arrived is not None:
                if wait:
                    first.arrived.synchronize()
                elif not first.arrived.query():
                    return
            yield self._pending.popleft()


def _not_finite(label: Any) -> bool:
    return isinstance(label, torch.Tensor) and not bool(torch.isfinite(label).all())

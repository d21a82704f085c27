"""Processes that train together (torch.distributed): one leads, and all of them stop, or fail, at the same step."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

import torch
import torch.distributed as dist
from deepmd.pt.train import training
from deepmd.pt.utils.env import DEVICE

from trainer.child import AttemptFailed

_GO, _STOP, _FAILED = 0, 1, 2
# While the leader measures and freezes the others wait; a process that died is noticed by its broken connection.
_PATIENCE = timedelta(days=7)


class Ranks(Protocol):
    """What the engine needs of them."""

    rank: int
    size: int

    def share(self, value: Any = None) -> Any:
        """The leader's value, on every rank."""

    def agree(self, check: Callable[[], None], stop: bool) -> bool:
        """Whether any rank wants to stop. What `check` raises on one rank, all raise: AttemptFailed."""

    def leave(self) -> None:
        """Training is over; the leader goes on alone."""


class Alone:
    """One process."""

    rank, size = 0, 1

    def share(self, value: Any = None) -> Any:
        return value

    def agree(self, check: Callable[[], None], stop: bool) -> bool:
        check()
        return stop

    def leave(self) -> None:
        pass


class Together:
    """torchrun has started this process; gradients are averaged by deepmd's own trainer."""

    def __init__(self) -> None:
        if DEVICE.type == "cuda":
            torch.cuda.set_device(DEVICE)
            dist.init_process_group(backend="cuda:nccl,cpu:gloo")
        else:
            dist.init_process_group(backend="gloo")
        # Of its own: it neither waits for a GPU nor gives up while the leader is busy.
        self._control = dist.new_group(backend="gloo", timeout=_PATIENCE)
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()

    def share(self, value: Any = None) -> Any:
        holder = [value]
        dist.broadcast_object_list(holder, src=0, group=self._control, device=torch.device("cpu"))
        return holder[0]

    def agree(self, check: Callable[[], None], stop: bool) -> bool:
        mine: AttemptFailed | None = None
        try:
            check()
        except AttemptFailed as error:
            mine = error
        state = torch.tensor([_FAILED if mine else _STOP if stop else _GO])
        dist.all_reduce(state, op=dist.ReduceOp.MAX, group=self._control)
        if state.item() == _FAILED:
            told: list[tuple[str, str, bool] | None] = [None] * self.size
            dist.all_gather_object(told, (mine.rule, str(mine), mine.retryable) if mine else None, group=self._control)
            rule, reason, retryable = next(one for one in told if one is not None)
            raise AttemptFailed(rule, reason, retryable=retryable)
        return bool(state.item() == _STOP)

    def leave(self) -> None:
        dist.barrier(group=self._control)
        dist.destroy_process_group()


def joined() -> Ranks:
    """Those that torchrun started, or this process alone."""
    return Together() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Alone()


@contextmanager
def without_gpus(ranks: Ranks) -> Iterator[None]:
    """While deepmd builds its trainer: 3.2.0 takes for granted that every one of several processes has a GPU."""
    if ranks.size == 1 or DEVICE.type == "cuda":
        yield
        return
    set_device, wrap = torch.cuda.set_device, training.DDP

    def on_cpu(module: Any, device_ids: Any = None, output_device: Any = None, **options: Any) -> Any:
        return wrap(module, **options)

    torch.cuda.set_device = lambda _device: None
    training.DDP = on_cpu
    try:
        yield
    finally:
        torch.cuda.set_device, training.DDP = set_device, wrap

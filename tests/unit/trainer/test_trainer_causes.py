"""What ends an attempt is recognised and told: memory, disk, device, everything else."""

import errno
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from trainer import process
from trainer.child import AttemptFailed, explained
from trainer.memory import kernel_kills
from trainer.process import Child


@pytest.mark.parametrize(
    ("error", "rule", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk-full", "the disk of this worker is full"),
        (OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "disk-full", "POTLUCK_TRAINER_CACHE_BYTES"),
        # torch.save when the disk fills up under it
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598"), "disk-full", "full"),
        (MemoryError(), "out-of-memory", "more memory than this worker has"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "out-of-memory", "a larger worker"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
            "out-of-memory",
            "",
        ),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "out-of-memory", ""),
        (RuntimeError("CUDA error: out of memory"), "out-of-memory", "a larger worker"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            "out-of-memory",
            "a larger worker",
        ),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "device-failed", "another worker"),
        (RuntimeError("CUDA error: unspecified launch failure"), "device-failed", "another worker"),
        (RuntimeError("CUDA driver error: unknown error"), "device-failed", "another worker"),
        (RuntimeError("No CUDA GPUs are available"), "device-failed", "another worker"),
        (
            RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."),
            "device-failed",
            "another worker",
        ),
        (
            RuntimeError(
                "NCCL error in: NCCLUtils.cpp:92, unhandled cuda error (run with NCCL_DEBUG=INFO for details)"
            ),
            "device-failed",
            "another worker",
        ),
        # No fault of the GPU.
        (RuntimeError("CUDA error: device-side assert triggered"), "crashed", "out of range"),
        (KeyError("x"), "crashed", "KeyError"),
        (OSError(errno.ENOENT, "No such file"), "crashed", "No such file"),
    ],
)
def test_causes_are_told_apart(error: Exception, rule: str, words: str) -> None:
    failed = explained(error)
    assert failed.rule == rule
    assert failed.retryable
    assert words in failed.reason


def test_a_foreseen_failure_keeps_its_own_words() -> None:
    failed = explained(AttemptFailed("data-unreadable", "no space left on device", retryable=False))
    assert (failed.rule, failed.reason, failed.retryable) == ("data-unreadable", "no space left on device", False)


def test_what_the_kernel_killed_is_counted_where_it_tells(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("pgfault 12\noom_kill 2\n")
    (tmp_path / "memory.events").write_text("low 0\noom 4\noom_kill 1\noom_group_kill 7\n")
    assert kernel_kills((tmp_path / "vmstat", tmp_path / "memory.events")) == 3
    assert kernel_kills((tmp_path / "vmstat", tmp_path / "none")) == 2
    assert kernel_kills((tmp_path / "none",)) is None


@asynccontextmanager
async def killed() -> AsyncIterator[Child]:
    child = await Child.start("http.server", 1)  # a module that runs; its argument is this process's number, a port
    try:
        await child.kill()
        yield child
    finally:
        await child.kill()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's counters are Linux's")
async def test_a_child_that_the_kernel_killed_ran_out_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    kills: list[int | None] = [3, 4]
    monkeypatch.setattr(process, "kernel_kills", lambda: kills.pop(0))
    async with killed() as child:
        failure = child.failure()
    assert (failure.rule, failure.retryable) == ("out-of-memory", True)
    assert "memory ran out" in str(failure)


@pytest.mark.parametrize("before_and_after", [[3, 3], [None, None]])
async def test_a_child_that_somebody_else_killed_crashed(
    monkeypatch: pytest.MonkeyPatch, before_and_after: list[int | None]
) -> None:
    monkeypatch.setattr(process, "kernel_kills", lambda: before_and_after.pop(0))
    async with killed() as child:
        failure = child.failure()
    assert failure.rule == "crashed"
    assert "signal SIGKILL" in str(failure)

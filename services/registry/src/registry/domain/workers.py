"""Workers as they announced themselves, and which round each of them can run. Pure rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.recipe import PresetNeeds

GB = 1e9
# An idle worker asks every two seconds: with a short lease it must not count as gone in between.
SHORTEST_LIFE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """A device that a worker trains on."""

    name: str
    memory_bytes: int
    """0: not known."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a worker says of itself whenever it asks for a round."""

    worker_id: str
    hostname: str = ""
    gpus: tuple[Gpu, ...] = ()
    cpu_name: str = ""
    cpu_cores: int = 0
    memory_bytes: int = 0
    """Of one node; 0: not known."""
    presets: tuple[str, ...] = ()
    """Empty: all."""
    deepmd_version: str = ""
    """Empty: not told."""
    torch_version: str = ""
    launcher: str = ""
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that the registry knows."""

    announced: Announcement
    first_seen: datetime
    last_seen: datetime
    live: bool
    """Heard of within the time that a lease lives."""
    round_id: UUID | None
    """What it trains."""
    refusal: str | None
    """Why the last round that waited was not offered to it."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a round asks of the worker that trains it."""

    preset: str
    needs: PresetNeeds
    deepmd_version: str | None
    """The only one that may train; none: any."""
    deepmd_because: str = ""
    """Who asks for that version, as part of a sentence."""


def demand(preset: str, needs: PresetNeeds, parent: str | None, parent_deepmd: str | None) -> Demand:
    """A preset that pins a version of deepmd-kit does so on purpose; otherwise the parent's is needed.

    A parent that does not tell which version trained it may be grown by any.
    """
    if needs.deepmd is not None:
        return Demand(preset, needs, needs.deepmd, f"preset {preset!r} pins it")
    if parent_deepmd is not None:
        return Demand(preset, needs, parent_deepmd, f"it trained the parent, model {parent}")
    return Demand(preset, needs, None)


def refusal(worker: Announcement, asked: Demand) -> str | None:
    """Why the worker is not offered the round, in words; none when it can run it."""
    problems = [*_preset_problem(worker, asked), *_version_problem(worker, asked), *_hardware_problems(worker, asked)]
    return f"worker {worker.worker_id} cannot run this round: {'; '.join(problems)}" if problems else None


def waits_for(asked: Demand, live: Sequence[Announcement]) -> str | None:
    """What the round waits for, in words that contributors read; none when a live worker can run it."""
    found = [refusal(one, asked) for one in live]
    if None in found:
        return None
    wanted = f"Training waits for a machine with {_wanted(asked)}"
    if not live:
        return f"{wanted}: no training machine is connected at the moment."
    are = (
        "the one that is connected does not do" if len(live) == 1 else f"none of the {len(live)} that are connected do"
    )
    return f"{wanted}: {are}."


def _wanted(asked: Demand) -> str:
    needs = asked.needs
    parts = []
    if needs.gpus or needs.gpu_memory_gb:
        count = max(needs.gpus, 1)
        each = " each" if count > 1 else ""
        memory = f" of at least {needs.gpu_memory_gb:g} GB{each}" if needs.gpu_memory_gb else ""
        parts.append(f"{count} GPUs{memory}" if count > 1 else f"a GPU{memory}")
    if needs.cpu_cores:
        parts.append(f"{needs.cpu_cores} CPU cores")
    if needs.memory_gb:
        parts.append(f"{needs.memory_gb:g} GB of main memory")
    parts.append(f"the training recipe {asked.preset!r}")
    if asked.deepmd_version is not None:
        parts.append(f"deepmd-kit {asked.deepmd_version}")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _preset_problem(worker: Announcement, asked: Demand) -> list[str]:
    if not worker.presets or asked.preset in worker.presets:
        return []
    return [f"it is of preset {asked.preset!r} and the worker takes {', '.join(worker.presets)}"]


def _version_problem(worker: Announcement, asked: Demand) -> list[str]:
    if asked.deepmd_version in (None, worker.deepmd_version):
        return []
    has = f"has {worker.deepmd_version}" if worker.deepmd_version else "does not tell its version"
    return [
        f"it needs deepmd-kit {asked.deepmd_version} ({asked.deepmd_because}) and the worker {has}: install "
        f"deepmd-kit {asked.deepmd_version} there, or pin another version in the preset's needs"
    ]


def _hardware_problems(worker: Announcement, asked: Demand) -> list[str]:
    needs = asked.needs
    problems = []
    least = needs.gpu_memory_gb * GB
    wanted = max(needs.gpus, 1 if least else 0)
    fitting = sum(one.memory_bytes >= least for one in worker.gpus)
    if fitting < wanted:
        memory = f" of at least {needs.gpu_memory_gb:g} GB" if least else ""
        has = ", ".join(_gpu(one) for one in worker.gpus) or "no GPU"
        problems.append(f"it needs {wanted} GPU{'s' if wanted > 1 else ''}{memory} and the worker has {has}")
    if worker.cpu_cores < needs.cpu_cores:
        problems.append(f"it needs {needs.cpu_cores} CPU cores and the worker has {worker.cpu_cores}")
    if worker.memory_bytes < needs.memory_gb * GB:
        has = f"has {worker.memory_bytes / GB:.3g} GB" if worker.memory_bytes else "does not tell how much it has"
        problems.append(f"it needs {needs.memory_gb:g} GB of main memory and the worker {has}")
    return problems


def _gpu(gpu: Gpu) -> str:
    return f"{gpu.name} ({gpu.memory_bytes / GB:.3g} GB)" if gpu.memory_bytes else f"{gpu.name} (memory not known)"

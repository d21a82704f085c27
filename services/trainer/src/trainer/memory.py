"""Did the kernel kill something because memory ran out? Linux only."""

from pathlib import Path

# Of the whole machine, and of the container that this process is in.
_COUNTERS = (Path("/proc/vmstat"), Path("/sys/fs/cgroup/memory.events"))


def kernel_kills(counters: tuple[Path, ...] = _COUNTERS) -> int | None:
    """How many processes the kernel has killed so far for want of memory; none where it does not tell."""
    found = [count for path in counters if (count := _count(path)) is not None]
    return sum(found) if found else None


def _count(path: Path) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    counts = [line.split()[1] for line in lines if line.startswith("oom_kill ")]
    return int(counts[0]) if counts else None

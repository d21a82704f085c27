"""A clock that jumps changes nothing: the trainer asks none that can, and leases live by the database's alone."""

import ast
import re
from pathlib import Path

import pytest
import registry
import trainer

# What the operating system may set back or forward while a program runs.
WALL_CLOCKS = {
    "time": {"time", "time_ns", "ctime", "localtime", "gmtime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def asked(source: str) -> list[str]:
    """Wall clocks that this code asks, as `module.function:line`."""
    tree = ast.parse(source)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in WALL_CLOCKS["time"]
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name | ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else node.value.attr
            if node.attr in WALL_CLOCKS.get(owner, ()):
                found.append(f"{owner}.{node.attr}:{node.lineno}")
        elif isinstance(node, ast.Name) and node.id in imported:
            found.append(f"{node.id}:{node.lineno}")
    return found


@pytest.mark.parametrize(
    "source",
    ["import time\ntime.time()", "from time import time as t\nt()", "import datetime\ndatetime.datetime.now()"],
)
def test_the_search_finds_wall_clocks(source: str) -> None:
    assert asked(source)
    assert not asked("import time\ntime.monotonic()")


def test_the_trainer_asks_no_clock_that_can_jump() -> None:
    """Heartbeats, reports, budgets and pauses: all by clocks that only go forward."""
    sources = sorted(Path(trainer.__file__).parent.rglob("*.py"))
    assert len(sources) > 30
    assert {path.name: found for path in sources if (found := asked(path.read_text()))} == {}


def test_a_lease_is_given_renewed_and_lost_by_the_databases_clock() -> None:
    """No registry's and no worker's: however many there are, and whatever they believe the time is."""
    folder = Path(registry.__file__).parent
    queries = (folder / "queries.sql").read_text()
    writes = re.findall(r"lease_expires_at\s*=\s*([^,\n]+)", queries)
    assert writes
    assert all(value.startswith(("null", "now() + make_interval(secs => %(")) for value in writes)
    reads = re.findall(r"lease_expires_at\s*<\s*(\w+\(\)|\S+)", queries)
    assert reads == ["now()"] * len(reads) != []
    # Planning, leases and looks at them: everything else may tell when something happened.
    for name in ("rounds/service.py", "rounds/timer.py", "rounds/inquiry_steps.py", "domain/planning.py", "store.py"):
        assert asked((folder / name).read_text()) == [], name

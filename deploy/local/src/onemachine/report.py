"""What a running supervisor tells of its units, in a file that `status` reads."""

import json
from collections.abc import Iterable
from pathlib import Path

from onemachine.unit import Unit


def write(file: Path, units: Iterable[Unit]) -> None:
    """Replace the report: unit → pid, ready, starts."""
    rows = {unit.name: {"pid": unit.pid, "ready": unit.ready.is_set(), "starts": unit.starts} for unit in units}
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(rows, indent=2) + "\n")
    draft.rename(file)


def read(file: Path) -> dict[str, dict[str, int | bool | None]]:
    rows: dict[str, dict[str, int | bool | None]] = json.loads(file.read_text())
    return rows


def table(rows: dict[str, dict[str, int | bool | None]]) -> str:
    lines = [f"{'unit':<14}{'state':<12}{'pid':>8}  starts"]
    for name, row in rows.items():
        state = "ready" if row["ready"] else "starting" if row["pid"] else "down"
        lines.append(f"{name:<14}{state:<12}{row['pid'] or '-':>8}  {row['starts']}")
    return "\n".join(lines)

"""Reads what a parsing child reported, a line at a time, believing only what fits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest.domain import Calculation, note

_LARGEST_LINE = 16 << 20
Count = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True)

    frame: Count | None
    rule: str
    reason: str
    remedy: str


class _End(BaseModel):
    model_config = ConfigDict(strict=True)

    end: int
    theory: dict[str, str | float]
    frames: Count
    frames_failed: Count
    failed: bool
    set_aside: list[_Entry]
    spool: Annotated[list[Count], Field(min_length=2, max_length=2)]


def apply_report(path: Path, spool: int, calculations: Mapping[int, Calculation]) -> int | None:
    """Note the results in `calculations`; returns the number of the one that began and did not end."""
    at: int | None = None
    if not path.exists():
        return None
    with path.open("rb") as file:
        while line := file.readline(_LARGEST_LINE):
            try:
                said: dict[str, Any] = json.loads(line)
                if "begin" in said:
                    at = int(said["begin"])
                elif "end" in said:
                    _apply(_End.model_validate(said), spool, calculations)
                    at = None
            except (ValueError, TypeError, ValidationError):
                # A line cut off by the child's death is the last one.
                continue
    return at


def _apply(end: _End, spool: int, calculations: Mapping[int, Calculation]) -> None:
    one = calculations.get(end.end)
    if one is None or one.done:
        return
    one.done = True
    one.failed = end.failed
    one.frames, one.frames_failed = end.frames, end.frames_failed
    one.spool = (spool, end.spool[0], end.spool[1])
    one.theory = {name: value if isinstance(value, float) else value[:300] for name, value in end.theory.items()}
    one.set_aside = [note(one.path, each.frame, each.rule, each.reason, each.remedy) for each in end.set_aside]

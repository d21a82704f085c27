"""The parse loop of a confined child, in this process."""

import io
import json
from pathlib import Path
from typing import Any

from ingest.confined.reading import read_calculation
from ingest.confined.spool import Spooler


def parsed(root: Path, *calculations: dict[str, Any]) -> list[dict[str, Any]]:
    """What the report says at the end of each calculation; numbers are given in order."""
    report = io.BytesIO()
    spooler = Spooler(io.BytesIO(), io.BytesIO())
    for number, calculation in enumerate(calculations):
        read_calculation(root, {"number": number, "theory": True, **calculation}, report, spooler)
    return [said for line in report.getvalue().splitlines() if "end" in (said := json.loads(line))]

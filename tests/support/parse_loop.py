"""The parse loop of a confined child, in this process: calculations in, what it reports of each out."""

import json
import sys
from collections.abc import Sequence
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ingest.confined import reading


def parsed(root: Path, calculations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One answer a calculation, in order; each needs format, files, options and multi."""
    numbered = [{"theory": True, **one, "number": number} for number, one in enumerate(calculations)]
    report = BytesIO()
    with patch.object(sys, "stdin", TextIOWrapper(BytesIO(json.dumps(numbered).encode() + b"\n"))):
        reading.parse({"tree": str(root)}, [], [report, BytesIO(), BytesIO()])
    ends = [said for line in report.getvalue().splitlines() if "end" in (said := json.loads(line))]
    assert [said["end"] for said in ends] == list(range(len(calculations)))
    return ends

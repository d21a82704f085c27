"""First task of every dataset: extract the archive and find its calculations, or what must not be passed on."""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, Any

from ingest.confined import finding
from ingest.confined.archives import ArchiveLimits, Extraction, Refused
from ingest.confined.outputs import call, write
from ingest.confined.programs.spec import Calculation

_TELL_SECONDS = 0.5
# Few enough that parsing begins soon, and many against what telling takes.
_TOLD_TOGETHER = 64


def run(arguments: dict[str, Any], inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; input: the archive; outputs: report, calculations, what else was found (JSON).

    Calculations come some at a time, a line each, and a call on standard output: they are parsed while it goes on
    looking. The report says when there are no more.
    """
    root = Path(arguments["tree"])
    limits = ArchiveLimits(**arguments["limits"])
    teller = _Teller(outputs[0])
    extraction = Extraction(root, limits, arguments["archive_bytes"], teller.unpacked)
    try:
        extraction.archive(inputs[0], arguments["filename"])
    except Refused as refusal:
        answer = refused(refusal)
    else:
        teller.say({"step": "finding", "files": extraction.files})
        catalogue = [finding.Format(one["name"], one["reads"], tuple(one["names"])) for one in arguments["catalogue"]]
        tree = finding.Tree(root, extraction.noticed)
        answer = found(tree, catalogue, arguments["format"], partial(_list, teller, outputs[1]))
        answer |= {"notes": extraction.notes, "private": extraction.private()}
    write(outputs[2], json.dumps(answer).encode())


def _list(teller: "_Teller", output: IO[bytes], name: str, calculations: list[dict[str, Any]]) -> None:
    if calculations:
        write(output, json.dumps({"format": name, "calculations": calculations}).encode() + b"\n")
    else:
        teller.say({"step": "found"})
    call()


def look(arguments: dict[str, Any], inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; input: the archive; output (JSON): what must not be passed on, how much may be."""
    root = Path(arguments["tree"])
    extraction = Extraction(root, ArchiveLimits(**arguments["limits"]), arguments["archive_bytes"])
    try:
        extraction.archive(inputs[0], arguments["filename"])
    except Refused as refusal:
        answer = refused(refusal)
    else:
        private = extraction.private()
        files = sum(len(names) for _, _, names in os.walk(root))
        answer = {"private": private, "shared": files - len(private)}
    write(outputs[0], json.dumps(answer).encode())


def refused(refusal: Refused) -> dict[str, Any]:
    return {"refused": {"rule": refusal.rule, "reason": refusal.reason, "remedy": refusal.remedy}}


class _Teller:
    """Says how far unpacking is, now and then."""

    def __init__(self, report: IO[bytes]) -> None:
        self._report = report
        self._told = time.monotonic()

    def unpacked(self, files: int) -> None:
        if time.monotonic() - self._told > _TELL_SECONDS:
            self.say({"step": "unpacking", "files": files})

    def say(self, what: dict[str, Any]) -> None:
        self._told = time.monotonic()
        self._report.write(json.dumps(what).encode() + b"\n")


def found(
    tree: finding.Tree,
    catalogue: list[finding.Format],
    wanted: str,
    tell: Callable[[str, list[dict[str, Any]]], None] = lambda name, calculations: None,
) -> dict[str, Any]:
    """Calculations of the chosen format, and what else the content says.

    tell: the format and some calculations, while there are any, then none.
    """
    chosen = next((one for one in catalogue if one.name == wanted), None)
    calculations: list[Calculation] = []
    if chosen is not None:
        each = finding.each(tree, chosen)
        while some := list(islice(each, _TOLD_TOGETHER)):
            calculations += some
            tell(wanted, finding.as_json(tree, some))
        calculations.sort(key=lambda one: one.path)
        tell(wanted, [])
    detected = finding.detect(tree, catalogue, {} if chosen is None else {wanted: calculations})
    others = {name: [one.path for one in several[:3]] for name, several in detected.items()}
    format_name = wanted
    if chosen is None:
        if detected:
            format_name, calculations = next(iter(detected.items()))
        for start in range(0, len(calculations), _TOLD_TOGETHER):
            tell(format_name, finding.as_json(tree, calculations[start : start + _TOLD_TOGETHER]))
        tell(format_name, [])
    return {
        "format": format_name,
        "detected": others,
        "detection": finding.detection(tree, format_name, calculations, detected),
        "summary": "" if calculations else tree.summary(),
    }

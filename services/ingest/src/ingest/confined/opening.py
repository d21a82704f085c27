"""First task of every dataset: extract the archive and find its calculations."""

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

from ingest.confined import finding
from ingest.confined.archives import ArchiveLimits, Extraction, Refused
from ingest.confined.outputs import call, write

_TELL_SECONDS = 0.5


def run(arguments: dict[str, Any], inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; input: the archive; outputs: report, calculations, what else was found (JSON).

    It calls on standard output when the calculations are there: they are parsed while it goes on looking.
    """
    root = Path(arguments["tree"])
    limits = ArchiveLimits(**arguments["limits"])
    teller = _Teller(outputs[0])
    extraction = Extraction(root, limits, arguments["archive_bytes"], teller.unpacked)
    try:
        extraction.archive(inputs[0], arguments["filename"])
    except Refused as refusal:
        answer: dict[str, Any] = {"refused": {"rule": refusal.rule, "reason": refusal.reason, "remedy": refusal.remedy}}
    else:
        teller.say({"step": "finding", "files": extraction.files})
        catalogue = [finding.Format(one["name"], one["reads"], tuple(one["names"])) for one in arguments["catalogue"]]
        answer = found(finding.Tree(root), catalogue, arguments["format"], partial(_list, teller, outputs[1]))
        del answer["calculations"]
        answer |= {"notes": extraction.notes, "private": extraction.private()}
    write(outputs[2], json.dumps(answer).encode())


def _list(teller: "_Teller", output: IO[bytes], name: str, calculations: list[dict[str, Any]]) -> None:
    write(output, json.dumps({"format": name, "calculations": calculations}).encode())
    teller.say({"step": "found"})
    call()


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
    """Calculations of the chosen format, told as soon as they are known, and what else the content says."""
    chosen = next((one for one in catalogue if one.name == wanted), None)
    calculations = finding.find(tree, chosen) if chosen is not None else []
    listed = finding.as_json(tree, calculations)
    if listed:
        tell(wanted, listed)
    detected = finding.detect(tree, catalogue, {} if chosen is None else {wanted: calculations})
    others = {name: [one.path for one in several[:3]] for name, several in detected.items()}
    format_name = wanted
    if chosen is None and detected:
        format_name, calculations = next(iter(detected.items()))
        listed = finding.as_json(tree, calculations)
        tell(format_name, listed)
    return {
        "format": format_name,
        "calculations": listed,
        "detected": others,
        "detection": finding.detection(tree, format_name, calculations, detected),
        "summary": "" if calculations else tree.summary(),
    }

"""When the parsing children of a dataset may end."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from ingest import parsing as parsing_module
from ingest.confinement.children import Children, Ending, Feeding, Job
from ingest.domain import Calculation, Catalogue, Progress
from ingest.parsing import Parsing
from ingest.progress import Meter
from ingest.settings import IngestSettings


class Obedient:
    """Children that answer at once; each ends when it is fed no more."""

    def __init__(self) -> None:
        self.ended = 0

    async def run(self, job: Job, feeding: Feeding) -> Ending:
        for path in job.outputs:
            path.touch()
        await feeding(_Feed(job.outputs[0]))
        self.ended += 1
        return Ending(None, None, "")


class _Feed:
    def __init__(self, report: Path) -> None:
        self._report = report

    async def send(self, data: bytes) -> None:
        with self._report.open("ab") as file:
            for one in json.loads(data):
                said = {
                    "theory": {}, "frames": 0, "frames_failed": 0, "unconverged": 0, "failed": False, "first": 0,
                    "largest_force": 0.0, "spool": [0, 0], "set_aside": [],
                }  # fmt: skip
                file.write(json.dumps({"end": one["number"], **said}).encode() + b"\n")

    async def heard(self, seconds: float) -> None:
        await asyncio.sleep(0)


def parsed(children: Obedient, work: Path) -> Parsing:
    batches: Iterator[list[Calculation]] = iter([[]])

    async def more() -> list[Calculation]:
        return next(batches)

    settings = IngestSettings(blobs_url="file:///unused", parallel_parsers=2)
    told: list[Progress] = []
    return Parsing(cast(Children, children), Catalogue({}, ()), settings, work, more, Meter(told.append))


def calculations(count: int) -> list[Calculation]:
    return [Calculation(number, f"f{number}", "qe/pw/scf", ("x",), {}, 1 << 20) for number in range(count)]


async def test_children_stay_until_they_are_let_go(tmp_path: Path) -> None:
    """To take them down would keep the processors from what comes next."""
    children = Obedient()
    parsing = parsed(children, tmp_path)
    async with parsing.running(calculations(300)):
        await parsing.done()
        assert all(one.done for one in parsing.calculations)
        assert children.ended == 0
        parsing.let_go()
        await parsing.ended()
    assert children.ended == len(parsing.reports) == 2


async def test_whoever_is_not_let_go_ends_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes next may be long in coming: other datasets are asked about first."""
    monkeypatch.setattr(parsing_module, "_LET_GO_SECONDS", 0.01)
    children = Obedient()
    parsing = parsed(children, tmp_path)
    async with parsing.running(calculations(3)):
        await parsing.done()
        await parsing.ended()
    assert children.ended == len(parsing.reports)

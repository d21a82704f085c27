"""Parses the calculations of one dataset in several confined children, which get work as they get on with it."""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.logs import get_logger

from ingest.confinement.children import Children, Ending, Feed, Job
from ingest.confinement.kernel import Limits
from ingest.domain import Calculation, Catalogue, IngestBroken, Rejected
from ingest.progress import Meter
from ingest.report import Report
from ingest.settings import MEBIBYTE, IngestSettings

log = get_logger(__name__)

PARSER_IMPORTS = ("ingest.confined.reading",)
# Parsers call when they have done a share; in between, how far they are is looked up.
_LOOK_SECONDS = 0.4
_TELL_SECONDS = 0.4
_FIRST_SAMPLES = 40
# What a share of single points says is read in less time than a thread needs to come by.
_READ_AT_ONCE = 1 << 16
# A child that waits so long for calculations to be found is let go.
_IDLE_SECONDS = 30.0
# Shares become smaller towards the end, so that parsers end together: this part of what waits, for each parser, but at
# least such a part of everything, which is large against the time it takes to hand one out.
_PART_OF_WAITING, _PART_OF_ALL = 3, 32
# The same while calculations are still being found, which come some at a time.
_PART_OF_FOUND = 2
_LARGEST_SHARE = 64
# All is read, and this long children are kept for what comes next to begin before they end.
_LET_GO_SECONDS = 0.5
# A child is renewed long before its processor time is used up by calculations that are all well.
_RENEWED_AFTER = 0.25


@dataclass
class Shares:
    """Calculations that wait for a parser, in the order in which they are found; `all_known`: no more will be."""

    waiting: deque[Calculation] = field(default_factory=deque)
    parsers: int = 1
    total_bytes: int = 0
    waiting_bytes: int = 0
    all_known: bool = False

    def add(self, calculations: Sequence[Calculation]) -> None:
        size = sum(one.size for one in calculations)
        self.waiting.extend(calculations)
        self.total_bytes += size
        self.waiting_bytes += size

    def take(self) -> list[Calculation]:
        """The next share; empty when nothing waits."""
        taken: list[Calculation] = []
        part = _PART_OF_WAITING if self.all_known else _PART_OF_FOUND
        smallest = self.total_bytes / (self.parsers * _PART_OF_ALL)
        size, wanted = 0, max(smallest, self.waiting_bytes / (self.parsers * part))
        while self.waiting and len(taken) < _LARGEST_SHARE and (not taken or size < wanted):
            taken.append(self.waiting.popleft())
            size += taken[-1].size
        self.waiting_bytes -= size
        return taken

    def back(self, calculations: Sequence[Calculation]) -> None:
        self.waiting.extendleft(reversed(calculations))
        self.waiting_bytes += sum(one.size for one in calculations)


def parsers(count: int, size: int, settings: IngestSettings) -> int:
    """How many children so many calculations of so many bytes are worth, at most `parallel_parsers`."""
    by_bytes = -(-size // settings.bytes_per_parser)
    by_number = -(-count // settings.calculations_per_parser)
    return max(1, min(settings.parallel_parsers, count, max(by_bytes, by_number)))


def sampled(number: int) -> bool:
    """Whether a calculation is asked for its level of theory: files of one campaign say the same.

    The first ones, and eight in every doubling of the number: how many there will be is not known.
    """
    return number < _FIRST_SAMPLES or number % (1 << (number.bit_length() - 4)) == 0


@dataclass
class Parsing:
    """One dataset's, within `running`. After `done`, `calculations` are sorted by path, and `reports` are those of
    child 0, 1, …, with their files.

    more  gives the next calculations, none when there are no more
    """

    children: Children
    catalogue: Catalogue
    settings: IngestSettings
    work: Path
    more: Callable[[], Awaitable[list[Calculation]]]
    meter: Meter
    calculations: list[Calculation] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    _shares: Shares = field(default_factory=Shares, init=False)
    _dealt: asyncio.Condition = field(default_factory=asyncio.Condition, init=False)
    _last: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _let_go: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _ending: asyncio.Task[None] = field(init=False)
    _deaths: int = 0
    _parsed: int = 0
    _frames: int = 0
    _set_aside: int = 0
    _bytes: int = 0
    _told: float = 0.0

    @asynccontextmanager
    async def running(self, first: list[Calculation]) -> AsyncIterator[None]:
        """From these calculations on. The children end with the block."""
        self._ending = asyncio.create_task(self._run(first))
        try:
            yield
        finally:
            self._ending.cancel()
            await asyncio.gather(self._ending, return_exceptions=True)

    async def _run(self, found: list[Calculation]) -> None:
        started = 0
        try:
            async with asyncio.TaskGroup() as group:
                while found:
                    await self._deal(found)
                    for _ in range(started, self._shares.parsers):
                        group.create_task(self._parser())
                    started = self._shares.parsers
                    found = await self.more()
                await self._deal([])
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors

    async def _deal(self, found: list[Calculation]) -> None:
        """None: those were all."""
        self.calculations += found
        self._shares.add(found)
        self._shares.parsers = parsers(len(self.calculations), self._shares.total_bytes, self.settings)
        self._shares.all_known = not found
        self.meter.found(len(self.calculations))
        # It may have been the last one that was read already.
        self._count([])
        async with self._dealt:
            self._dealt.notify_all()

    async def done(self) -> None:
        """Until every calculation is read or set aside. A child that dies costs the calculation it was at.

        Raises Rejected when too many die, IngestBroken when our own side failed.
        """
        last = asyncio.create_task(self._last.wait())
        either: set[asyncio.Future[Any]] = {self._ending, last}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        last.cancel()
        if self._ending.done():
            self._ending.result()
        self.calculations.sort(key=lambda one: one.path)
        # The last numbers stand on the page while the dataset is written.
        self._tell()

    def let_go(self) -> None:
        """The children may end: what comes next has begun. To take them down keeps processors busy."""
        self._let_go.set()

    async def ended(self) -> None:
        """Until the children are gone, which takes them longer than a look at their last results. Raises as `done`."""
        await self._ending

    async def _parser(self) -> None:
        while share := await self._share():
            await self._child(share)

    async def _share(self, seconds: float | None = None) -> list[Calculation]:
        """What is to be done next; nothing when all is dealt, or nothing was found for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._dealt:
                await self._dealt.wait_for(lambda: self._shares.waiting or self._shares.all_known)
                return self._shares.take()
        return []

    async def _child(self, first: list[Calculation]) -> None:
        number, settings = len(self.reports), self.settings
        spooled = (self.work / f"spool-{number}", self.work / f"hashes-{number}")
        report = Report(self.work / f"report-{number}.jsonl", number, spooled)
        self.reports.append(report)
        job = Job(
            "ingest.confined.reading:parse",
            {"tree": str(self.work / "tree")},
            Limits(settings.child_memory_mib * MEBIBYTE, settings.child_cpu_seconds, settings.max_spool_bytes),
            settings.child_wall_seconds,
            settings.calculation_seconds,
            outputs=(report.path, *spooled),
            readable=(self.work / "tree",),
            imports=PARSER_IMPORTS,
        )
        given: dict[int, Calculation] = {}
        ending = await self.children.run(job, lambda feed: self._feed(feed, first, report, given))
        await self._note(report, given)
        if ending.well:
            _all_answered(given.values())
            self._count(list(given.values()))
        else:
            self._died(ending, report, list(given.values()))

    async def _feed(self, feed: Feed, share: list[Calculation], report: Report, given: dict[int, Calculation]) -> None:
        """Hand out shares before the one before is done, until none is left or the child is to be renewed."""
        until = time.monotonic() + _RENEWED_AFTER * self.settings.child_cpu_seconds
        while share:
            given.update({one.number: one for one in share})
            known = self.catalogue.named(share[0].format)
            multi = known is not None and known.multi
            await feed.send(json.dumps([self._asked(one, multi) for one in share]).encode() + b"\n")
            # One share ahead, or a parser waits for every one; a heavy calculation may be taken by whoever is free.
            while len(given) > (len(share) if len(share) > 1 else 0):
                await feed.heard(_LOOK_SECONDS)
                await self._note(report, given)
            share = await self._share(_IDLE_SECONDS) if time.monotonic() < until else []
        # Not by the child's end: to take down a process of a thousand modules takes longer than a share.
        while given:
            await feed.heard(_LOOK_SECONDS)
            await self._note(report, given)
        if self._shares.all_known and not self._shares.waiting:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._let_go.wait(), _LET_GO_SECONDS)

    async def _note(self, report: Report, given: dict[int, Calculation]) -> None:
        if report.unread <= _READ_AT_ONCE:
            ended = report.read(given)
        else:
            ended = await asyncio.to_thread(report.read, given)
        for one in ended:
            del given[one.number]
        self._count(ended)

    def _count(self, ended: Sequence[Calculation]) -> None:
        self._parsed += len(ended)
        self._frames += sum(one.frames for one in ended)
        self._set_aside += sum(one.set_aside for one in ended)
        self._bytes += sum(one.size for one in ended)
        if self._shares.all_known and self._parsed == len(self.calculations):
            self._last.set()
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        self.meter.parsing(
            self._parsed,
            self._frames + sum(report.at_frames for report in self.reports),
            self._set_aside + sum(report.at_failed for report in self.reports),
            min(
                1.0, (self._bytes + sum(report.at_bytes for report in self.reports)) / max(1, self._shares.total_bytes)
            ),
        )

    def _asked(self, one: Calculation, multi: bool) -> dict[str, object]:
        return {
            "number": one.number,
            "format": one.format,
            "files": one.files,
            "options": one.options,
            "multi": multi,
            "theory": sampled(one.number),
        }

    def _died(self, ending: Ending, report: Report, left: list[Calculation]) -> None:
        """Set aside the calculation at which a child died, and leave the others to the next one."""
        current = blame(ending, report.at, left)
        report.at_frames = report.at_failed = report.at_bytes = 0
        self._count([current])
        self._deaths += 1
        if self._deaths > self.settings.max_parser_deaths:
            failures = [one.failure for one in self.calculations if one.failure is not None]
            reason = (
                f"reading more than {self.settings.max_parser_deaths} calculations had to be ended; the first is"
                f" {failures[0].path}: {failures[0].reason}"
            )
            remedy = f"Repair or leave out what failed, and upload again. {failures[0].remedy}"
            raise Rejected("too-many-failed", reason, remedy, failures)
        self._shares.back([one for one in left if one is not current])


def blame_ourselves(ending: Ending) -> None:
    """Raises IngestBroken for what no archive can cause."""
    for sign in ("No space left on device", "Disk quota exceeded", "ConfinementFailed"):
        if sign in ending.stderr:
            raise IngestBroken(f"{ending.why}: {ending.stderr[-500:]}")


def blame(ending: Ending, at: int | None, left: Sequence[Calculation]) -> Calculation:
    """The calculation at which a child died, set aside; without one, the child itself is broken."""
    blame_ourselves(ending)
    current = next((one for one in left if one.number == at), None)
    if current is None:
        raise IngestBroken(f"a parsing child ended before it began: {ending.why}; {ending.stderr[-500:]}")
    remedies = {
        "timed-out": "Split it into smaller files, or leave it out.",
        "stalled": "Check that the file is complete and of that format, or leave it out.",
        "too-much-memory": "Split it into smaller files.",
        "too-much-output": "Split it into smaller files.",
        "crashed": "Check that the file is complete and of that format, or leave it out.",
    }
    rule = ending.rule or "crashed"
    current.fails(rule, f"reading it was ended: {ending.why}", remedies[rule])
    log.warning("parser-died", path=current.path, rule=rule, why=ending.why)
    return current


def _all_answered(left: Iterable[Calculation]) -> None:
    """A child that ended well answered for everything; if not, what it wrote is not to be trusted."""
    for one in left:
        one.fails("crashed", "the parser gave no answer for it", "Check that the file is complete.")

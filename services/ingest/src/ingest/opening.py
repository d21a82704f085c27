"""Opens one archive in a confined child: its calculations as soon as they are known, the rest while they are parsed."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from contracts.base import Detection, LevelOfTheory, SetAside
from pydantic import ValidationError

from ingest.confinement.children import Children, Feed, Job
from ingest.confinement.kernel import Limits
from ingest.domain import DETECT, Calculation, Catalogue, Format, IngestBroken, Rejected, no_calculation, note
from ingest.parsing import blame_ourselves
from ingest.progress import Meter
from ingest.report import Lines, from_child
from ingest.settings import MEBIBYTE, IngestSettings

LIGHT_IMPORTS = ("ingest.confined.opening", "ingest.confined.assembling", "ingest.confined.sharing")
_OTHER_FORMATS_NOTED = 20
_LONGEST_SENTENCE = 500
_LARGEST_FINDING = 512 * MEBIBYTE
_LOOK_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Request:
    """One archive on disk and what its contributor said about it."""

    archive: Path
    filename: str
    format: str
    declared: LevelOfTheory | None


@dataclass(frozen=True, slots=True)
class Found:
    """What an archive holds besides its calculations. `private`: files of the tree that must not be passed on."""

    format: str
    notes: list[SetAside]
    private: list[str]
    detection: Detection | None


@dataclass
class Opening:
    """One archive's, into `work`/tree. Within `running`: `calculations` until there are no more, then `found`."""

    children: Children
    catalogue: Catalogue
    settings: IngestSettings
    request: Request
    chosen: Format | None
    work: Path
    meter: Meter
    _batches: asyncio.Queue[list[Calculation]] = field(default_factory=asyncio.Queue, init=False)
    _found: list[Calculation] = field(default_factory=list, init=False)
    _all: bool = field(default=False, init=False)
    _looking: threading.Lock = field(default_factory=threading.Lock, init=False)
    _task: asyncio.Task[None] = field(init=False)

    def __post_init__(self) -> None:
        self._report = Lines(self.work / "opening.jsonl")
        self._listed, self._answered = Lines(self.work / "calculations.jsonl"), self.work / "found.json"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """The child ends with the block."""
        self._task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def calculations(self) -> list[Calculation]:
        """The next ones, in the order in which they are found; none when there are no more.

        Raises Rejected when there is not one, or the archive cannot be opened.
        """
        found = await self._batches.get()
        if not found and not self._found:
            await self._none()
        return found

    async def found(self) -> Found:
        """When the child has ended. Raises Rejected."""
        said = await self._answer()
        name = self._found[0].format
        notes = _notes(said)
        if self.chosen is None:
            notes += _other_formats(name, said["detected"], self._found)
        return Found(name, notes, [str(one) for one in said["private"]], _detection(said["detection"]))

    async def _none(self) -> None:
        said = await self._answer()
        info = self.chosen.info if self.chosen else None
        name = info.name if info else DETECT
        rejected = no_calculation(name, info, said["detected"], said["summary"], _detection(said["detection"]))
        rejected.set_aside = tuple(_notes(said))
        raise rejected

    async def _answer(self) -> dict[str, Any]:
        await self._task
        said = await asyncio.to_thread(read_answer, self._answered, _LARGEST_FINDING)
        raise_refused(said)
        return said

    async def _run(self) -> None:
        try:
            ending = await self.children.run(self._job(), self._hear)
            await self._look()
        finally:
            self._batches.put_nowait([])
        if not ending.well:
            blame_ourselves(ending)
            raise unreadable(self.request.filename, ending.why)

    def _job(self) -> Job:
        settings, request = self.settings, self.request
        tree = self.work / "tree"
        tree.mkdir()
        arguments = {
            **unpacking(request.archive, request.filename, tree, settings),
            "format": self.chosen.info.name if self.chosen else DETECT,
            "catalogue": [one.model_dump(include={"name", "reads", "names"}) for one in self.catalogue.infos()],
        }
        memory, largest = settings.child_memory_mib * MEBIBYTE, settings.max_unpacked_bytes
        return Job(
            "ingest.confined.opening:run",
            arguments,
            Limits(memory, settings.child_cpu_seconds, largest),
            settings.child_wall_seconds,
            inputs=(request.archive,),
            outputs=(self._report.path, self._listed.path, self._answered),
            writable=tree,
            imports=LIGHT_IMPORTS,
        )

    async def _hear(self, feed: Feed) -> None:
        """How far it is, and which calculations there are, until it has told all."""
        while not self._all:
            await feed.heard(_LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        await asyncio.to_thread(self._new, asyncio.get_running_loop())

    def _new(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread, which goes on when nobody waits for it any more: one look after another, and none is lost."""
        with self._looking:
            for _, said in self._report.new():
                step, files = said.get("step"), said.get("files")
                if isinstance(files, int) and files >= 0:
                    self.meter.step("finding" if step == "finding" else "unpacking", files)
                self._all |= step == "found"
            if self._listed.path.exists() and self._listed.path.stat().st_size > _LARGEST_FINDING:
                raise IngestBroken(f"{self._listed.path.name} has more bytes than a child may answer")
            told = [(said["format"], one) for _, said in self._listed.new() for one in said["calculations"]]
            found = [
                Calculation(number, one["path"], name, tuple(one["files"]), one["options"], int(one["size"]))
                for number, (name, one) in enumerate(told, len(self._found))
            ]
            self._found += found
            if found:
                loop.call_soon_threadsafe(self._batches.put_nowait, found)
            if self._all:
                loop.call_soon_threadsafe(self._batches.put_nowait, [])


def unpacking(archive: Path, filename: str, tree: Path, settings: IngestSettings) -> dict[str, Any]:
    """Arguments of every child that extracts an archive into `tree`."""
    return {
        "tree": str(tree),
        "archive_bytes": archive.stat().st_size,
        "filename": Path(filename.replace("\\", "/")).name or "upload",
        "limits": {
            "max_members": settings.max_members,
            "max_bytes": settings.max_unpacked_bytes,
            "max_ratio": settings.max_expansion_ratio,
            "ratio_from_bytes": settings.expansion_ratio_from_bytes,
        },
    }


def raise_refused(said: dict[str, Any]) -> None:
    """Raises Rejected when a child that extracted an archive gave it up."""
    if refused := said.get("refused"):
        raise Rejected(refused["rule"], refused["reason"], refused["remedy"])


def unreadable(filename: str, why: str | None) -> Rejected:
    """Of an archive whose child died."""
    reason = f"{filename} cannot be unpacked: {why}"
    return Rejected("archive-unreadable", reason, "Pack it again as zip or tar.gz and upload it.")


def read_answer(path: Path, largest: int) -> dict[str, Any]:
    """What a child wrote there, at most so many bytes. Raises IngestBroken."""
    if path.stat().st_size > largest:
        raise IngestBroken(f"{path.name} has {path.stat().st_size} bytes, more than a child may answer")
    said = from_child(path.read_bytes())
    if not isinstance(said, dict):
        raise IngestBroken(f"{path.name} is not an object")
    return said


def _notes(said: dict[str, Any]) -> list[SetAside]:
    return [note(one["path"], None, one["rule"], one["reason"], one["remedy"]) for one in said["notes"]]


def _detection(said: Any) -> Detection | None:
    """What a child that saw strangers' files says they look like: bounded in length, whatever it was."""
    if said is None:
        return None
    try:
        return Detection.model_validate(said | {"sentence": str(said["sentence"])[:_LONGEST_SENTENCE]})
    except (TypeError, KeyError, ValidationError) as error:
        raise IngestBroken(f"the detection of a child is not valid: {error}") from error


def _other_formats(name: str, detected: dict[str, list[str]], calculations: list[Calculation]) -> list[SetAside]:
    """What else 'detect' saw, except next to a calculation that is read (a vasprun.xml by its OUTCAR)."""
    used = {str(Path(one.path).parent) for one in calculations}
    remedy = "Upload it as a dataset of its own, or name its format instead of 'detect'."
    return [
        note(path, None, "other-format", f"looks like {other}, while the dataset was read as {name}", remedy)
        for other, paths in detected.items()
        if other != name
        for path in paths
        if str(Path(path).parent) not in used
    ][:_OTHER_FORMATS_NOTED]

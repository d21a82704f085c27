"""Drives the confined children over one archive: open → parse in parallel → assemble."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.artifacts import FormatInfo
from contracts.base import Detection, LevelOfTheory, SetAside
from kit.logs import get_logger
from opentelemetry import trace
from pydantic import ValidationError

from ingest.confined.theory import merged
from ingest.confinement.children import Children, Ending, Job
from ingest.confinement.kernel import Limits
from ingest.domain import (
    DETECT,
    Calculation,
    Catalogue,
    Format,
    IngestBroken,
    Prepared,
    Rejected,
    Summary,
    judge,
    level_of_theory,
    no_calculation,
    note,
    shares,
)
from ingest.report import apply_report
from ingest.settings import MEBIBYTE, IngestSettings

log = get_logger(__name__)
tracer = trace.get_tracer("ingest")

PARSER_IMPORTS = ("ingest.confined.reading",)
LIGHT_IMPORTS = ("ingest.confined.opening", "ingest.confined.assembling")
_OTHER_FORMATS_NOTED = 20
_LARGEST_FINDING = 256 * MEBIBYTE
_LARGEST_SUMMARY = 64 * MEBIBYTE
_THEORY_SAMPLES = 200
_LONGEST_SENTENCE = 500


@dataclass(frozen=True, slots=True)
class Request:
    """One archive on disk and what its contributor said about it."""

    archive: Path
    filename: str
    format: str
    declared: LevelOfTheory | None


@dataclass(frozen=True, slots=True)
class _Found:
    format: str
    calculations: list[Calculation]
    notes: list[SetAside]
    detection: Detection | None


@dataclass(frozen=True, slots=True)
class Engine:
    """One for a service; `prepare` may run several times at once, each in a folder of its own."""

    settings: IngestSettings
    children: Children
    catalogue: Catalogue

    async def prepare(self, request: Request, work: Path) -> Prepared:
        """Raises Rejected with what to tell the contributor, IngestBroken when our own side failed."""
        chosen = self.catalogue.named(request.format)
        if chosen is None and request.format != DETECT:
            known = ", ".join(info.name for info in self.catalogue.infos())
            reason = f"there is no format {request.format!r} that labeled data can be read from"
            raise Rejected("unknown-format", reason, f"Choose one of: detect, {known}.")
        with tracer.start_as_current_span("ingest.open"):
            found = await self._open(request, chosen, work)
        # The next light child starts while parsers work.
        await self.children.prepare()
        with tracer.start_as_current_span("ingest.parse"):
            spools = await self._parse(found, work)
        judge(found.calculations, found.notes, self.settings.max_failed_fraction)
        with tracer.start_as_current_span("ingest.assemble"):
            summary = await self._assemble(found.calculations, spools, work)
        said = merged([one.theory for one in found.calculations if one.theory])
        train = work / "dataset/train.lmdb/data.mdb"
        return Prepared(
            summary=summary,
            train=train if summary.train_frames else None,
            held_out=work / "dataset/held-out.lmdb/data.mdb",
            format=found.format,
            level_of_theory=level_of_theory(said, request.declared),
            set_aside=(*found.notes, *(entry for one in found.calculations for entry in one.set_aside)),
            versions=self.catalogue.versions,
            detection=found.detection,
        )

    async def _open(self, request: Request, chosen: Format | None, work: Path) -> _Found:
        settings = self.settings
        tree = work / "tree"
        tree.mkdir()
        answer = work / "found.json"
        size = request.archive.stat().st_size
        arguments = {
            "tree": str(tree),
            "archive_bytes": size,
            "filename": Path(request.filename.replace("\\", "/")).name or "upload",
            "format": chosen.info.name if chosen else DETECT,
            "catalogue": [one.model_dump(include={"name", "reads", "names"}) for one in self.catalogue.infos()],
            "limits": {
                "max_members": settings.max_members,
                "max_bytes": settings.max_unpacked_bytes,
                "max_ratio": settings.max_expansion_ratio,
                "ratio_from_bytes": settings.expansion_ratio_from_bytes,
            },
        }
        job = Job(
            "ingest.confined.opening:run",
            arguments,
            self._limits(settings.max_unpacked_bytes),
            settings.child_wall_seconds,
            inputs=(request.archive,),
            outputs=(answer,),
            writable=tree,
            imports=LIGHT_IMPORTS,
        )
        ending = await self.children.run(job)
        if not ending.well:
            _blame_ourselves(ending)
            reason = f"{request.filename} cannot be unpacked: {ending.why}"
            raise Rejected("archive-unreadable", reason, "Pack it again as zip or tar.gz and upload it.")
        return await asyncio.to_thread(self._found, answer, chosen, tree)

    def _found(self, path: Path, chosen: Format | None, tree: Path) -> _Found:
        answer = _answer(path, _LARGEST_FINDING)
        if refused := answer.get("refused"):
            raise Rejected(refused["rule"], refused["reason"], refused["remedy"])
        notes = [note(one["path"], None, one["rule"], one["reason"], one["remedy"]) for one in answer["notes"]]
        name = answer["format"]
        calculations = [
            Calculation(number, one["path"], name, tuple(one["files"]), one["options"], _size(tree, one["files"]))
            for number, one in enumerate(answer["calculations"])
        ]
        detected: dict[str, list[str]] = answer["detected"]
        detection = _detection(answer["detection"])
        if not calculations:
            info = chosen.info if chosen else None
            rejected = no_calculation(name, info, detected, answer["summary"], detection)
            rejected.set_aside = tuple(notes)
            raise rejected
        if chosen is None:
            notes += _other_formats(name, detected, calculations)
        return _Found(name, calculations, notes, detection)

    async def _parse(self, found: _Found, work: Path) -> list[Path]:
        """Parse every calculation; returns the spools. A child that dies costs the calculation it was at."""
        dealt = shares(found.calculations, self.settings.parallel_parsers, self.settings.bytes_per_parser)
        spools: list[Path] = []
        try:
            async with asyncio.TaskGroup() as group:
                for share in dealt:
                    group.create_task(self._parse_share(share, len(found.calculations), work, spools))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return spools

    async def _parse_share(self, share: list[Calculation], total: int, work: Path, spools: list[Path]) -> None:
        settings = self.settings
        while left := [one for one in share if not one.done]:
            number = len(spools)
            report, spool = work / f"report-{number}.jsonl", work / f"spool-{number}"
            spools.append(spool)
            one = self.catalogue.named(left[0].format)
            arguments = {
                "tree": str(work / "tree"),
                "theory_every": max(1, total // _THEORY_SAMPLES),
                "calculations": [
                    {
                        "number": each.number,
                        "format": each.format,
                        "files": each.files,
                        "options": each.options,
                        "multi": one is not None and one.multi,
                    }
                    for each in left
                ],
            }
            job = Job(
                "ingest.confined.reading:parse",
                arguments,
                self._limits(settings.max_spool_bytes),
                settings.child_wall_seconds,
                settings.calculation_seconds,
                outputs=(report, spool),
                readable=(work / "tree",),
                imports=PARSER_IMPORTS,
            )
            ending = await self.children.run(job)
            at = await asyncio.to_thread(apply_report, report, number, {each.number: each for each in left})
            if ending.well:
                _all_answered(left)
            else:
                _blame(ending, at, left)

    async def _assemble(self, calculations: Sequence[Calculation], spools: list[Path], work: Path) -> Summary:
        folder, answer = work / "dataset", work / "summary.json"
        folder.mkdir()
        parts = [
            {"spool": one.spool[0], "start": one.spool[1], "end": one.spool[2], "path": one.path}
            for one in calculations
            if one.spool is not None and one.frames
        ]
        size = sum(path.stat().st_size for path in spools)
        limits = self._limits(2 * size + 64 * MEBIBYTE)
        job = Job(
            "ingest.confined.assembling:run",
            {"parts": parts, "folder": str(folder)},
            # LMDB maps its whole file, doubling as it grows.
            Limits(limits.memory_bytes + 6 * size, limits.cpu_seconds, limits.file_bytes),
            self.settings.child_wall_seconds,
            inputs=spools,
            outputs=(answer,),
            writable=folder,
            imports=LIGHT_IMPORTS,
        )
        ending = await self.children.run(job)
        if not ending.well:
            raise IngestBroken(f"assembling {work.name} failed: {ending.why}; {ending.stderr}")
        try:
            return Summary.model_validate(_answer(answer, _LARGEST_SUMMARY))
        except ValidationError as error:
            raise IngestBroken(f"the summary of {work.name} is not valid: {error}") from error

    def _limits(self, file_bytes: int) -> Limits:
        settings = self.settings
        return Limits(settings.child_memory_mib * MEBIBYTE, settings.child_cpu_seconds, file_bytes)


async def read_catalogue(children: Children, settings: IngestSettings, work: Path) -> Catalogue:
    """Ask dpdata in a child which formats there are. Raises IngestBroken, e.g. when children cannot be confined."""
    answer = work / "catalogue.json"
    answer.unlink(missing_ok=True)
    limits = Limits(settings.child_memory_mib * MEBIBYTE, settings.child_cpu_seconds, MEBIBYTE)
    job = Job("ingest.confined.catalogue:write", {}, limits, settings.child_wall_seconds, outputs=(answer,))
    ending = await children.run(job)
    if not ending.well:
        raise IngestBroken(f"a confined child could not ask dpdata for its formats: {ending.why}\n{ending.stderr}")
    told = _answer(answer, MEBIBYTE)
    log.info("children-confined", walls=told["walls"])
    formats = tuple(Format(FormatInfo.model_validate(one), bool(one["multi"])) for one in told["formats"])
    return Catalogue(told["versions"], formats)


def _answer(path: Path, largest: int) -> dict[str, Any]:
    if path.stat().st_size > largest:
        raise IngestBroken(f"{path.name} has {path.stat().st_size} bytes, more than a child may answer")
    answer = json.loads(path.read_bytes())
    if not isinstance(answer, dict):
        raise IngestBroken(f"{path.name} is not an object")
    return answer


def _detection(said: Any) -> Detection | None:
    """What a child that saw strangers' files says they look like: bounded in length, whatever it was."""
    if said is None:
        return None
    try:
        return Detection.model_validate(said | {"sentence": str(said["sentence"])[:_LONGEST_SENTENCE]})
    except (TypeError, KeyError, ValidationError) as error:
        raise IngestBroken(f"the detection of a child is not valid: {error}") from error


def _size(tree: Path, files: Sequence[str]) -> int:
    """Bytes to parse; of a folder, its own files."""
    paths = [tree / file for file in files]
    return sum(
        one.stat().st_size for path in paths for one in ([path] if path.is_file() else path.glob("*")) if one.is_file()
    )


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


def _blame_ourselves(ending: Ending) -> None:
    """Raises IngestBroken for what no archive can cause."""
    for sign in ("No space left on device", "Disk quota exceeded", "ConfinementFailed"):
        if sign in ending.stderr:
            raise IngestBroken(f"{ending.why}: {ending.stderr[-500:]}")


def _blame(ending: Ending, at: int | None, left: Sequence[Calculation]) -> None:
    """Set aside the calculation at which a child died; without one, the child itself is broken."""
    _blame_ourselves(ending)
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


def _all_answered(left: Sequence[Calculation]) -> None:
    """A child that ended well answered for everything; if not, what it wrote is not to be trusted."""
    for one in left:
        if not one.done:
            one.fails("crashed", "the parser gave no answer for it", "Check that the file is complete.")

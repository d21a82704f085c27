"""Drives the confined children over one archive: open → parse in parallel → assemble."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from contracts.artifacts import FormatInfo
from contracts.base import ScfCounts
from frames.hashing import HASH_BYTES, HashArray
from kit.logs import get_logger
from opentelemetry import trace
from pydantic import ValidationError

from ingest.confined.theory import merged
from ingest.confinement.children import Children, Job
from ingest.confinement.kernel import Limits
from ingest.domain import (
    DETECT,
    Calculation,
    Catalogue,
    Download,
    Format,
    IngestBroken,
    Prepared,
    Rejected,
    Summary,
    Tell,
    judge,
)
from ingest.opening import LIGHT_IMPORTS, Found, Opening, Request, read_answer
from ingest.parsing import PARSER_IMPORTS, Parsing
from ingest.progress import Meter, looking, silent
from ingest.report import Lines, Report, listed
from ingest.selecting import Ask, Selection, nothing_known, select
from ingest.settings import MEBIBYTE, IngestSettings
from ingest.sharing import share
from ingest.theories import level_of_theory, mismatches

log = get_logger(__name__)
tracer = trace.get_tracer("ingest")

__all__ = ["LIGHT_IMPORTS", "PARSER_IMPORTS", "Engine", "Request", "read_catalogue"]

# A record takes whole pages when it is long, and counts the atoms of every element.
_LMDB_BYTES_A_FRAME = 8192
_LARGEST_SUMMARY = 64 * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Engine:
    """One for a service; `prepare` may run several times at once, each in a folder of its own."""

    settings: IngestSettings
    children: Children
    catalogue: Catalogue

    async def prepare(self, request: Request, work: Path, tell: Tell = silent, ask: Ask = nothing_known) -> Prepared:
        """Raises Rejected with what to tell the contributor, IngestBroken when our own side failed.

        tell: called from several threads with how far it is; ask: what other datasets say about the frames.
        """
        chosen = self.catalogue.named(request.format)
        if chosen is None and request.format != DETECT:
            known = ", ".join(info.name for info in self.catalogue.infos())
            reason = f"there is no format {request.format!r} that labeled data can be read from"
            raise Rejected("unknown-format", reason, f"Choose one of: detect, {known}.")
        meter = Meter(tell)
        opening = Opening(self.children, self.catalogue, self.settings, request, chosen, work, meter)
        async with opening.running():
            with tracer.start_as_current_span("ingest.open"):
                first = await opening.calculations()
            parsing = Parsing(self.children, self.catalogue, self.settings, work, opening.calculations, meter)
            async with parsing.running(first):
                found = await opening.found()
                if found.private:
                    # Packing takes the light child that assembling would; otherwise nothing competes with the parsers.
                    await self.children.prepare()
                packing = asyncio.create_task(share(self.children, self.settings, found.private, work))
                try:
                    return await self._prepare(request, found, parsing, ask, packing)
                finally:
                    packing.cancel()
                    await asyncio.gather(packing, return_exceptions=True)

    async def _prepare(
        self, request: Request, found: Found, parsing: Parsing, ask: Ask, packing: asyncio.Task[Download | None]
    ) -> Prepared:
        calculations, work, meter = parsing.calculations, parsing.work, parsing.meter
        with tracer.start_as_current_span("ingest.parse"):
            await parsing.done()
        reports = parsing.reports
        paths = {report.spool: report.path for report in reports}
        set_aside = await asyncio.to_thread(listed, calculations, paths, self.settings.set_aside_kept)
        judge(calculations, found.notes, set_aside, self.settings.max_failed_fraction)
        with tracer.start_as_current_span("ingest.assemble"):
            meter.step("assembling")
            selection = await select(await asyncio.to_thread(_hashes, calculations, reports), ask)
            summary = await self._assemble(parsing, selection)
            await parsing.ended()
        said = merged([one.theory for one in calculations if one.theory])
        return Prepared(
            summary=summary,
            selection=selection,
            train=work / "dataset/train.lmdb/data.mdb" if selection.train_frames else None,
            held_out=work / "dataset/held-out.lmdb/data.mdb",
            format=found.format,
            level_of_theory=level_of_theory(said, request.declared),
            theory_mismatches=mismatches(said, request.declared),
            set_aside=(*found.notes, *set_aside),
            set_aside_count=len(found.notes) + sum(one.set_aside for one in calculations),
            scf=ScfCounts(
                converged=summary.converged_frames,
                unconverged=sum(one.unconverged for one in calculations),
                unknown=selection.frames - summary.converged_frames,
            ),
            detection=found.detection,
            versions=self.catalogue.versions,
            download=await packing,
        )

    async def _assemble(self, parsing: Parsing, selection: Selection) -> Summary:
        calculations, work, meter = parsing.calculations, parsing.work, parsing.meter
        folder, answer, marks = work / "dataset", work / "summary.json", work / "marks"
        folder.mkdir()
        marks.write_bytes(selection.marks)
        report = Lines(work / "assembling.jsonl")
        parts = [
            {"spool": at.spool, "start": at.start, "end": at.end, "frames": one.frames, "path": one.path}
            for one in calculations
            if (at := one.spool) is not None and one.frames
        ]
        spools = [one.spooled[0] for one in parsing.reports]
        size = sum(path.stat().st_size for path in spools)
        limits = self._limits(2 * size + _LMDB_BYTES_A_FRAME * selection.frames + 64 * MEBIBYTE)
        job = Job(
            "ingest.confined.assembling:run",
            {
                "parts": parts,
                "folder": str(folder),
                "largest_force": max(one.largest_force for one in calculations),
            },
            # LMDB maps its whole files, doubling as they grow.
            Limits(limits.memory_bytes + 3 * limits.file_bytes, limits.cpu_seconds, limits.file_bytes),
            self.settings.child_wall_seconds,
            inputs=(marks, *spools),
            outputs=(report.path, answer),
            writable=folder,
            imports=LIGHT_IMPORTS,
        )
        async with looking(lambda: _note_assembling(report, meter, selection.frames)):
            ending = await self.children.run(job, lambda _: _begun(parsing))
        if not ending.well:
            raise IngestBroken(f"assembling {work.name} failed: {ending.why}; {ending.stderr}")
        try:
            return Summary.model_validate(read_answer(answer, _LARGEST_SUMMARY))
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
    told = read_answer(answer, MEBIBYTE)
    log.info("children-confined", walls=told["walls"])
    formats = tuple(Format(FormatInfo.model_validate(one), bool(one["multi"])) for one in told["formats"])
    return Catalogue(told["versions"], formats)


def _hashes(calculations: Sequence[Calculation], reports: Sequence[Report]) -> HashArray:
    """Of every frame that was read, in the order of the calculations."""
    files = []
    for report in reports:
        read = np.fromfile(report.spooled[1], dtype=np.uint8)
        files.append(read[: len(read) // HASH_BYTES * HASH_BYTES].reshape(-1, HASH_BYTES))
    places = ((one.spool, one.frames) for one in calculations if one.frames)
    return np.concatenate([files[at.spool][at.first : at.first + frames] for at, frames in places if at is not None])


async def _begun(parsing: Parsing) -> None:
    parsing.let_go()


def _note_assembling(report: Lines, meter: Meter, frames: int) -> None:
    for _, said in report.new():
        done = said.get("frames")
        if isinstance(done, int) and 0 <= done <= frames:
            meter.assembling(done / frames)

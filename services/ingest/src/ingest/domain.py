"""Rules of ingest and what its stages hand to each other. No files, no processes, no broker."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from contracts.artifacts import CompositionCount, FormatInfo, Histogram, PreviewStructure
from contracts.base import Detection, ElementCount, Frozen, LevelOfTheory, ScfCounts, SetAside, TheoryMismatch
from pydantic import Field

from ingest.selecting import Selection

DETECT = "detect"
_LONGEST_REASON = 500


class Rejected(Exception):
    """Nothing usable in the archive; what the contributor is told."""

    def __init__(self, rule: str, reason: str, remedy: str, set_aside: Sequence[SetAside] = ()) -> None:
        super().__init__(reason)
        self.rule, self.reason, self.remedy = rule, reason, remedy
        self.set_aside = tuple(set_aside)


class IngestBroken(RuntimeError):
    """Our own side failed (disk full, a child that could not be confined): to be tried again, not told."""


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the catalogue as the engine needs it."""

    info: FormatInfo
    multi: bool


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every labeled format of dpdata, by canonical name and alias."""

    versions: dict[str, str]
    formats: tuple[Format, ...]

    def named(self, name: str) -> Format | None:
        return next((one for one in self.formats if name == one.info.name or name in one.info.aliases), None)

    def infos(self) -> tuple[FormatInfo, ...]:
        return tuple(one.info for one in self.formats)


class Spooled(NamedTuple):
    """Where the frames of a calculation lie: number of the spool, first and last byte, first row of its hashes."""

    spool: int
    start: int
    end: int
    first: int


@dataclass(slots=True)
class Calculation:
    """One calculation and what came of it.

    size     bytes to read
    said     where its child listed what it set aside: number of the report, byte in it; `listed` entries
    failure  what there is to say when its child said nothing
    """

    number: int
    path: str
    format: str
    files: tuple[str, ...]
    options: dict[str, str]
    size: int = 0
    done: bool = False
    failed: bool = False
    frames: int = 0
    frames_failed: int = 0
    unconverged: int = 0
    largest_force: float = 0.0
    spool: Spooled | None = None
    theory: dict[str, str | float] = field(default_factory=dict)
    said: tuple[int, int] | None = None
    listed: int = 0
    failure: SetAside | None = None

    def fails(self, rule: str, reason: str, remedy: str) -> None:
        self.done = self.failed = True
        self.failure = note(self.path, None, rule, reason, remedy)

    @property
    def set_aside(self) -> int:
        """How many things were set aside: frames, or the whole, or what a parser left out."""
        return max(self.listed, self.frames_failed + self.failed)


class Summary(Frozen):
    """What assembling found; written by a confined child and so checked field by field."""

    atoms: int = Field(ge=1)
    elements: tuple[str, ...]
    element_pairs: tuple[str, ...] = ()
    compositions: tuple[CompositionCount, ...]
    virial_frames: int = Field(ge=0)
    converged_frames: int = Field(default=0, ge=0)
    energy_per_atom_ev: Histogram
    force_component_ev_per_angstrom: Histogram
    preview: tuple[PreviewStructure, ...]
    element_counts: tuple[ElementCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Download:
    """The archive without what must not be passed on. `removed`: members that it lacks."""

    archive: Path
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed dataset on disk. `set_aside` lists the first ones of `set_aside_count`."""

    summary: Summary
    selection: Selection
    train: Path | None
    held_out: Path
    format: str
    level_of_theory: LevelOfTheory
    set_aside: tuple[SetAside, ...]
    set_aside_count: int
    versions: dict[str, str]
    scf: ScfCounts = field(default_factory=ScfCounts)
    theory_mismatches: tuple[TheoryMismatch, ...] = ()
    detection: Detection | None = None
    download: Download | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far reading is. `eta_seconds`: none while nothing can be said."""

    step: Literal["unpacking", "finding", "parsing", "assembling"] = "unpacking"
    files: int = 0
    calculations: int = 0
    parsed: int = 0
    frames: int = 0
    set_aside: int = 0
    eta_seconds: float | None = None


Tell = Callable[[Progress], None]


def too_large(filename: str, size: int, most: int) -> Rejected:
    """Of an archive of more bytes than are read."""
    reason = f"{filename} has {size / 1e9:.2f} GB; {most / 1e9:.2f} GB fit"
    return Rejected("archive-too-large", reason, "Upload the calculations in several datasets.")


def note(path: str, frame: int | None, rule: Any, reason: Any, remedy: Any) -> SetAside:
    """A set-aside entry from what a child said: bounded in length, whatever it was."""
    texts = [str(text)[:_LONGEST_REASON] for text in (rule, reason, remedy)]
    return SetAside(path=path, frame=frame, rule=texts[0], reason=texts[1], remedy=texts[2])


def judge(
    calculations: Sequence[Calculation],
    notes: Sequence[SetAside],
    listed: Sequence[SetAside],
    max_failed_fraction: float,
) -> None:
    """Raises Rejected when nothing is left, or more failed than a dataset may lose.

    notes, listed: what was set aside, in order: before there were calculations, and of calculations.
    """
    set_aside = (*notes, *listed)
    frames = sum(one.frames for one in calculations)
    # A trajectory that breaks off has lost its end, not itself.
    failed = sum(one.failed and not one.frames for one in calculations)
    if frames == 0:
        if not listed:
            raise Rejected("nothing-readable", "no frame could be read", "Check the files.", set_aside)
        first = listed[0]
        reason = f"none of the {len(calculations)} calculations could be read; {first.path}: {first.reason}"
        if len(calculations) == 1:
            reason = f"{first.path} could not be read: {first.reason}"
        raise Rejected("nothing-readable", reason, first.remedy, set_aside)
    bad_frames = sum(one.frames_failed for one in calculations)
    for share, count, of, what in (
        (failed / len(calculations), failed, len(calculations), "calculations"),
        (bad_frames / (frames + bad_frames), bad_frames, frames + bad_frames, "frames"),
    ):
        if share > max_failed_fraction:
            first = listed[0]
            reason = (
                f"{count} of {of} {what} failed, more than {max_failed_fraction:.0%}; the first is {first.path}:"
                f" {first.reason}"
            )
            remedy = f"Repair or leave out what failed, and upload again. {first.remedy}"
            raise Rejected("too-many-failed", reason, remedy, set_aside)


def no_calculation(
    chosen: str,
    info: FormatInfo | None,
    detected: dict[str, list[str]],
    summary: str,
    detection: Detection | None = None,
) -> Rejected:
    """The message for an archive in which there is nothing of the chosen format."""
    others = {name: paths for name, paths in detected.items() if name != chosen}
    if info is not None and others:
        name, paths = next(iter(others.items()))
        reason = f"no {chosen} calculation is in the archive; {paths[0]} looks like {name}"
        if detection is not None:
            reason += f". {detection.sentence}"
        remedy = f"Upload the archive again with the format {name}, or with 'detect'."
        return Rejected("wrong-format", reason, remedy)
    if info is not None:
        expects = {"file": "a file", "folder": "a folder", "files": "files together"}[info.reads]
        usual = f", usually named {', '.join(info.names)}" if info.names else ""
        example = f" (e.g. {info.example})" if info.example else ""
        reason = f"no {chosen} calculation is in the archive: it holds {summary}"
        remedy = (
            f"{chosen} wants {expects} for each calculation{usual}{example}. Pack the folder that holds"
            " them, or choose the format that your files have."
        )
        return Rejected("no-calculation", reason, remedy)
    reason = f"no calculation was recognised in the archive: it holds {summary}"
    remedy = (
        "Pack the outputs of your calculations as the program wrote them (e.g. OUTCAR; scf.in with scf.out;"
        " a CP2K folder; extxyz with energy and forces), or name the format instead of 'detect'."
    )
    return Rejected("no-calculation", reason, remedy)

"""Rules of ingest and what its stages hand to each other. No files, no processes, no broker."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.artifacts import CompositionCount, FormatInfo, Histogram, PreviewStructure
from contracts.base import Detection, Frozen, LevelOfTheory, SetAside, Sha256
from pydantic import Field

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


@dataclass(slots=True)
class Calculation:
    """One calculation and what came of it. `spool` is (file number, start, end)."""

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
    spool: tuple[int, int, int] | None = None
    theory: dict[str, str | float] = field(default_factory=dict)
    set_aside: list[SetAside] = field(default_factory=list)

    def fails(self, rule: str, reason: str, remedy: str) -> None:
        self.done = self.failed = True
        self.set_aside.insert(0, note(self.path, None, rule, reason, remedy))


class Summary(Frozen):
    """What assembling found; written by a confined child and so checked field by field."""

    content_sha256: Sha256
    frames: int = Field(ge=1)
    train_frames: int = Field(ge=0)
    held_out_frames: int = Field(ge=1)
    duplicate_frames: int = Field(ge=0)
    atoms: int = Field(ge=1)
    elements: tuple[str, ...]
    compositions: tuple[CompositionCount, ...]
    has_virial: bool
    energy_per_atom_ev: Histogram
    force_component_ev_per_angstrom: Histogram
    preview: tuple[PreviewStructure, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A parsed dataset on disk."""

    summary: Summary
    train: Path | None
    held_out: Path
    format: str
    level_of_theory: LevelOfTheory
    set_aside: tuple[SetAside, ...]
    versions: dict[str, str]
    detection: Detection | None = None


def note(path: str, frame: int | None, rule: Any, reason: Any, remedy: Any) -> SetAside:
    """A set-aside entry from what a child said: bounded in length, whatever it was."""
    texts = [str(text)[:_LONGEST_REASON] for text in (rule, reason, remedy)]
    return SetAside(path=path, frame=frame, rule=texts[0], reason=texts[1], remedy=texts[2])


def judge(calculations: Sequence[Calculation], notes: Sequence[SetAside], max_failed_fraction: float) -> None:
    """Raises Rejected when nothing is left, or more failed than a dataset may lose."""
    set_aside = [*notes, *(entry for one in calculations for entry in one.set_aside)]
    frames = sum(one.frames for one in calculations)
    failed = sum(one.failed for one in calculations)
    if frames == 0:
        first = next((entry for one in calculations for entry in one.set_aside), None)
        if first is None:
            raise Rejected("nothing-readable", "no frame could be read", "Check the files.", set_aside)
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
            first = set_aside[len(notes)]
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


def level_of_theory(said: dict[str, str | float], declared: LevelOfTheory | None) -> LevelOfTheory:
    """What the files tell, and where they are silent what the contributor told."""
    told = declared.model_dump(exclude_none=True) if declared is not None else {}
    known = {name: value for name, value in said.items() if name in LevelOfTheory.model_fields}
    return LevelOfTheory.model_validate(told | known)


def shares(calculations: Sequence[Calculation], parsers: int, bytes_per_parser: int) -> list[list[Calculation]]:
    """Calculations dealt to as many parsers as their size is worth, at most `parsers`; each share in order."""
    total = sum(one.size for one in calculations)
    count = max(1, min(parsers, len(calculations), -(-total // bytes_per_parser)))
    dealt: list[list[Calculation]] = [[] for _ in range(count)]
    loads = [0] * count
    for one in calculations:
        lightest = loads.index(min(loads))
        dealt[lightest].append(one)
        loads[lightest] += one.size + 1
    return dealt

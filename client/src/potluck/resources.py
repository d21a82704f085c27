"""What the server tells. Units: meV/atom for energies, meV/Å for forces, unless the name says another."""

from dataclasses import dataclass, field
from typing import Any

FINAL_STATES = frozenset({"published", "rejected", "not-passed", "withheld", "failed", "shared", "withdrawn"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A file, calculation or frame of an archive that did not join the dataset."""

    path: str
    rule: str
    reason: str
    remedy: str = ""
    frame: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the reading of an archive has come; only while it is read."""

    step: str
    files: int = 0
    calculations: int = 0
    parsed: int = 0
    frames: int = 0
    set_aside: int = 0
    eta_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What the files look like, and how sure that is: 'certain', 'likely' or 'guess'."""

    format: str
    confidence: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TheoryMismatch:
    """A field of the level of theory on which contributor and files disagree."""

    field: str
    declared: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Another dataset that holds frames of this one."""

    name: str
    frames: int
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What ingest found in the archive."""

    format: str
    frames: int
    train_frames: int
    held_out_frames: int
    duplicate_frames: int = 0
    elements: tuple[str, ...] = ()
    has_virial: bool = False
    level_of_theory: dict[str, Any] = field(default_factory=dict)
    set_aside_count: int = 0
    set_aside: tuple[SetAside, ...] = ()
    detection: Detection | None = None
    theory_mismatches: tuple[TheoryMismatch, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    standard_frames: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """The archive as it may be had; `removed`: members that were left out of it."""

    url: str
    filename: str
    size: int
    sha256: str
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """The verdict on a dataset: zero-shot errors of the current model, and the covered fraction, 0..1."""

    coverage: float
    model_version: str | None = None
    nearest_branch: str | None = None
    force_rmse_zero_shot_mev_per_angstrom: float | None = None
    energy_rmse_zero_shot_mev_per_atom: float | None = None
    new_elements: tuple[str, ...] = ()
    failed_frames: int = 0
    pictures: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Held-out errors at one step of training."""

    step: int
    energy_rmse_mev_per_atom: float
    force_rmse_mev_per_angstrom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The round that trains the dataset."""

    round_id: str
    branch: str | None = None
    state: str = ""
    attempt: int | None = None
    worker: str | None = None
    step: int | None = None
    total_steps: int | None = None
    eta_seconds: float | None = None
    curve: tuple[CurvePoint, ...] = ()
    force_rmse_after_mev_per_angstrom: float | None = None
    energy_rmse_after_mev_per_atom: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Why something stopped, and what to do."""

    reason: str
    rule: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePlace:
    """Where the dataset waits: in the line for the 'check' or for the 'train'. Seconds until the verdict."""

    position: int
    ahead: int
    line: str = "train"
    eta_low_seconds: float | None = None
    eta_high_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of the growth policy with the numbers that decided it."""

    rule: str
    passed: bool
    sentence: str = ""
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCompared:
    """One number of a report, as it was and as it came again."""

    name: str
    before: float | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """A repetition of a metric run: 'running', 'done' or 'failed'."""

    id: str
    state: str
    run_id: str = ""
    requested: str = ""
    finished: str | None = None
    same: bool | None = None
    sentence: str = ""
    outcome_before: str | None = None
    outcome_after: str | None = None
    numbers: int = 0
    largest_relative_difference: float | None = None
    differences: tuple[NumberCompared, ...] = ()
    versions_changed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldUp:
    """Something went wrong on the server's side; nothing is lost."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One version of a dataset entry, as it stands now."""

    id: str
    name: str
    stage: str
    state: str
    version: int = 1
    url: str = ""
    authors: tuple[str, ...] = ()
    licence: str = ""
    private: bool = False
    dpa: bool = True
    region: str | None = None
    withdrawn: str | None = None
    description: str = ""
    created: str = ""
    filename: str = ""
    size: int = 0
    sha256: str = ""
    verdict: str | None = None
    held_up: HeldUp | None = None
    message: Message | None = None
    queue: QueuePlace | None = None
    reading: Progress | None = None
    ingest: Reading | None = None
    download: Download | None = None
    frame_files: tuple[Download, ...] = ()
    metric: Metric | None = None
    training: Training | None = None
    model: str | None = None
    growth: tuple[Rule, ...] | None = None

    @property
    def finished(self) -> bool:
        """Nothing more will happen to it by itself."""
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPage:
    """One page of the list of datasets, and how many there are."""

    datasets: tuple[Dataset, ...]
    pages: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file of a published model, or of a metric report; `size` in bytes."""

    name: str
    size: int
    sha256: str
    url: str
    kind: str = ""
    branch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedDataset:
    """A dataset that trained a model; a private one has neither id, address nor authors here."""

    name: str
    branch: str = ""
    id: str | None = None
    url: str | None = None
    authors: tuple[str, ...] = ()
    weight: float | None = None
    new: bool = False
    energy_rmse_mev_per_atom: float | None = None
    force_rmse_mev_per_angstrom: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A published version of the DPA model."""

    version: str
    parent: str | None = None
    published: str = ""
    preset: str = ""
    datasets: tuple[TrainedDataset, ...] = ()
    contributors: tuple[str, ...] = ()
    files: tuple[ModelFile, ...] = ()
    rules: tuple[Rule, ...] = ()
    standard_score: float | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who is signed in."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token as its owner sees it; the secret was shown once."""

    id: str
    name: str
    scopes: tuple[str, ...] = ()
    created: str = ""
    last_used: str | None = None
    expires: str | None = None
    expired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One dataset of a search."""

    id: str
    name: str
    version: int = 1
    authors: tuple[str, ...] = ()
    licence: str = ""
    frames: int = 0
    elements: tuple[str, ...] = ()
    functional: str | None = None
    stage: str = ""
    state: str = ""
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A page of what was looked for; `later`: where the next one begins.

    `corrected`: words that are spelt alike, looked for where nothing has those that were asked for.
    """

    datasets: tuple[Found, ...]
    found: int = 0
    more_found: bool = False
    later: str | None = None
    corrected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of DFT output; `reads`: whether one calculation is a 'file', 'files' or a 'folder'."""

    name: str
    title: str = ""
    reads: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """`id`: SPDX."""

    id: str
    name: str = ""
    short: str = ""
    text_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The text that publishing agrees to, as Markdown."""

    version: str
    language: str = "en"
    sha256: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where archives may lie."""

    id: str
    title: str = ""
    probe_url: str = ""

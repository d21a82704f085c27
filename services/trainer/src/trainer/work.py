"""What crosses between worker and engine: the work in a file, messages as JSON lines, the outcome in a file.

The worker never imports deepmd; the engine never speaks to the registry or to object storage.
"""

from pathlib import Path
from typing import Annotated, Literal

from contracts.artifacts import HeldOutFrames
from contracts.base import BranchError, RuleResult, Sha256
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from trainer.preset import Preset

WORK_FILE = "work.json"
OUTCOME_FILE = "outcome.json"
SCORING_FILE = "scoring.json"
BranchName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class WorkBranch(_Message):
    """A branch and its frames: LMDB folders, relative to the work folder."""

    name: BranchName
    train: Path
    held_out: Path
    left_out_train: tuple[int, ...] = Field(default=(), description="indices of frames that the metric failed")
    left_out_held_out: tuple[int, ...] = ()
    test_frames: tuple[int, ...] = Field(
        default=(), description="indices of training frames that planning found in the standard dataset"
    )
    has_virial: bool
    elements: tuple[str, ...]
    is_new: bool
    nearest: str | None = Field(
        default=None, description="branch that predicts it zero-shot, and whose energy bias it takes; none: to be found"
    )
    energy_shift_ev: dict[str, float] = Field(
        default_factory=dict, description="to add to that branch's prediction, eV per atom"
    )
    weight: float = Field(gt=0)


class Work(_Message):
    """One attempt at a round. Paths are relative to the work folder."""

    preset: Preset
    total_steps: int = Field(ge=1)
    seed: int = Field(ge=0)
    parent: Path | None = Field(description="the parent's training checkpoint; none: the first model")
    parent_version: str | None = None
    parent_software: dict[str, str] = Field(
        default_factory=dict, description="versions of the packages that trained the parent, as its manifest tells"
    )
    resume_from: Path | None = Field(description="checkpoint of an earlier attempt")
    learning_rate_factor: float = Field(
        default=1, gt=0, le=1, description="multiplies the preset's; less than 1: an earlier attempt diverged"
    )
    branches: tuple[WorkBranch, ...] = Field(min_length=1)
    left_out_branches: tuple[BranchName, ...] = Field(
        default=(), description="branches of the parent that are removed: their datasets were withdrawn"
    )
    standard_frames: tuple[Sha256, ...] = Field(
        default=(), description="hashes of the standard dataset's frames: not trained on, wherever they are"
    )


class StandardWork(_Message):
    """The standard frames of one branch, in its dataset. Paths are relative to the work folder."""

    name: str
    own: str | None = Field(description="branch of the model that learned the dataset; none: its nearest one predicts")
    held_out: Path
    frames: tuple[Sha256, ...] = Field(min_length=1, description="hashes")
    train: Path | None = Field(description="where energies are aligned; none when the dataset has its own branch")
    left_out_train: tuple[int, ...] = Field(default=(), description="indices of frames that the metric failed")


class ScoringWork(_Message):
    """A published model to score."""

    release: Path
    branches: tuple[StandardWork, ...] = Field(min_length=1)


class Ready(_Message):
    """Everything is imported; the engine waits for a work folder."""

    event: Literal["ready"] = "ready"


class Started(_Message):
    event: Literal["started"] = "started"
    step: int
    device: str


class Progress(_Message):
    event: Literal["progress"] = "progress"
    step: int
    learning_rate: float
    branches: tuple[BranchError, ...]
    frames_per_second: float
    eta_seconds: float


class Saved(_Message):
    """A checkpoint is complete on disk."""

    event: Literal["checkpoint"] = "checkpoint"
    step: int
    path: Path


class Stopped(_Message):
    """SIGTERM was obeyed; what was reached was announced as a checkpoint."""

    event: Literal["stopped"] = "stopped"
    step: int


class Done(_Message):
    """The outcome file is written."""

    event: Literal["done"] = "done"


class Failed(_Message):
    """The attempt cannot go on."""

    event: Literal["error"] = "error"
    rule: str = Field(description="stable id, e.g. 'not-finite', 'out-of-memory', 'data-unreadable', 'crashed'")
    reason: str
    retryable: bool


class Verified(_Message):
    """What the fresh process found; `numbers` have their unit in the key."""

    event: Literal["verified"] = "verified"
    passed: bool
    sentence: str
    numbers: dict[str, float]
    checks: tuple[RuleResult, ...] = ()


class Scored(_Message):
    """Errors of a published model on the standard frames of each branch that was asked for."""

    event: Literal["scored"] = "scored"
    errors: tuple[BranchError, ...]


Message = Annotated[
    Ready | Started | Progress | Saved | Stopped | Done | Failed | Verified | Scored, Field(discriminator="event")
]
MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)


class BranchOutcome(_Message):
    """Final accuracy of one branch on all its held-out frames."""

    name: str
    held_out: BranchError
    max_force_errors_ev_per_angstrom: tuple[float, ...]
    baseline_energy_rmse_mev_per_atom: float
    baseline_force_rmse_mev_per_angstrom: float
    baseline_element_energies_ev: dict[str, float] = Field(
        default_factory=dict, description="element → eV per atom, of that baseline"
    )
    baseline_train_frames: tuple[int, ...] | None = Field(
        default=None, description="training frames (index in the dataset's LMDB) that those were fitted to"
    )
    held_out_frames: HeldOutFrames
    left_out_frames: int = Field(default=0, ge=0, description="training frames left out because they are test frames")
    left_out_held_out: tuple[int, ...] = Field(default=(), description="held-out frames that were not measured on")
    sample: Path = Field(description="held-out frames (LMDB) whose predictions the verification repeats")
    predictions: Path = Field(description="the trainer's own predictions of them (.npz)")


class Outcome(_Message):
    """A finished attempt. Paths are relative to the work folder."""

    checkpoint: Path
    release: Path
    frozen: dict[str, Path]
    recipe: Path
    branches: tuple[BranchOutcome, ...]
    zero_shot: tuple[BranchError, ...]
    start: tuple[BranchError, ...] = Field(default=(), description="new branches as training began")
    parent_held_out: tuple[BranchError, ...]
    moments_kept: bool | None = Field(
        default=None, description="training began with the optimizer's moments of the parent; none: without a parent"
    )
    took_turns: bool = Field(default=False, description="branches took turns; false: each step's was drawn at random")
    steps: int
    wall_seconds: float
    versions: dict[str, str]

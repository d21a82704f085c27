"""Presets: what a model is and how it trains, as a file. No architecture is written in code."""

from pathlib import Path
from typing import Any

from contracts.recipe import PresetNeeds
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Section = dict[str, Any]


class PresetError(ValueError):
    """The preset file is missing or wrong; the message says where and what."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelTemplate(_Part):
    """The model section of deepmd's multi-task input."""

    shared_dict: dict[str, Any] = Field(description="deepmd's shared_dict: type map, descriptor, fitting net")
    branch: Section = Field(description="an entry of model_dict, the same for every branch; refers to shared_dict")


class LossTemplate(_Part):
    """deepmd's loss of one branch."""

    with_virial: Section = Field(description="for a dataset whose frames have a virial")
    without_virial: Section = Field(description="for one without")


class LearningRateTemplate(_Part):
    """deepmd's learning_rate section; the number of steps comes from the round."""

    first_round: Section = Field(description="from random weights")
    growth: Section = Field(description="from the parent's weights: lower, or the old branches are shaken")

    @field_validator("first_round", "growth")
    @classmethod
    def _fits_every_round(cls, section: Section) -> Section:
        """The policy sets how many steps a round has, and deepmd refuses one that ends within its warm-up."""
        if section.get("warmup_steps"):
            raise ValueError(
                "warmup_steps does not fit rounds of any length; write warmup_ratio, a part of the steps (0.05)"
            )
        if not 0 <= section.get("warmup_ratio", 0) < 1:
            raise ValueError("warmup_ratio is a part of the round's steps: at least 0, less than 1")
        return section


class Preset(_Part):
    """A training recipe. `deploy/presets/*.json`."""

    name: str
    description: str
    model: ModelTemplate
    loss: LossTemplate
    optimizer: Section
    keeps_moments: bool = Field(
        default=False,
        description="a grown model begins with the moments (Adam, AdamW) that its parent ended with, not with none",
    )
    takes_turns: bool = Field(
        default=False,
        description="in a round that adds branches to old ones all of them are trained by turns, each as often as its "
        "weight says; false: the branch of each step is drawn at random",
    )
    learning_rate: LearningRateTemplate
    training: Section = Field(description="deepmd's training section without data, steps and probabilities")
    batch_size: str | int = Field(description="deepmd's batch rule, e.g. 'auto:32'")
    evaluate_every: int = Field(ge=1, description="steps between looks at the held-out frames at least")
    evaluate_budget: float = Field(
        default=0.02, gt=0, description="part of the training time that these looks may take; they become rarer"
    )
    evaluate_frames: int = Field(ge=1, description="most held-out frames of a branch while training; all at the end")
    checkpoint_every: int = Field(ge=1, description="steps between checkpoints")
    alignment_frames: int = Field(ge=1, description="most training frames that the energy shifts are fitted on")
    case_head_room: int = Field(ge=0, description="free case vectors to add when the case embedding is widened")
    needs: PresetNeeds = Field(
        default=PresetNeeds(), description="what a machine must have to be offered a round of it"
    )
    frozen_suffix: str = Field(pattern=r"^\.[a-z0-9]+$", description="what deepmd freezes this architecture to")


def load_preset(folder: Path, name: str) -> Preset:
    """`<folder>/<name>.json`. Raises PresetError."""
    path = folder / f"{name}.json"
    if path.parent != folder or not path.is_file():
        known = ", ".join(preset_names(folder)) or "none"
        raise PresetError(f"there is no preset {name!r} in {folder}; it has: {known}")
    try:
        preset = Preset.model_validate_json(path.read_text())
    except ValidationError as error:
        raise PresetError(f"{path}: {error}") from error
    if preset.name != name:
        raise PresetError(f"{path}: its name is {preset.name!r}, not that of the file")
    return preset


def preset_names(folder: Path) -> list[str]:
    """Names of the presets in the folder."""
    return sorted(path.stem for path in folder.glob("*.json"))

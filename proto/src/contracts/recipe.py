"""What a preset file says to others than the trainer: what a machine needs to train it."""

from pydantic import ConfigDict, Field

from contracts.base import Frozen


class PresetNeeds(Frozen):
    """A machine that has less is not offered a round of the preset. Memory is in GB (10⁹ bytes)."""

    model_config = ConfigDict(extra="forbid")  # a word that is misspelt would be a need that nobody asks for

    gpus: int = Field(default=0, ge=0, description="GPUs that train together")
    gpu_memory_gb: float = Field(default=0, ge=0, description="memory of each of them")
    cpu_cores: int = Field(default=0, ge=0)
    memory_gb: float = Field(default=0, ge=0, description="main memory of a node")
    deepmd: str | None = Field(
        default=None,
        pattern=r"^\d+(\.\w+)*$",
        description="the one version of deepmd-kit that may train; none: the version that trained the parent",
    )

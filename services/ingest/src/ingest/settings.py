"""What ingest is told: POTLUCK_INGEST_…"""

import os
from pathlib import Path

from kit.settings import ServiceSettings, service_config
from pydantic import Field

MEBIBYTE = 1 << 20


class IngestSettings(ServiceSettings):
    """Limits on what strangers send, and how much of this machine parsing may use."""

    model_config = service_config("ingest")

    work_folder: Path = Field(
        # Not /tmp, which is often memory. Only a folder of this user's own is accepted.
        default_factory=lambda: Path(f"/var/tmp/potluck-ingest-{os.getuid()}"),  # noqa: S108
        description="archives are unpacked below this folder; large and on the storage's file system is best",
    )
    datasets_at_a_time: int = Field(default=1, ge=1, description="datasets that this process reads at a time")
    parallel_parsers: int = Field(default=2, ge=1, description="parsing children a dataset")
    max_archive_bytes: int = Field(default=4_000_000_000, description="largest archive")
    max_members: int = Field(default=1_000_000, description="most files in an archive, nested ones included")
    max_unpacked_bytes: int = Field(default=64_000_000_000, description="most bytes that an archive unpacks to")
    max_expansion_ratio: float = Field(default=250, description="unpacked to packed size, beyond which it is a bomb")
    expansion_ratio_from_bytes: int = Field(
        default=256 * MEBIBYTE, description="the ratio counts only when more than this was unpacked"
    )
    max_failed_fraction: float = Field(
        default=0.5, ge=0, le=1, description="reject when more of the calculations, or of the frames, fail"
    )
    child_memory_mib: int = Field(default=2048, ge=256, description="address space of one child, MiB")
    child_cpu_seconds: int = Field(default=3600, ge=1, description="processor time of one child")
    child_wall_seconds: float = Field(default=7200, gt=0, description="wall-clock time of one child")
    calculation_seconds: float = Field(
        default=300, gt=0, description="a parser without progress for this long is ended; that calculation is lost"
    )
    max_spool_bytes: int = Field(default=32_000_000_000, description="most bytes that one parsing child may write")
    bytes_per_parser: int = Field(
        default=32 * MEBIBYTE, description="a further parsing child is started for each so many bytes"
    )
    calculations_per_parser: int = Field(
        default=64, ge=1, description="… or for each so many calculations, whichever is more"
    )
    max_parser_deaths: int = Field(
        default=50, ge=1, description="a dataset whose calculations end more parsing children is rejected"
    )
    max_predicted_atoms: int = Field(
        default=500, ge=1, description="most atoms of a structure that somebody may have predicted"
    )
    structure_seconds: int = Field(default=20, ge=1, description="processor time of reading one such structure")
    keep_spare_children: bool = Field(
        default=True,
        description="keep children started, one a parser (40 MiB each) and two light ones: what they import takes time",
    )
    set_aside_kept: int = Field(
        default=10_000, ge=100, description="entries of the manifest's lists of what was set aside or removed"
    )

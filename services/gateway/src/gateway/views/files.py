"""A file that a reader may have."""

from dataclasses import dataclass

from contracts.base import BlobRef


@dataclass(frozen=True, slots=True)
class Download:
    """An object that a reader may have, and the name to save it under. `region`: where it is looked for first."""

    blob: BlobRef
    filename: str
    private: bool
    region: str | None = None

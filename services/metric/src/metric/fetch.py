"""Artifacts of other services: nothing is judged by bytes that are not those their reference names."""

import hashlib
from typing import TypeVar

from contracts.base import BlobRef, Frozen
from kit.blobs import BlobCorrupt, Blobs

Artifact = TypeVar("Artifact", bound=Frozen)


async def artifact(blobs: Blobs, ref: BlobRef, kind: type[Artifact]) -> Artifact:
    """The JSON object behind `ref`. Raises BlobMissing, BlobCorrupt."""
    data = await blobs.get_bytes(ref.key)
    if hashlib.sha256(data).hexdigest() != ref.sha256:
        raise BlobCorrupt(f"{ref.key} does not have the SHA-256 that was recorded")
    return kind.model_validate_json(data)

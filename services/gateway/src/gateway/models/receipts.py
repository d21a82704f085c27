"""Use cases of what is vouched for: signed receipts of a dataset, the keys that sign, the growth policy in force."""

import json
from typing import TypeVar
from uuid import UUID

from contracts import keys
from contracts.artifacts import GrowthPolicyInForce
from contracts.base import Frozen
from contracts.signed import SignedReceipt, SigningKeys
from kit.blobs import BlobMissing, Blobs
from kit.db import Database

from gateway.domain import Person
from gateway.problems import Problem, not_found
from gateway.store import Store

MOST = 200
Artifact = TypeVar("Artifact", bound=Frozen)


class Receipts:
    """Raises Problem for what a reader can put right. A reader of None is a stranger."""

    def __init__(self, database: Database, store: Store, blobs: Blobs) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs

    async def documents(self, reader: Person | None, dataset_id: UUID) -> bytes:
        """`{"receipts": [...]}`, newest first, every receipt as it was signed. 404 for who may not see the dataset."""
        return b'{"receipts":[' + ",".join(await self._stored(reader, dataset_id)).encode() + b"]}"

    async def of(self, reader: Person | None, dataset_id: UUID) -> list[SignedReceipt]:
        """The same to be shown."""
        return [SignedReceipt.model_validate(json.loads(text)) for text in await self._stored(reader, dataset_id)]

    async def keys(self) -> SigningKeys:
        """Every public key that ever signed. 503 before the registry has started once."""
        return await self._published(keys.SIGNING_KEYS, SigningKeys)

    async def growth_policy(self) -> GrowthPolicyInForce:
        """503 before the registry has started once."""
        return await self._published(keys.GROWTH_POLICY, GrowthPolicyInForce)

    async def _stored(self, reader: Person | None, dataset_id: UUID) -> list[str]:
        reader_id = reader.id if reader else None
        async with self._database.transaction() as connection:
            if await self._store.entries.find(connection, dataset_id, reader_id) is None:
                raise not_found("dataset", None if reader else "If it is yours, sign in.")
            return await self._store.receipts.of(connection, dataset_id, reader_id, MOST)

    async def _published(self, key: str, kind: type[Artifact]) -> Artifact:
        try:
            return await self._blobs.get_model(key, kind)
        except BlobMissing:
            raise Problem(
                503,
                "not-proclaimed",
                "Not quite ready",
                "The service that decides on growth has not told this yet: it is starting.",
                remedy="Try again in a minute.",
                headers={"retry-after": "10"},
            ) from None

"""The registry's tables of what is vouched for: costs, receipts, keys. Each method runs in its caller's transaction."""

from uuid import UUID

from contracts.signed import SignedReceipt, SigningKey, SigningKeys, canonical
from kit.queries import Connection, Queries

from registry.domain.rounds import Usage


class ProofStore:
    """Rows in, frozen values out."""

    _queries: Queries

    async def tell_usage(self, conn: Connection, round_id: UUID, fence: int, usage: Usage) -> None:
        """What the attempt has used so far."""
        await self._queries.execute(
            conn,
            "tell_usage",
            round_id=round_id,
            fence=fence,
            core_seconds=usage.core_seconds,
            gpu_seconds=usage.gpu_seconds,
            cpu_joules=usage.cpu_joules,
            gpu_joules=usage.gpu_joules,
        )

    async def usages(self, conn: Connection, round_id: UUID) -> dict[int, Usage]:
        """By fence, of the attempts whose workers told."""
        rows = await self._queries.all(conn, "usages", round_id=round_id)
        return {
            row["fence"]: Usage(row["core_seconds"], row["gpu_seconds"], row["cpu_joules"], row["gpu_joules"])
            for row in rows
        }

    async def add_receipt(self, conn: Connection, signed: SignedReceipt) -> None:
        """Kept as it was signed."""
        await self._queries.execute(
            conn,
            "insert_receipt",
            round_id=signed.receipt.round_id,
            dataset_id=signed.receipt.dataset_id,
            dataset_version=signed.receipt.dataset_version,
            key_id=signed.signature.key_id,
            document=canonical(signed.document()).decode(),
        )

    async def sign_with(self, conn: Connection, key_id: str, public_key: str) -> SigningKeys:
        """This key signs from now on, others no longer; all keys that ever signed, this one first."""
        await self._queries.execute(conn, "upsert_signing_key", key_id=key_id, public_key=public_key)
        await self._queries.execute(conn, "retire_other_keys", key_id=key_id)
        rows = await self._queries.all(conn, "signing_keys")
        return SigningKeys(keys=tuple(SigningKey.model_validate(row) for row in rows))

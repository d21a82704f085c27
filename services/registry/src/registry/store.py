"""The registry's tables: with `operator_store`, `standard_store`, `worker_store`, `proof_store` and
`query_store` all that runs SQL.

Every method runs inside its caller's transaction.
"""

from collections.abc import Sequence
from uuid import UUID

from contracts.base import BlobRef, RuleResult
from contracts.events import DatasetMetricPassed
from kit.queries import Connection, Queries, Row
from psycopg.types.json import Jsonb

from registry.domain.rounds import (
    AliasMove,
    AliasMoveKind,
    Branch,
    DatasetState,
    Model,
    Round,
    RoundPlan,
    RoundState,
    RoundSummary,
    StoredCheckpoint,
    Version,
    WaitingList,
)
from registry.stores.proofs import ProofStore
from registry.stores.queries import QueryStore
from registry.stores.rows import (
    alias_move_of,
    branch_of,
    json_list,
    json_of,
    maybe_round,
    member_of,
    model_branch_of,
    model_of,
    summary_of,
)
from registry.stores.standard import StandardStore
from registry.stores.workers import WorkerStore

BEYOND_EVERY_NUMBER = 2**31 - 1
BEYOND_EVERY_SEQUENCE = 2**63 - 1


class Store(StandardStore, WorkerStore, ProofStore, QueryStore):
    """Rows in, frozen domain values out."""

    def __init__(self) -> None:
        super().__init__(Queries.load("registry"))

    # Datasets

    async def add_dataset(
        self,
        conn: Connection,
        event: DatasetMetricPassed,
        train_frames: int,
        traceparent: str | None,
        content_sha256: str | None = None,
    ) -> bool:
        """Put the dataset on the waiting list. False: it was known already."""
        added = await self._queries.execute(
            conn,
            "insert_dataset",
            dataset_id=event.dataset.dataset_id,
            version=event.dataset.version,
            title=event.credit.title,
            authors=list(event.credit.authors),
            licence=event.credit.licence,
            private=event.credit.private,
            manifest=json_of(event.dataset_manifest),
            metric_report=json_of(event.report),
            train_frames=train_frames,
            nearest_branch=event.nearest_branch,
            energy_shift_ev=Jsonb(event.energy_shift_ev),
            traceparent=traceparent,
            content_sha256=content_sha256,
        )
        return added == 1

    async def waiting(self, conn: Connection) -> WaitingList:
        """Who waits, in the order of arrival."""
        rows = await self._queries.all(conn, "waiting_datasets")
        first = rows[0] if rows else {"quiet_seconds": 0.0, "waited_seconds": 0.0}
        return WaitingList(tuple(map(member_of, rows)), first["quiet_seconds"], first["waited_seconds"])

    async def set_new_datasets(
        self, conn: Connection, round_id: UUID, state: DatasetState, reason: str | None = None
    ) -> None:
        """Move the datasets that are new in this round to a state."""
        await self._queries.execute(conn, "set_new_datasets", round_id=round_id, state=state, reason=reason)

    # Rounds

    async def lock_planning(self, conn: Connection) -> None:
        """Wait until no other replica plans, and no operator steers."""
        await self._queries.execute(conn, "lock_planning")

    async def has_open_round(self, conn: Connection) -> bool:
        return await self._queries.one(conn, "has_open_round") is not None

    async def open_round(self, conn: Connection) -> Round | None:
        """The round that waits or trains, locked."""
        return maybe_round(await self._queries.one(conn, "open_round"))

    async def add_round(self, conn: Connection, plan: RoundPlan) -> None:
        """Store a planned round with its branches."""
        await self._queries.execute(
            conn,
            "insert_round",
            round_id=plan.round_id,
            parent_version=plan.parent_version,
            preset=plan.preset,
            total_steps=plan.total_steps,
            seed=plan.seed,
            traceparent=plan.traceparent,
        )
        for position, branch in enumerate(plan.branches):
            await self._queries.execute(
                conn,
                "insert_round_branch",
                round_id=plan.round_id,
                position=position,
                branch=branch.name,
                dataset_id=branch.member.ref.dataset_id,
                dataset_version=branch.member.ref.version,
                is_new=branch.is_new,
                weight=branch.weight,
                left_out_frames=list(branch.left_out_frames),
            )

    async def round(self, conn: Connection, round_id: UUID) -> Round | None:
        return maybe_round(await self._queries.one(conn, "round", round_id=round_id))

    async def branches(self, conn: Connection, round_id: UUID) -> tuple[Branch, ...]:
        """What a round trains on, in the order of the model."""
        rows = await self._queries.all(conn, "round_branches", round_id=round_id)
        return tuple(branch_of(row) for row in rows)

    async def rounds(self, conn: Connection, before: int | None, limit: int) -> list[RoundSummary]:
        """Rounds whose sequence is below `before`, newest first."""
        sequence = BEYOND_EVERY_SEQUENCE if before is None else before
        rows = await self._queries.all(conn, "rounds", sequence=sequence, limit=limit)
        return [summary_of(row) for row in rows]

    # Leases

    async def lease(self, conn: Connection, round_id: UUID, worker: str, ttl_seconds: float) -> Round | None:
        """Give a waiting round to `worker` under a new fence; none when it does not wait any more."""
        row = await self._queries.one(conn, "lease_round", round_id=round_id, worker=worker, ttl_seconds=ttl_seconds)
        return maybe_round(row)

    async def hold(self, conn: Connection, round_id: UUID, fence: int, ttl_seconds: float) -> Round | None:
        """Renew the lease and lock the round; none when `fence` does not hold it (any more)."""
        row = await self._queries.one(conn, "hold_round", round_id=round_id, fence=fence, ttl_seconds=ttl_seconds)
        return maybe_round(row)

    async def take_lost(self, conn: Connection) -> Round | None:
        """A round whose lease has expired, locked; none when there is none or another replica has it."""
        return maybe_round(await self._queries.one(conn, "take_lost_round"))

    async def set_step(self, conn: Connection, round_id: UUID, step: int) -> None:
        await self._queries.execute(conn, "set_step", round_id=round_id, step=step)

    async def offer_again(
        self,
        conn: Connection,
        round_: Round,
        failures: int,
        reason: str,
        divergences: int | None = None,
        outages: int | None = None,
    ) -> None:
        """The round waits for a worker again."""
        await self._queries.execute(
            conn,
            "offer_again",
            round_id=round_.round_id,
            failures=failures,
            divergences=round_.divergences if divergences is None else divergences,
            outages=round_.outages if outages is None else outages,
            reason=reason,
        )

    async def end_round(
        self,
        conn: Connection,
        round_: Round,
        state: RoundState,
        reason: str | None = None,
        rules: Sequence[RuleResult] | None = None,
        model_version: str | None = None,
        failures: int | None = None,
    ) -> None:
        """Decide a round."""
        await self._queries.execute(
            conn,
            "end_round",
            round_id=round_.round_id,
            state=state,
            reason=reason,
            rules=None if rules is None else json_list(rules),
            model_version=model_version,
            failures=round_.failures if failures is None else failures,
        )

    # Checkpoints and what may be deleted

    async def add_checkpoint(self, conn: Connection, round_id: UUID, fence: int, checkpoint: StoredCheckpoint) -> None:
        await self._queries.execute(
            conn,
            "upsert_checkpoint",
            round_id=round_id,
            step=checkpoint.step,
            fence=fence,
            blob=json_of(checkpoint.blob),
        )

    async def stored_checkpoint(self, conn: Connection, round_id: UUID, fence: int) -> bool:
        """Whether the attempt `fence` stored a checkpoint."""
        return await self._queries.one(conn, "stored_checkpoint", round_id=round_id, fence=fence) is not None

    async def newest_checkpoint(self, conn: Connection, round_id: UUID) -> StoredCheckpoint | None:
        row = await self._queries.one(conn, "newest_checkpoint", round_id=round_id)
        return None if row is None else StoredCheckpoint(BlobRef.model_validate(row["blob"]), row["step"])

    async def superseded_checkpoints(self, conn: Connection) -> list[tuple[UUID, StoredCheckpoint]]:
        """Of open rounds, all but the newest two."""
        rows = await self._queries.all(conn, "superseded_checkpoints")
        return [(row["round_id"], StoredCheckpoint(BlobRef.model_validate(row["blob"]), row["step"])) for row in rows]

    async def forget_checkpoint(self, conn: Connection, round_id: UUID, step: int) -> None:
        await self._queries.execute(conn, "delete_checkpoint", round_id=round_id, step=step)

    async def uncollected_rounds(self, conn: Connection) -> list[UUID]:
        """Ended rounds whose work in progress still lies in storage."""
        return [row["round_id"] for row in await self._queries.all(conn, "uncollected_rounds")]

    async def mark_collected(self, conn: Connection, round_id: UUID) -> None:
        await self._queries.execute(conn, "mark_collected", round_id=round_id)

    # Models

    async def add_model(self, conn: Connection, model: Model) -> None:
        """Store a published version and the held-out errors of its branches."""
        version = Version.parse(model.version)
        await self._queries.execute(
            conn,
            "insert_model",
            version=model.version,
            major=version.major,
            minor=version.minor,
            parent_version=model.parent_version,
            round_id=model.round_id,
            preset=model.preset,
            manifest=json_of(model.manifest),
            files=json_list(model.files),
            rules=json_list(model.rules),
            checks=json_list(model.checks),
            standard_score=model.standard_score,
            contributors=list(model.contributors),
            published_at=model.published_at,
            deepmd_version=model.deepmd_version,
        )
        for one in model.branches:
            await self._queries.execute(
                conn,
                "set_branch_errors",
                round_id=model.round_id,
                branch=one.branch.name,
                energy_rmse_mev_per_atom=one.energy_rmse_mev_per_atom,
                force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
            )

    async def move_alias(self, conn: Connection, alias: str, version: str, kind: AliasMoveKind, reason: str) -> None:
        await self._queries.execute(conn, "move_alias", alias=alias, version=version, kind=kind, reason=reason)

    async def alias_moves(self, conn: Connection, alias: str, before: int | None, limit: int) -> list[AliasMove]:
        """The alias's history, newest first, of rows before a sequence number."""
        beyond = BEYOND_EVERY_SEQUENCE if before is None else before
        rows = await self._queries.all(conn, "alias_moves", alias=alias, before=beyond, limit=limit)
        return [alias_move_of(row) for row in rows]

    async def resolve(self, conn: Connection, version_or_alias: str) -> str | None:
        """The version that an alias points to; a version as it is, whether it exists or not; none otherwise.

        Of an alias, never a retired version.
        """
        row = await self._queries.one(conn, "resolve_alias", alias=version_or_alias)
        if row is not None:
            return str(row["version"])
        try:
            return str(Version.parse(version_or_alias))
        except ValueError:
            return None

    async def newest_version(self, conn: Connection) -> str | None:
        row = await self._queries.one(conn, "newest_version")
        return None if row is None else str(row["version"])

    async def model(self, conn: Connection, version: str) -> Model | None:
        row = await self._queries.one(conn, "model", version=version)
        return None if row is None else (await self._models(conn, [row]))[0]

    async def models(self, conn: Connection, before: Version | None, limit: int) -> list[Model]:
        """Versions below `before`, newest first."""
        limit_version = before or Version(BEYOND_EVERY_NUMBER, 0)
        rows = await self._queries.all(
            conn, "models", major=limit_version.major, minor=limit_version.minor, limit=limit
        )
        return await self._models(conn, rows)

    async def lineage(self, conn: Connection, version: str) -> list[Model]:
        """The version and its ancestors, newest first; empty when it does not exist."""
        return await self._models(conn, await self._queries.all(conn, "lineage", version=version))

    async def _models(self, conn: Connection, rows: Sequence[Row]) -> list[Model]:
        aliases = await self._queries.all(conn, "aliases")
        newest = await self._queries.one(conn, "newest_standard")
        models = []
        for row in rows:
            rows_of_branches = await self._queries.all(conn, "round_branches", round_id=row["round_id"])
            branches = [model_branch_of(one) for one in rows_of_branches]
            pointing = tuple(one["alias"] for one in aliases if one["version"] == row["version"])
            ancestral = await self._queries.one(conn, "withdrawn_ancestral", version=row["version"])
            scores = await self._queries.all(conn, "standard_scores", model_version=row["version"])
            count = ancestral["count"] if ancestral else 0
            models.append(model_of(row, branches, pointing, count, scores, newest["number"] if newest else 0))
        return models

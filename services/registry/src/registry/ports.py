"""What the use cases need of the database. `store.Store` provides it; what each method promises is told there."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from contracts.base import DatasetRef, RuleResult
from contracts.events import DatasetMetricPassed
from kit.queries import Connection

from registry.domain import (
    AliasMove,
    AliasMoveKind,
    Branch,
    DatasetState,
    Member,
    Model,
    Round,
    RoundPlan,
    RoundState,
    StoredCheckpoint,
    WaitingList,
)
from registry.inquiries import Inquiry


class Rounds(Protocol):
    """Of every use case: a round, what it trains on, its fence, its end, and the inquiry that it may serve."""

    async def round(self, conn: Connection, round_id: UUID) -> Round | None: ...

    async def branches(self, conn: Connection, round_id: UUID) -> tuple[Branch, ...]: ...

    async def hold(self, conn: Connection, round_id: UUID, fence: int, ttl_seconds: float) -> Round | None: ...

    async def end_round(
        self,
        conn: Connection,
        round_: Round,
        state: RoundState,
        reason: str | None = None,
        rules: Sequence[RuleResult] | None = None,
        model_version: str | None = None,
        failures: int | None = None,
    ) -> None: ...

    async def set_new_datasets(
        self, conn: Connection, round_id: UUID, state: DatasetState, reason: str | None = None
    ) -> None: ...

    async def newest_inquiry(self, conn: Connection) -> Inquiry | None: ...

    async def save_inquiry(self, conn: Connection, inquiry: Inquiry) -> None: ...

    async def end_inquiry(self, conn: Connection, inquiry_id: UUID, outcome: str) -> None: ...

    async def members(self, conn: Connection, arrivals: Sequence[int]) -> list[Member]: ...

    async def pause(self, conn: Connection, reason: str) -> None: ...


class Plans(Rounds, Protocol):
    """Of planning, leases and what goes wrong with them."""

    async def add_dataset(
        self, conn: Connection, event: DatasetMetricPassed, train_frames: int, traceparent: str | None
    ) -> bool: ...

    async def waiting(self, conn: Connection) -> WaitingList: ...

    async def lock_planning(self, conn: Connection) -> None: ...

    async def has_open_round(self, conn: Connection) -> bool: ...

    async def pause_reason(self, conn: Connection) -> str | None: ...

    async def add_round(self, conn: Connection, plan: RoundPlan) -> None: ...

    async def resolve(self, conn: Connection, version_or_alias: str) -> str | None: ...

    async def model(self, conn: Connection, version: str) -> Model | None: ...

    async def lease(
        self, conn: Connection, worker: str, presets: Sequence[str], ttl_seconds: float
    ) -> Round | None: ...

    async def take_lost(self, conn: Connection) -> Round | None: ...

    async def set_step(self, conn: Connection, round_id: UUID, step: int) -> None: ...

    async def offer_again(
        self,
        conn: Connection,
        round_: Round,
        failures: int,
        reason: str,
        divergences: int | None = None,
        outages: int | None = None,
    ) -> None: ...

    async def add_checkpoint(
        self, conn: Connection, round_id: UUID, fence: int, checkpoint: StoredCheckpoint
    ) -> None: ...

    async def stored_checkpoint(self, conn: Connection, round_id: UUID, fence: int) -> bool: ...

    async def newest_checkpoint(self, conn: Connection, round_id: UUID) -> StoredCheckpoint | None: ...


class Models(Rounds, Protocol):
    """Of growth."""

    async def newest_version(self, conn: Connection) -> str | None: ...

    async def add_model(self, conn: Connection, model: Model) -> None: ...

    async def move_alias(
        self, conn: Connection, alias: str, version: str, kind: AliasMoveKind, reason: str
    ) -> None: ...


class Line(Rounds, Protocol):
    """Of operators who steer rounds and datasets."""

    async def lock_planning(self, conn: Connection) -> None: ...

    async def open_round(self, conn: Connection) -> Round | None: ...

    async def resume(self, conn: Connection) -> bool: ...

    async def dataset(self, conn: Connection, ref: DatasetRef) -> Member | None: ...

    async def set_state(
        self, conn: Connection, arrivals: Sequence[int], state: DatasetState, reason: str | None = None
    ) -> None: ...

    async def withdraw(self, conn: Connection, ref: DatasetRef, reason: str) -> None: ...

    async def set_relative_weight(self, conn: Connection, ref: DatasetRef, weight: float | None) -> None: ...

    async def trained_versions(self, conn: Connection, ref: DatasetRef) -> tuple[tuple[str, ...], tuple[str, ...]]: ...

    async def add_inquiry(self, conn: Connection, inquiry: Inquiry) -> None: ...


class Versions(Protocol):
    """Of operators who say which version is offered."""

    async def lock_planning(self, conn: Connection) -> None: ...

    async def open_round(self, conn: Connection) -> Round | None: ...

    async def model(self, conn: Connection, version: str) -> Model | None: ...

    async def move_alias(
        self, conn: Connection, alias: str, version: str, kind: AliasMoveKind, reason: str
    ) -> None: ...

    async def alias_moves(self, conn: Connection, alias: str, before: int | None, limit: int) -> list[AliasMove]: ...

    async def retire(self, conn: Connection, version: str, reason: str) -> bool: ...

    async def pointing(self, conn: Connection, version: str) -> list[str]: ...

    async def retired_versions(self, conn: Connection) -> set[str]: ...


class Spent(Protocol):
    """Of the timer: objects that nobody needs any more."""

    async def uncollected_rounds(self, conn: Connection) -> list[UUID]: ...

    async def superseded_checkpoints(self, conn: Connection) -> list[tuple[UUID, StoredCheckpoint]]: ...

    async def mark_collected(self, conn: Connection, round_id: UUID) -> None: ...

    async def forget_checkpoint(self, conn: Connection, round_id: UUID, step: int) -> None: ...

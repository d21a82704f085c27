"""Use cases of operators: which version is offered under which name, and which no more."""

from contracts.events import ModelAliased, ModelRetired
from kit.logs import get_logger
from kit.outbox import emit
from kit.queries import Connection

from registry import ports
from registry.domain.aliases import before, check_alias
from registry.domain.rounds import LATEST, AliasMoveKind, InvalidRequest, Model, NotInThisState, UnknownModel, Version

log = get_logger(__name__)

WHOLE_HISTORY = 1_000_000


class Offering:
    """Aliases and retirement. Each command takes the lock of planning first: a round grows from `latest`."""

    def __init__(self, store: ports.Versions) -> None:
        self._store = store

    async def move(self, conn: Connection, alias: str, version: str, reason: str) -> str | None:
        """Let the alias point to the version; where it pointed before. Moving it to where it is changes nothing.

        Raises InvalidRequest, UnknownModel, NotInThisState.
        """
        check_alias(alias)
        await self._store.lock_planning(conn)
        model = await self._known(conn, version)
        if model.retired_at is not None:
            raise NotInThisState(f"model {version} is retired: no alias may point to it")
        newest = await self._store.alias_moves(conn, alias, None, 1)
        previous = newest[0].version if newest else None
        if previous != version:
            await self._may_move(conn, alias)
            reason = reason or "an operator moved it"
            await self._store.move_alias(conn, alias, version, AliasMoveKind.MOVE, reason)
            await emit(conn, ModelAliased(alias=alias, version=version, previous=previous, reason=reason))
            log.info("alias-moved", alias=alias, version=version, previous=previous)
        return previous

    async def roll_back(self, conn: Connection, alias: str, reason: str) -> tuple[str, str]:
        """Let the alias point to the version before, retired ones passed over; (from, to). Again leads further back.

        Raises UnknownModel, NotInThisState.
        """
        await self._store.lock_planning(conn)
        history = (await self._store.alias_moves(conn, alias, None, WHOLE_HISTORY))[::-1]
        if not history:
            raise UnknownModel(f"there is no alias {alias!r}")
        version = before(history, await self._store.retired_versions(conn))
        if version is None:
            raise NotInThisState(f"alias {alias!r} pointed to nothing else before that is still offered")
        await self._may_move(conn, alias)
        previous = history[-1].version
        reason = reason or "an operator rolled it back"
        await self._store.move_alias(conn, alias, version, AliasMoveKind.ROLLBACK, reason)
        await emit(conn, ModelAliased(alias=alias, version=version, previous=previous, reason=reason))
        log.info("alias-rolled-back", alias=alias, version=version, previous=previous)
        return previous, version

    async def retire(self, conn: Connection, version: str, reason: str) -> None:
        """Mark a version: it can be read by its number alone. Repeating it changes nothing.

        Raises UnknownModel, NotInThisState.
        """
        await self._store.lock_planning(conn)
        await self._known(conn, version)
        if pointing := await self._store.pointing(conn, version):
            named = " and ".join(pointing)
            raise NotInThisState(f"{named} points to model {version}: move or roll back that first")
        reason = reason or "an operator retired it"
        if await self._store.retire(conn, version, reason):
            await emit(conn, ModelRetired(version=version, reason=reason))
            log.info("model-retired", version=version, reason=reason)

    async def _known(self, conn: Connection, version: str) -> Model:
        try:
            Version.parse(version)
        except ValueError as error:
            raise InvalidRequest(str(error)) from error
        model = await self._store.model(conn, version)
        if model is None:
            raise UnknownModel(f"there is no model {version!r}")
        return model

    async def _may_move(self, conn: Connection, alias: str) -> None:
        round_ = await self._store.open_round(conn) if alias == LATEST else None
        if round_ is not None:
            raise NotInThisState(
                f"round {round_.round_id} grows from {round_.parent_version or 'nothing'} and would move {LATEST!r} "
                "back when it is published: cancel it first, or wait until it has ended"
            )

"""Events of a round, in the trace of the upload that caused it."""

from contracts.envelope import Event
from kit.outbox import emit
from kit.queries import Connection
from kit.telemetry import remote_parent

from registry.domain.rounds import Round, RoundPlan


async def announce(conn: Connection, round_: Round | RoundPlan, *events: Event) -> None:
    """Put events into the outbox, in the trace of the upload that caused the round, whoever calls."""
    with remote_parent(round_.traceparent):
        for event in events:
            await emit(conn, event)

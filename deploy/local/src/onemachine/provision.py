"""Declares what the servers must hold: database, roles, schemas, streams, consumers. May be repeated at will."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import nats
import psycopg
from contracts.topology import (
    AGAIN_PREFIX,
    CONSUMERS,
    DEAD_LETTER_PREFIX,
    DEAD_LETTER_STREAM,
    EVENT_STREAM,
    EVENT_SUBJECTS,
)
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError
from psycopg import sql

DATABASE = "potluck"
# The services that keep a schema. Trainers own nothing durable.
SCHEMAS = ("gateway", "ingest", "metric", "registry")

# JetStream drops a repeated publish inside this window; the inbox tables hold beyond it.
_DUPLICATE_WINDOW_SECONDS = 600.0
_LARGEST_MESSAGE_BYTES = 1 << 20


def provision_database(admin_dsn: str, passwords: Mapping[str, str], name: str = DATABASE) -> None:
    """Create database `name`, a role for each key of `passwords` and a schema that only that role may use.

    `admin_dsn`: superuser, any database. An existing role gets the password given here.
    """
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        database = sql.Identifier(name)
        if not connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            connection.execute(sql.SQL("create database {}").format(database))
        connection.execute(sql.SQL("revoke all on database {} from public").format(database))
        for role, password in passwords.items():
            _ensure_role(connection, role, password)
            # Temporary tables: the gateway builds its read tables anew beside the old ones.
            connection.execute(
                sql.SQL("grant connect, temporary on database {} to {}").format(database, sql.Identifier(role))
            )
    with psycopg.connect(admin_dsn, dbname=name, autocommit=True) as connection:
        connection.execute("revoke all on schema public from public")
        for role in passwords:
            _ensure_schema(connection, name, role)


def _ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    verb = "alter" if connection.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone() else "create"
    connection.execute(
        sql.SQL("{} role {} login nosuperuser nocreatedb nocreaterole password {}").format(
            sql.SQL(verb), sql.Identifier(role), sql.Literal(password)
        )
    )


def _ensure_schema(connection: psycopg.Connection, database: str, role: str) -> None:
    name = sql.Identifier(role)
    connection.execute(sql.SQL("create schema if not exists {} authorization {}").format(name, name))
    connection.execute(sql.SQL("revoke all on schema {} from public").format(name))
    connection.execute(
        sql.SQL("alter role {} in database {} set search_path = {}").format(name, sql.Identifier(database), name)
    )


def streams() -> tuple[StreamConfig, ...]:
    """The log of all events, kept for ever (read tables are rebuilt from it), and the dead letters."""
    common = StreamConfig(
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        # Full means "stop accepting", never "forget the oldest": the outboxes hold what does not fit yet.
        discard=DiscardPolicy.NEW,
        max_msg_size=_LARGEST_MESSAGE_BYTES,
        duplicate_window=_DUPLICATE_WINDOW_SECONDS,
        num_replicas=1,
    )
    return (
        replace(common, name=EVENT_STREAM, subjects=list(EVENT_SUBJECTS)),
        replace(common, name=DEAD_LETTER_STREAM, subjects=[f"{DEAD_LETTER_PREFIX}>", f"{AGAIN_PREFIX}>"]),
    )


def consumers() -> tuple[tuple[str, ConsumerConfig], ...]:
    """(stream, configuration) of each durable pull consumer."""
    return tuple(
        (
            one.stream,
            ConsumerConfig(
                durable_name=one.durable,
                filter_subject=one.filter_subject,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=one.ack_wait_seconds,
                # How often to try is the service's decision: the server would give up without a dead letter.
                max_deliver=-1,
                # Messages that wait for a delayed retry count: a few of them must not hold up the rest.
                max_ack_pending=1000,
            ),
        )
        for one in CONSUMERS
    )


@asynccontextmanager
async def administration(url: str, user: str, password: str) -> AsyncIterator[JetStreamContext]:
    """JetStream as the user who may declare streams and consumers."""
    connection = await nats.connect(url, user=user, password=password, connect_timeout=5)
    try:
        yield connection.jetstream(timeout=10)
    finally:
        await connection.close()


async def provision_nats(jetstream: JetStreamContext) -> None:
    """Create what is missing and give what exists today's settings. Messages and positions stay."""
    for stream in streams():
        try:
            await jetstream.stream_info(stream.name)
        except NotFoundError:
            await jetstream.add_stream(stream)
        else:
            await jetstream.update_stream(stream)
    for name, consumer in consumers():
        await jetstream.add_consumer(name, consumer)


async def forget_nats(jetstream: JetStreamContext) -> None:
    """Delete both streams with all that they hold."""
    for stream in streams():
        try:
            await jetstream.delete_stream(stream.name)
        except NotFoundError:
            continue

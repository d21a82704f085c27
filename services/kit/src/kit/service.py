"""The life of a service: what it stands on, how it starts, how it stops."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from nats.errors import Error as NatsError

from kit import blobs, bus, db, health, logs, migrations, outbox, telemetry
from kit.settings import ServiceSettings
from kit.tasks import Tasks

log = logs.get_logger(__name__)

Settings = TypeVar("Settings", bound=ServiceSettings)


@dataclass
class Foundation(Generic[Settings]):
    """What a service is built on. A trainer has neither database nor bus: asking for them is an error."""

    name: str
    settings: Settings
    blobs: blobs.Blobs
    health: health.Health
    tasks: Tasks
    maybe_database: db.Database | None = None
    maybe_bus: bus.Bus | None = None

    @property
    def database(self) -> db.Database:
        if self.maybe_database is None:
            raise RuntimeError(f"{self.name} has no database: POTLUCK_{self.name.upper()}_DATABASE_DSN is not set")
        return self.maybe_database

    @property
    def bus(self) -> bus.Bus:
        if self.maybe_bus is None:
            raise RuntimeError(f"{self.name} has no bus: POTLUCK_{self.name.upper()}_NATS_URL is not set")
        return self.maybe_bus


Build = Callable[[Settings, Foundation[Settings]], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def foundation(name: str, settings: Settings) -> AsyncIterator[Foundation[Settings]]:
    """Logs, traces, migrated database, storage and bus, opened in that order and closed in reverse."""
    logs.configure(name, settings.log_level)
    provider = telemetry.configure(name, settings.traces_file)
    async with AsyncExitStack() as stack:
        stack.callback(provider.shutdown)
        base = Foundation(name, settings, blobs.Blobs(settings.blobs_url), health.Health(), Tasks())
        if settings.database_dsn is not None:
            dsn = settings.database_dsn.get_secret_value()
            applied = await asyncio.to_thread(migrations.migrate, dsn, name)
            if applied:
                log.info("migrations-applied", names=applied)
            opened = db.Database.opened(dsn, name, settings.database_pool_size)
            base.maybe_database = await stack.enter_async_context(opened)
            base.health.add("database", base.maybe_database.ping)
        if settings.nats_url is not None:
            await _open_bus(base, stack)
        stack.push_async_callback(base.tasks.cancel)
        yield base


async def _open_bus(base: Foundation[Settings], stack: AsyncExitStack) -> None:
    client = await bus.connect(base.settings, base.name)
    stack.push_async_callback(bus.disconnect, client)
    opened = base.maybe_bus = bus.Bus(base.settings, base.name, client)

    async def connected() -> None:
        if not opened.connected:
            raise NatsError("not connected")

    base.health.add("nats", connected)
    if base.maybe_database is not None:
        relay = outbox.Relay(base.maybe_database, opened.jetstream, base.name)
        base.tasks.create_task(relay.run(), name="outbox-relay")


@asynccontextmanager
async def running(name: str, settings: Settings, build: Build[Settings]) -> AsyncIterator[Foundation[Settings]]:
    """The service, built and consuming. Leaving the block stops consuming first, then takes down the rest."""
    async with foundation(name, settings) as base, build(settings, base):
        if base.maybe_bus is not None:
            await base.maybe_bus.start()
        base.health.started = True
        log.info("service-started")
        try:
            yield base
        finally:
            base.health.started = False
            log.info("service-stopping")
            if base.maybe_bus is not None:
                await base.maybe_bus.stop()


async def run_until_stopped(name: str, settings: Settings, build: Build[Settings]) -> None:
    """Run with a health address until SIGTERM or SIGINT; raise what a background task raised."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(name, settings, build) as base, health.serving(base.health, settings.health_address):
        # What was made until now stays. Looked through at each full collection, it would hold up answers for 80 ms.
        gc.collect()
        gc.freeze()
        await base.tasks.wait(stop)


def run(name: str, settings: Settings, build: Build[Settings]) -> None:
    """Entry point of `python -m <service>`."""
    asyncio.run(run_until_stopped(name, settings, build))

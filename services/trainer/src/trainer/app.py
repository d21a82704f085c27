"""The only wiring: settings in, a running worker out."""

import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from pathlib import Path

from contracts.fleet.v1 import fleet_pb2
from kit.rpc import channel
from kit.service import Foundation

from trainer.cache import Cache
from trainer.fleet import Fleet
from trainer.preparation import Preparation
from trainer.process import Nursery
from trainer.round import Tools
from trainer.scoring import Scorer
from trainer.scoring_service import ScoringService
from trainer.service import Worker
from trainer.settings import TrainerSettings


@asynccontextmanager
async def build(settings: TrainerSettings, base: Foundation[TrainerSettings]) -> AsyncIterator[None]:
    """Wire the worker; on leaving, it saves a checkpoint, hands its lease back and is gone."""
    nursery = Nursery(settings.threads, warm=settings.warm_start)
    with _work_folder(settings) as folder:
        async with channel(settings.registry_address, settings.fleet_token) as registry:
            fleet = Fleet(registry, _introduction(settings), settings.deadline_seconds, settings.submit_seconds)
            cache = Cache(folder / "cache", base.blobs, settings.cache_bytes)
            tools = Tools(
                fleet=fleet,
                blobs=base.blobs,
                preparation=Preparation(cache, settings.presets.absolute()),
                nursery=nursery,
                report_seconds=settings.report_seconds,
                stop_seconds=settings.stop_seconds,
            )
            scoring = ScoringService(registry, settings.worker_id, settings.deadline_seconds)
            scorer = Scorer(scoring, cache, nursery, folder / "attempts")
            worker = Worker(tools, cache, folder / "attempts", scorer)
            base.health.add("registry", worker.ready)
            task = base.tasks.create_task(worker.run(), name="worker")
            try:
                yield
                worker.stop()
                await task
            finally:
                await base.tasks.cancel()
                await nursery.close()


@contextmanager
def _work_folder(settings: TrainerSettings) -> Iterator[Path]:
    if settings.work_folder is not None:
        settings.work_folder.mkdir(parents=True, exist_ok=True)
        yield settings.work_folder.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="potluck-trainer-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _introduction(settings: TrainerSettings) -> fleet_pb2.Worker:
    return fleet_pb2.Worker(
        worker_id=settings.worker_id,
        hostname=socket.gethostname(),
        presets=settings.offered_presets,
        software=f"deepmd-kit {version('deepmd-kit')}, torch {version('torch')}",
    )

"""The only wiring: settings in, a running worker out."""

import asyncio
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
from trainer.hardware import this_machine
from trainer.launcher import Launcher
from trainer.launchers.dpdispatcher import ClusterSettings, Dpdispatcher
from trainer.launchers.local import Local
from trainer.launchers.torchrun import Torchrun
from trainer.meter import Held, metering
from trainer.preparation import Preparation
from trainer.preset import preset_names
from trainer.process import Nursery
from trainer.round import Tools
from trainer.scoring import Scorer
from trainer.scoring_service import ScoringService
from trainer.service import Worker
from trainer.settings import TrainerSettings


@asynccontextmanager
async def build(settings: TrainerSettings, base: Foundation[TrainerSettings]) -> AsyncIterator[None]:
    """Wire the worker; on leaving, it saves a checkpoint, hands its lease back and is gone."""
    launcher = await asyncio.to_thread(chosen, settings)
    nursery = Nursery(launcher, settings.threads, warm=settings.warm_start)
    with _work_folder(settings) as folder:
        async with channel(settings.registry_address, settings.fleet_token, settings.registry_tls) as registry:
            introduction = await asyncio.to_thread(_introduction, settings, launcher)
            fleet = Fleet(registry, introduction, settings.deadline_seconds, settings.submit_seconds)
            cache = Cache(folder / "cache", base.blobs, settings.cache_bytes)
            tools = Tools(
                fleet=fleet,
                blobs=base.blobs,
                preparation=Preparation(cache, settings.presets.absolute()),
                nursery=nursery,
                report_seconds=settings.report_seconds,
                stop_seconds=settings.stop_seconds,
                meter=metering(held(settings, launcher, introduction)),
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


def chosen(settings: TrainerSettings) -> Launcher:
    """The launcher that the settings name. Raises ValueError when its file is wrong, or where a process has no GPU."""
    match settings.launcher:
        case "torchrun":
            gpus = len(this_machine().gpus)
            processes = settings.torchrun_processes or max(1, gpus)
            if settings.torchrun_nodes == 1 and 0 < gpus < processes:
                raise ValueError(
                    f"torchrun_processes is {processes}, and this machine shows {gpus} GPUs, one for each process: set "
                    "fewer, or CUDA_VISIBLE_DEVICES to nothing to train on CPUs"
                )
            return Torchrun(processes, settings.torchrun_nodes, settings.torchrun_prefix, settings.torchrun_endpoint)
        case "dpdispatcher" if settings.dpdispatcher_file is not None:
            file = settings.dpdispatcher_file.absolute()
            cluster = Dpdispatcher(file, ClusterSettings.load(file))
            cluster.check()
            return cluster
        case _:
            return Local()


def held(settings: TrainerSettings, launcher: Launcher, introduced: fleet_pb2.Worker) -> Held:
    """What an attempt holds, and whether this machine's counters tell its energy."""
    gpus = len(introduced.gpu_devices)
    if isinstance(launcher, Dpdispatcher):
        return Held(introduced.cpu_cores, gpus, here=False)
    # A process trains on one GPU.
    here = not isinstance(launcher, Torchrun) or settings.torchrun_nodes == 1
    return Held(settings.threads * launcher.processes, min(gpus, launcher.processes), here)


def _introduction(settings: TrainerSettings, launcher: Launcher) -> fleet_pb2.Worker:
    hardware = launcher.hardware()
    deepmd, torch = version("deepmd-kit"), version("torch")
    if isinstance(launcher, Dpdispatcher):
        deepmd, torch = launcher.settings.deepmd or deepmd, launcher.settings.torch or torch
    return fleet_pb2.Worker(
        worker_id=settings.worker_id,
        hostname=socket.gethostname(),
        gpus=[gpu.name for gpu in hardware.gpus],
        gpu_devices=[fleet_pb2.Gpu(name=gpu.name, memory_bytes=gpu.memory_bytes) for gpu in hardware.gpus],
        cpu_name=hardware.cpu_name,
        cpu_cores=hardware.cpu_cores,
        memory_bytes=hardware.memory_bytes,
        presets=settings.offered_presets or preset_names(settings.presets),
        software=f"deepmd-kit {deepmd}, torch {torch}",
        deepmd_version=deepmd,
        torch_version=torch,
        launcher=launcher.name,
        processes=launcher.processes,
    )

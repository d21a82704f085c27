"""What an attempt used, and that nothing is told where the hardware does not tell."""

import ctypes
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from contracts.fleet.v1 import fleet_pb2 as pb
from trainer.energy import Nvml, Rapl
from trainer.fleet import hardware_of
from trainer.meter import Held, Meter, metering

NVML = """
#include <stddef.h>
static int handles[2];
static unsigned long long read[2] = {5000, 70000};
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (index > 1) return 2;
    *device = &handles[index];
    return 0;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) { *device = &handles[uuid[4] - '0']; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) {
    *energy = read[device == &handles[1]] += 1000;
    return 0;
}
"""


@dataclass
class Fixed:
    now: float | None

    def joules(self) -> float | None:
        return self.now


def package(folder: Path, name: str, energy: int, wraps_at: int = 1_000_000) -> None:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{energy}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{wraps_at}\n")


def test_packages_are_summed_across_the_wrap(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", 900_000)
    package(tmp_path, "intel-rapl:1", 0)
    package(tmp_path, "intel-rapl:0:0", 500_000)  # cores of package 0: counted with it
    rapl = Rapl(tmp_path)
    assert rapl.joules() == 0
    package(tmp_path, "intel-rapl:0", 100_000)  # 0.2 J, over the end
    package(tmp_path, "intel-rapl:1", 300_000)
    assert rapl.joules() == pytest.approx(0.5)
    assert rapl.joules() == pytest.approx(0.5)


def test_without_readable_counters_nothing_is_told(tmp_path: Path) -> None:
    assert Rapl(tmp_path / "nowhere").joules() is None
    assert Rapl(tmp_path).joules() is None
    package(tmp_path, "intel-rapl:0", 1)
    rapl = Rapl(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert rapl.joules() is None
    none = Nvml(None, 8, "libno-such-library.so")
    assert (none.gpus, none.joules()) == (0, None)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A driver's library with two GPUs, each taking 1 J between readings."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("nvml")
    (folder / "nvml.c").write_text(NVML)
    target = folder / "libnvml.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, folder / "nvml.c"], check=True)
    ctypes.CDLL(str(target))
    return str(target)


@pytest.mark.parametrize(
    ("visible", "gpus"), [(None, 2), ("1", 1), ("0,1", 2), ("GPU-1", 1), ("", 0), ("7", 0), ("MIG-1", 0)]
)
def test_the_gpus_that_cuda_shows_are_counted(library: str, visible: str | None, gpus: int) -> None:
    nvml = Nvml(visible, 8, library)
    assert nvml.gpus == gpus
    first, second = nvml.joules(), nvml.joules()
    if gpus == 0:
        assert first is second is None
    else:
        assert first is not None
        assert second == first + gpus


def test_time_counts_by_what_is_held() -> None:
    seconds = [100.0]
    cpu, gpu = Fixed(10.0), Fixed(None)
    meter = Meter(Held(4, 2), cpu, gpu, clock=lambda: seconds[0])
    seconds[0], cpu.now = 1900.0, 3.6e6 + 10
    assert (meter.used().core_seconds, meter.used().gpu_seconds) == (7200, 3600)
    cost = meter.cost()
    assert (cost.core_hours, cost.gpu_hours, cost.cpu_energy_kwh, cost.gpu_energy_kwh) == (2, 1, 1, None)
    gpu.now = 5.0  # it began to tell in the middle: what was before is not known
    assert meter.used().gpu_joules is None
    cpu.now = 1.0  # it began anew
    assert meter.used().cpu_joules is None
    meter.trains_on("cuda:0")
    assert meter.used().gpu_seconds == 3600
    meter.trains_on("cpu")
    assert (meter.used().gpu_seconds, meter.used().gpu_joules) == (0, None)


def test_a_job_elsewhere_counts_from_its_start_and_tells_no_energy() -> None:
    seconds = [0.0]
    meter = Meter(Held(64, 4, here=False), Fixed(None), Fixed(None), clock=lambda: seconds[0])
    seconds[0] = 5000.0  # in the queue
    assert meter.used().core_seconds == 0
    meter.trains_on("cuda:0")
    seconds[0] += 3600
    cost = meter.cost()
    assert (cost.core_hours, cost.gpu_hours, cost.cpu_energy_kwh, cost.gpu_energy_kwh) == (64, 4, None, None)
    assert metering(Held(64, 4, here=False))().used().cpu_joules is None


def test_gpus_beyond_those_that_are_trained_on_are_not_counted(library: str) -> None:
    one = Nvml(None, 1, library)
    assert one.gpus == 1
    first = one.joules()
    assert first is not None
    assert one.joules() == first + 1


def test_hardware_is_what_was_announced() -> None:
    worker = pb.Worker(
        cpu_name="Example 9000", cpu_cores=16, gpu_devices=[pb.Gpu(name="Example GPU", memory_bytes=80 << 30)]
    )
    told = hardware_of(worker, "cuda")
    assert (told.cpu, told.cpu_cores, told.memory_bytes, told.device) == ("Example 9000", 16, None, "cuda")
    assert [(gpu.name, gpu.memory_bytes) for gpu in told.gpus] == [("Example GPU", 80 << 30)]
    nothing = hardware_of(pb.Worker(), "cpu")
    assert (nothing.cpu, nothing.cpu_cores, nothing.gpus) == (None, None, ())

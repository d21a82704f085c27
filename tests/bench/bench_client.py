"""What the client costs: its import, `potluck --help`, and a download next to curl's from the same gateway.

Times of starting are told as they are and next to that of `python -c pass`; the smallest of some rounds counts, because
whatever else the machine does only adds. A download is the SDK's, SHA-256 and all; curl's writes the same bytes.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench_service import service_process
from gateway_bench import PASSWORD
from ports import free_port
from potluck import Client

ROUNDS = 7
DOWNLOADS = 5
SIZE = 512 << 20
IMPORT_SECONDS, HELP_SECONDS = 0.150, 0.300
OF_CURL = 0.9
Environment = Callable[[str], dict[str, str]]


@dataclass(frozen=True)
class Start:
    """The best of several starts, s. Processor time is what a busy machine disturbs least."""

    wall: float
    processor: float
    said: str


def best(*line: str) -> Start:
    walls, processors, said = [], [], ""
    for _ in range(ROUNDS):
        before, begun = used(resource.RUSAGE_CHILDREN), time.perf_counter()
        said = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout
        walls.append(time.perf_counter() - begun)
        processors.append(used(resource.RUSAGE_CHILDREN) - before)
    return Start(min(walls), min(processors), said)


def used(whose: int) -> float:
    """Processor time so far, s."""
    usage = resource.getrusage(whose)
    return usage.ru_utime + usage.ru_stime


def test_start() -> None:
    nothing = best(sys.executable, "-c", "pass")
    sdk = best(sys.executable, "-c", "from potluck import Client; print(Client.__name__)")
    command = best(str(Path(sys.executable).with_name("potluck")), "--help")
    assert sdk.said == "Client\n"
    assert "upload" in command.said
    for name, one, most in (("import", sdk, IMPORT_SECONDS), ("--help", command, HELP_SECONDS)):
        print(
            f"\npotluck {name}: {1000 * one.wall:.0f} ms (processor {1000 * one.processor:.0f} ms),"
            f" {one.wall / nothing.wall:.1f}× python -c pass ({1000 * nothing.wall:.0f} ms);"
            f" to be reached: {1000 * most:.0f} ms"
        )


def test_download(service_env: Environment, fresh_streams: object, tmp_path: Path) -> None:
    """Files alternate, so that both meet the same moments of the machine; the median of the ratios counts."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl here to compare with")
    url = f"http://127.0.0.1:{free_port()}"
    environment = service_env("gateway") | {"POTLUCK_GATEWAY_ADDRESS": url.removeprefix("http://")}
    archive = tmp_path / "large.bin"
    block = os.urandom(8 << 20)
    with archive.open("wb") as file:
        for number in range(SIZE // len(block)):
            file.write(number.to_bytes(8) + block[8:])
    with service_process("gateway", environment, tmp_path / "gateway.log"):
        with Client(url, state_folder=tmp_path / "state") as anonymous:
            anonymous.sign_up("bench@example.org", "bench", PASSWORD)
            token = anonymous.new_token("bench@example.org", PASSWORD, "bench")
        with Client(url, token, state_folder=tmp_path / "state") as client:
            dataset = client.upload(archive, name="bench", authors=["bench"], shared_only=True)
            (file_,) = client.archive_files(client.dataset(dataset.id))
            ratios, processor = [], []
            for number in range(DOWNLOADS):
                before, begun = used(resource.RUSAGE_CHILDREN), time.perf_counter()
                plain = tmp_path / f"curl-{number}"
                subprocess.run(
                    [curl, "-sfo", plain, "-H", f"Authorization: Bearer {token}", url + file_.url], check=True
                )
                by_curl = time.perf_counter() - begun
                curls = used(resource.RUSAGE_CHILDREN) - before
                assert plain.stat().st_size == SIZE
                plain.unlink()
                before, begun = used(resource.RUSAGE_SELF), time.perf_counter()
                path = client.download(file_, tmp_path / f"own-{number}")
                own = time.perf_counter() - begun
                owns = used(resource.RUSAGE_SELF) - before
                assert path.stat().st_size == SIZE
                path.unlink()
                ratios.append(by_curl / own)
                processor.append(owns / curls)
                print(
                    f"\n{SIZE >> 20} MiB: potluck {SIZE / own / 1e6:,.0f} MB/s ({owns:.2f} s of processor),"
                    f" curl {SIZE / by_curl / 1e6:,.0f} MB/s ({curls:.2f} s), {by_curl / own:.2f}×"
                )
    ratio = statistics.median(ratios)
    print(
        f"\npotluck download: {ratio:.2f}× curl, SHA-256 included; to be reached: {OF_CURL}×;"
        f" processor time {statistics.median(processor):.2f}× curl's"
    )

"""What the client costs: its import, `potluck --help`, and a download next to curl's from the same gateway.

Times of starting are told as they are and next to that of `python -c pass`; the smallest of some rounds counts, because
whatever else the machine does only adds. A download is the SDK's, SHA-256 and all; curl's writes the same bytes.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_service import service_process
from gateway_bench import PASSWORD
from onemachine.process import free_port
from potluck import Client

ROUNDS = 7
DOWNLOADS = 5
SIZE = 512 << 20
IMPORT_SECONDS, HELP_SECONDS = 0.150, 0.300
OF_CURL = 0.9
Environment = Callable[[str], dict[str, str]]


def best(*line: str) -> float:
    """The shortest of several runs, s."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        took.append(time.perf_counter() - begun)
    return min(took)


def test_start() -> None:
    nothing = best(sys.executable, "-c", "pass")
    sdk = best(sys.executable, "-c", "from potluck import Client")
    command = best(str(Path(sys.executable).with_name("potluck")), "--help")
    for name, seconds, most in (("import", sdk, IMPORT_SECONDS), ("--help", command, HELP_SECONDS)):
        print(
            f"\npotluck {name}: {1000 * seconds:.0f} ms, {seconds / nothing:.1f}× python -c pass"
            f" ({1000 * nothing:.0f} ms); at most {1000 * most:.0f} ms"
        )
        assert seconds < most


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
            ratios = []
            for number in range(DOWNLOADS):
                begun = time.perf_counter()
                plain = tmp_path / f"curl-{number}"
                subprocess.run(
                    [curl, "-sfo", plain, "-H", f"Authorization: Bearer {token}", url + file_.url], check=True
                )
                by_curl = time.perf_counter() - begun
                plain.unlink()
                begun = time.perf_counter()
                path = client.download(file_, tmp_path / f"own-{number}")
                own = time.perf_counter() - begun
                path.unlink()
                ratios.append(by_curl / own)
                print(
                    f"\n{SIZE >> 20} MiB: potluck {SIZE / own / 1e6:,.0f} MB/s, curl {SIZE / by_curl / 1e6:,.0f} MB/s,"
                    f" {by_curl / own:.2f}×"
                )
    ratio = statistics.median(ratios)
    print(f"\npotluck download: {ratio:.2f}× curl, SHA-256 included; at least {OF_CURL}×")
    assert ratio >= OF_CURL

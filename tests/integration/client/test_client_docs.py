"""docs/sdk.md: every block is executed, in its order; its tables say what the code says."""

import asyncio
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any
from uuid import UUID, uuid4

import httpx
import pytest
from contracts import keys
from contracts.artifacts import FormatCatalog, FormatInfo
from contracts.base import DatasetRef
from contracts.events import ModelFile
from contracts.keys import FORMAT_CATALOG
from gateway_examples import finished, passed, published, queued, report, started, validated
from kit.blobs import Blobs
from potluck import Client
from potluck.asynchronous import AsyncClient
from potluck.config import Settings
from potluck.errors import Exit

PAGE = Path(__file__).parents[3] / "docs/sdk.md"
PLACEHOLDER = "https://potluck.example.org"
EMAIL, PASSWORD = "ada@example.org", "a long enough password"
MODEL = b"weights of a model"


def blocks() -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


class Reader:
    """Somebody who does what the page says, in a folder of their own, and approves what their browser shows."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.said = ""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_")}
        self._environment = kept | {
            "HOME": str(folder),
            "POTLUCK_HOME": str(folder / "potluck"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        (folder / ".state").touch()

    def shell(self, text: str) -> None:
        """One block; its variables are there in the next."""
        script = f"set -aeuo pipefail\n. ./.state\n{text}\nexport -p > .state"
        self._run(["bash", "-c", script])

    def python(self, text: str) -> None:
        (self.folder / "snippet.py").write_text(text)
        self._run(["bash", "-c", f". ./.state\nexec {sys.executable} snippet.py"])

    def set(self, name: str, value: str) -> None:
        with (self.folder / ".state").open("a") as state:
            state.write(f"export {name}='{value}'\n")

    def _run(self, line: list[str]) -> None:
        child = subprocess.Popen(
            line, cwd=self.folder, env=self._environment, text=True, stdout=-1, stderr=-1, stdin=subprocess.DEVNULL
        )
        assert child.stderr is not None
        errors: list[str] = []
        watch = threading.Thread(target=self._watch, args=(child.stderr, errors))
        watch.start()
        assert child.stdout is not None
        self.said = child.stdout.read()
        code = child.wait(timeout=60)
        watch.join()
        assert code == 0, (line[-1], self.said, "".join(errors))

    def _watch(self, errors: IO[str], kept: list[str]) -> None:
        for line in errors:
            kept.append(line)
            if found := re.search(r"approve the code (\S{9})", line):
                self._approve(found[1])

    def _approve(self, code: str) -> None:
        with httpx.Client(base_url=self.url, headers={"accept": "text/html"}) as browser:
            browser.post("/api/v1/sessions", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
            data = {"code": code, "decision": "approve", "scopes": ["read", "contribute"], "expires_days": "90"}
            assert browser.post("/device", data=data).status_code == 303


def train_on(gateway_process: Any, blobs: Blobs, dataset_id: str) -> None:
    """What the other services say of a dataset that passes, trains and is in a model."""
    ref, round_id = DatasetRef(dataset_id=UUID(dataset_id), version=1), uuid4()
    picture = asyncio.run(blobs.put_bytes("metric/run/parity-force.svg", b"<svg/>"))
    stored = asyncio.run(blobs.put_model("metric/run/report.json", report(ref, {"parity-force.svg": picture})))
    key = keys.model_file("1.1", "0" * 64, "model.pt")
    weights = ModelFile(name="model.pt", blob=asyncio.run(blobs.put_bytes(key, MODEL)), kind="checkpoint")
    for service, event in (
        ("ingest", validated(ref)),
        ("metric", passed(ref, stored)),
        ("registry", queued(round_id, ref)),
        ("registry", started(round_id)),
        ("registry", finished(round_id)),
        ("registry", published(round_id, ref, files=(weights,))),
    ):
        gateway_process.say(service, event)


def test_every_block_does_what_it_says(gateway_process: Any, tmp_path: Path) -> None:
    blobs = Blobs(gateway_process.blobs.as_uri())
    formats = (FormatInfo(name="vasp/outcar", title="VASP OUTCAR", reads="file", names=("OUTCAR*",)),)
    asyncio.run(blobs.put_model(FORMAT_CATALOG, FormatCatalog(dpdata_version="1.1.0", formats=formats)))
    with Client(gateway_process.url, state_folder=tmp_path / "other") as anonymous:
        anonymous.sign_up(EMAIL, "Ada Lovelace", PASSWORD)
        token = anonymous.new_token(EMAIL, PASSWORD, "other")
    folder = tmp_path / "reader"
    (folder / "many").mkdir(parents=True)
    for name in ("si", "si-2", "private", "private-2", "look", "many/1", "many/2", "many/3"):
        (folder / f"{name}.tar.xz").write_bytes(os.urandom(1000))
    reader = Reader(gateway_process.url, folder)
    reader.set("TOKEN", token)
    executed = 0
    for language, text in blocks():
        text = text.replace(PLACEHOLDER, gateway_process.url)
        reader.shell(text) if language == "sh" else reader.python(text)
        executed += 1
        if "potluck upload si.tar.xz" in text:
            with Client(gateway_process.url, token) as client:
                train_on(gateway_process, blobs, client.datasets(mine=True)[0].id)
        if "potluck cite" in text:
            assert "model 1.1 is published" in reader.said
            assert (folder / "report/report.json").is_file()
            assert (folder / "report/parity-force.svg").read_bytes() == b"<svg/>"
            assert (folder / "si.bib").read_text().lstrip().startswith("@")
    assert executed > 10
    assert "There are: 1.1" in reader.said
    assert (folder / "archive/si.tar.xz").read_bytes() == (folder / "si.tar.xz").read_bytes()
    assert "licence" in (folder / "potluck/config.toml").read_text()


@pytest.mark.parametrize("language", sorted({language for language, _ in blocks()}))
def test_every_language_of_the_page_is_executed(language: str) -> None:
    assert language in ("sh", "python")


def test_tables_are_complete() -> None:
    page = PAGE.read_text()
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert codes == {*map(int, Exit), 2}
    for name in Settings.__dataclass_fields__:
        assert f"| `{name}` | `POTLUCK_{name.upper()}`" in page
    table = page.partition("## The SDK")[2]
    methods = {name for name in vars(AsyncClient) if not name.startswith("_")} - {"run", "close"}
    assert {name for name in methods if f"`{name}`" not in table} == set()

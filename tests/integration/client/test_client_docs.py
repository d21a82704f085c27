"""docs/sdk.md: every block is executed, in its order; its tables say what the code says."""

import asyncio
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
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
from snippets import Reader, snippets_of

PAGE = Path(__file__).parents[3] / "docs/sdk.md"
PLACEHOLDER = "https://potluck.example.org"
EMAIL, PASSWORD = "ada@example.org", "a long enough password"
MODEL = b"weights of a model"


def approve(url: str, line: str) -> None:
    """What somebody does who reads the code in their terminal, and is signed in with their browser."""
    if not (found := re.search(r"approve the code (\S{9})", line)):
        return
    with httpx.Client(base_url=url, headers={"accept": "text/html"}, timeout=60) as browser:
        browser.post("/api/v1/sessions", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
        data = {"code": found[1], "decision": "approve", "scopes": ["read", "contribute"], "expires_days": "90"}
        assert browser.post("/device", data=data).status_code == 303


def environment_of(folder: Path, token: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_")}
    return kept | {
        "HOME": str(folder),
        "POTLUCK_HOME": str(folder / "potluck"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TOKEN": token,
    }


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
    url = gateway_process.url
    reader = Reader(folder, environment_of(folder, token), hears=partial(approve, url))
    snippets, said = snippets_of(PAGE.read_text().replace(PLACEHOLDER, url)), ""
    for one in snippets:
        said = reader.does(one, PAGE.name)
        if "potluck upload si.tar.xz" in one.body:
            with Client(url, token) as client:
                train_on(gateway_process, blobs, client.datasets(mine=True)[0].id)
        if "potluck cite $ID" in one.body:
            assert "model 1.1 is published" in said
            assert (folder / "report/report.json").is_file()
            assert (folder / "report/parity-force.svg").read_bytes() == b"<svg/>"
            assert (folder / "si.bib").read_text().lstrip().startswith("@")
    assert len(snippets) > 10
    assert "There are: 1.1" in said
    assert (folder / "archive/si.tar.xz").read_bytes() == (folder / "si.tar.xz").read_bytes()
    assert (folder / "model/CITATION.cff").read_text().startswith("cff-version")
    assert "licence" in (folder / "potluck/config.toml").read_text()


def test_every_block_of_the_page_is_executed() -> None:
    assert len(snippets_of(PAGE.read_text())) == PAGE.read_text().count("\n```\n")


def test_tables_are_complete() -> None:
    page = PAGE.read_text()
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert codes == {*map(int, Exit), 2}
    for name in Settings.__dataclass_fields__:
        assert f"| `{name}` | `POTLUCK_{name.upper()}`" in page
    table = page.partition("## The SDK")[2]
    methods = {name for name in vars(AsyncClient) if not name.startswith("_")} - {"run", "close"}
    assert {name for name in methods if f"`{name}`" not in table} == set()

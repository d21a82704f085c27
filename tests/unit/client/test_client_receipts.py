"""`potluck receipt`: genuine ones are shown, changed ones refused, and the documented lines of Python do the same."""

import io
import json
import re
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

import contracts.signed
import potluck.cli.options
import potluck.cli.receipt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from potluck import signing
from potluck.cli.app import run
from potluck.client import Client

Command = Callable[..., int]
KEY = Ed25519PrivateKey.from_private_bytes(b"7" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
KEY_ID = sha256(PUBLIC).hexdigest()[:16]
DOCS = Path(__file__).parents[3] / "docs" / "receipts.md"


def signed(**changed: Any) -> dict[str, Any]:
    errors = {"energy_rmse_mev_per_atom": 80, "force_rmse_mev_per_angstrom": 1971.25}
    receipt = {
        "kind": "potluck-receipt/1",
        "dataset_id": "639f4701-28cf-5202-a596-90f2aee8a5ed",
        "issued": "2026-11-25T19:02:11Z",
        "outcome": "published",
        "failed_rules": [],
        "model_version": "1.1",
        "branch": "sic-é",
        "weight": 0.5,
        "own": {"before": errors, "after": {**errors, "force_rmse_mev_per_angstrom": 404}},
        "others": {"branches": 2, "before": errors, "after": errors, "largest_force_rise_percent": -1.5},
        "standard": {"before": None, "after": 0.3725},
    } | changed
    value = b64encode(KEY.sign(signing.canonical(receipt))).decode()
    return {"receipt": receipt, "signature": {"algorithm": "Ed25519", "key_id": KEY_ID, "value": value}}


@pytest.fixture
def command(new_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setattr(potluck.cli.options, "Client", lambda server, **_: new_client())

    def potluck_command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        return int(ended.value.code or 0)

    return potluck_command


@pytest.fixture
def dataset(fake: Any) -> list[dict[str, Any]]:
    """Receipts of dataset `d`, newest first."""
    fake.datasets["d"] = {"id": "d", "name": "SiC", "stage": "done", "state": "published"}
    fake.receipts["d"] = [signed(), signed(outcome="withheld", model_version=None, failed_rules=["remembered"])]
    fake.keys = [{"key_id": KEY_ID, "public_key": b64encode(PUBLIC).decode(), "since": "2026-11-01T00:00:00Z"}]
    found: list[dict[str, Any]] = fake.receipts["d"]
    return found


@pytest.mark.usefixtures("dataset")
def test_receipts_are_fetched_verified_and_kept(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "receipts.json"
    assert command("receipt", "d", "--save", str(kept)) == 0
    shown = capsys.readouterr().out
    for words in ("DPA 1.1", "1971 → 404 meV/Å", "withheld (remembered)", "2 other branches", KEY_ID):
        assert words in shown

    def no_network(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("offline")

    # With a key at hand nothing is asked of anybody.
    monkeypatch.setattr(potluck.cli.receipt, "connect", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    assert command("receipt", "--verify", str(kept), "--key", b64encode(PUBLIC).decode()) == 0
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [{"key_id": KEY_ID, "public_key": b64encode(PUBLIC).decode()}]}))
    assert command("receipt", "--verify", str(kept), "--key", str(keys), "--json") == 0


def test_a_changed_receipt_is_refused(
    command: Command, dataset: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset[1]["receipt"]["own"]["after"]["force_rmse_mev_per_angstrom"] = 403
    assert command("receipt", "d") == 1
    assert "changed after it was signed" in capsys.readouterr().err


def test_a_strangers_key_is_refused(
    command: Command, fake: Any, dataset: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    fake.keys = []
    assert command("receipt", "d") == 1
    assert f"key {KEY_ID}, which is none of the platform's" in capsys.readouterr().err
    # An id can be claimed by anybody: what counts is the key.
    other = Ed25519PrivateKey.from_private_bytes(b"8" * 32).public_key().public_bytes_raw()
    fake.keys = [{"key_id": KEY_ID, "public_key": b64encode(other).decode()}]
    assert command("receipt", "d") == 1


@pytest.mark.parametrize("content", ["", "[1]", '{"receipts": [{}]}', '{"receipt": 1}'])
def test_a_file_that_is_no_receipt_is_told(command: Command, tmp_path: Path, content: str) -> None:
    file = tmp_path / "r.json"
    file.write_text(content)
    assert command("receipt", "--verify", str(file), "--key", b64encode(PUBLIC).decode()) == 1


def test_wrong_use_is_told(command: Command, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("receipt") == 2
    assert command("receipt", "d", "--verify", "x.json") == 2
    fake.datasets["d"] = {"id": "d", "name": "SiC", "stage": "train", "state": "training"}
    fake.receipts["d"] = []
    assert command("receipt", "d") == 1
    assert "no receipt yet" in capsys.readouterr().err
    file = DOCS  # exists, and holds no keys
    assert command("receipt", "d", "--key", str(file)) == 1
    assert command("receipt", "d", "--key", "short") == 1


def test_client_and_platform_sign_the_same_bytes() -> None:
    document = signed()["receipt"]
    assert signing.canonical(document) == contracts.signed.canonical(document)


def test_the_documented_lines_verify(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    keys = {"keys": [{"key_id": KEY_ID, "public_key": b64encode(PUBLIC).decode()}]}
    (tmp_path / "potluck-keys.json").write_text(json.dumps(keys))
    receipts = tmp_path / "receipts.json"

    def verifies(*documents: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        receipts.write_text(json.dumps({"receipts": documents}, indent=2))
        return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)

    genuine = signed()
    assert verifies(genuine, signed(weight=0.25)).returncode == 0
    genuine["receipt"]["weight"] = 0.51
    assert "InvalidSignature" in verifies(genuine).stderr


def test_cryptography_is_imported_when_it_is_needed() -> None:
    code = (
        "import sys; import potluck.cli.app; print([name for name in sys.modules if name.startswith('cryptography')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

"""The command: what it prints, what it keeps, and how it exits."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import potluck.cli.options
import pytest
from potluck import config
from potluck.cli.app import run
from potluck.client import Client

SERVER = "http://potluck.test"
Command = Callable[..., int]


@pytest.fixture
def command(new_client: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `potluck …` in this process against the server in memory; the exit code."""

    def connected(server: str | None, *, patience_seconds: float = 10.0, **_: Any) -> Client:
        return new_client(server, None, patience_seconds=patience_seconds)

    monkeypatch.setattr(potluck.cli.options, "Client", connected)

    def potluck_command(*arguments: str, stdin: str = "") -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as ended:
            run(arguments)
        return int(ended.value.code or 0)

    return potluck_command


@pytest.fixture
def signed_in(command: Command) -> Command:
    assert (
        command("login", "--server", SERVER, "--email", "a@b.example", "--password-stdin", stdin="right horse\n") == 0
    )
    return command


def test_login_keeps_the_token_for_this_user_alone(signed_in: Command, tmp_path: Path) -> None:
    credentials = tmp_path / "home" / "credentials.json"
    assert credentials.stat().st_mode & 0o777 == 0o600
    assert config.chosen_server(None) == SERVER
    assert config.token_for(SERVER) == "token-of-a-test"
    assert config.token_for("http://elsewhere.test") is None
    assert "right horse" not in credentials.read_text()


def test_a_wrong_password_is_told_in_words(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = command("login", "--server", SERVER, "--email", "a@b.example", "--password-stdin", stdin="wrong\n")
    said = capsys.readouterr().err
    assert code == 3
    assert "The e-mail address or the password is wrong." in said
    assert "Traceback" not in said
    assert not (tmp_path / "home" / "credentials.json").exists()


def test_nobody_to_ask_is_told(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("login", "--server", SERVER) == 1
    said = capsys.readouterr().err
    for way in ("--browser", "--token-stdin", "--email"):
        assert way in said


def test_upload_for_a_script(
    signed_in: Command, fake: Any, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "about.md").write_text("# Silicon\nσ")
    capsys.readouterr()
    code = signed_in(
        "upload",
        str(archive),
        "--name",
        "Si",
        "--author",
        "First",
        "--author",
        "Second",
        "--format",
        "qe/pw/scf",
        "--licence",
        "CC0-1.0",
        "--private",
        "--description",
        str(tmp_path / "about.md"),
        "--functional",
        "PBE",
        "--cutoff-ev",
        "520",
        "--k-points",
        "4 4 4",
        "--agree",
        "--json",
    )
    told = json.loads(capsys.readouterr().out)
    assert code == 0
    sent = fake.datasets[told["id"]]
    assert sent["authors"] == ["First", "Second"]
    assert (sent["licence"], sent["private"], sent["format"]) == ("CC0-1.0", True, "qe/pw/scf")
    assert sent["description"] == "# Silicon\nσ"
    assert sent["level_of_theory"] == {"functional": "PBE", "cutoff_ev": 520.0, "k_points": "4 4 4"}
    assert sent["agreement"] is True


def test_nothing_is_published_without_agreement(
    signed_in: Command, fake: Any, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signed_in("upload", str(archive), "--name", "Si", "--author", "A") == 1
    assert "--agree" in capsys.readouterr().err
    assert not fake.uploads


def test_errors_for_a_script_are_json(command: Command, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = command("upload", str(archive), "--name", "Si", "--author", "A", "--agree", "--server", SERVER, "--json")
    error = json.loads(capsys.readouterr().err)["error"]
    assert code == 3
    assert error["what"] == "you are not signed in"
    assert error["where"] == SERVER


def test_an_address_without_its_beginning_is_told(
    command: Command, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not 'you are not signed in' or 'the server does not answer', which send people to look elsewhere."""
    for words in (["models"], ["upload", str(archive), "--name", "Si", "--author", "A", "--agree"]):
        assert command(*words, "--server", "potluck.test:8000") == 1
        said = capsys.readouterr().err
        assert "'potluck.test:8000' is not the address of a platform" in said
        assert "https://potluck.test:8000" in said


@pytest.mark.parametrize(
    ("dataset", "code", "words"),
    [
        (
            {"state": "rejected", "message": {"reason": "no calculation", "remedy": "Add one."}},
            4,
            ["rejected: no calculation", "What to do: Add one."],
        ),
        (
            {"state": "not-passed", "verdict": "covered", "metric": {"coverage": 0.96, "sentence": "96 % covered"}},
            0,
            ["96 % covered"],
        ),
        ({"state": "not-passed", "verdict": "not-sound", "metric": {"coverage": 0.0, "sentence": "cut"}}, 4, ["cut"]),
        (
            {"state": "withheld", "growth": [{"rule": "remembered", "passed": False, "sentence": "rose by 9 %"}]},
            4,
            ["withheld: rose by 9 %", "✗ remembered"],
        ),
        (
            {
                "state": "published",
                "model": "1.1",
                "metric": {"coverage": 0, "force_rmse_zero_shot_mev_per_angstrom": 1971.4},
                "training": {"round_id": "r", "force_rmse_after_mev_per_angstrom": 404},
            },
            0,
            ["model 1.1 is published; force RMSE 1,971 → 404 meV/Å"],
        ),
    ],
)
def test_how_a_contribution_ends(
    signed_in: Command,
    fake: Any,
    capsys: pytest.CaptureFixture[str],
    dataset: dict[str, Any],
    code: int,
    words: list[str],
) -> None:
    fake.datasets["d"] = {"id": "d", "name": "SiC", "stage": "done", **dataset}
    assert signed_in("status", "d", "--follow") == code
    said = capsys.readouterr().out
    for word in words:
        assert word in said


def test_status_of_training_shows_the_curve(signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    curve = [
        {"step": step, "energy_rmse_mev_per_atom": 20.0, "force_rmse_mev_per_angstrom": force}
        for step, force in ((0, 2011.0), (300, 612.0))
    ]
    run_state = {"round_id": "r", "step": 300, "total_steps": 900, "eta_seconds": 40.2, "curve": curve}
    set_aside = {
        "path": "frame.0001/scf.out",
        "rule": "unreadable",
        "reason": "ends early",
        "remedy": "Run it.",
    }
    fake.datasets["d"] = {
        "id": "d",
        "name": "SiC",
        "stage": "train",
        "state": "training",
        "metric": {"coverage": 0.0, "force_rmse_zero_shot_mev_per_angstrom": 1971.0},
        "training": run_state,
        "ingest": {
            "format": "qe/pw/scf",
            "frames": 63,
            "train_frames": 47,
            "held_out_frames": 16,
            "elements": ["C", "Si"],
            "set_aside_count": 1,
            "set_aside": [set_aside],
        },
    }
    assert signed_in("status", "d") == 0
    said = capsys.readouterr().out
    assert "step 300 of 900, force RMSE 612 meV/Å on held-out frames (2,011 before), 40 s left" in said
    assert "set aside: frame.0001/scf.out: ends early → Run it." in said


def test_before_the_first_step_no_time_is_promised(
    signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {"round_id": "r", "step": 0, "total_steps": 900, "eta_seconds": 0.0}
    fake.datasets["d"] = {"id": "d", "name": "SiC", "stage": "train", "state": "training", "training": training}
    assert signed_in("status", "d") == 0
    said = capsys.readouterr().out
    assert "step 0 of 900" in said
    assert "left" not in said


def test_download_takes_the_files_that_were_asked_for(
    signed_in: Command, fake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.add_model("1.1", **{"dpa.pt": b"all", "sic.pth": b"one"})
    assert signed_in("download", "1.1", "--file", "sic.pth", "-o", str(tmp_path / "new")) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["sic.pth"]
    capsys.readouterr()
    assert signed_in("download", "1.1", "--file", "nothing") == 1
    assert "It has: dpa.pt, sic.pth" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on(
    signed_in: Command, fake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.add_model("1.1", **{"dpa.pt": b"all"})

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "download", interrupted)
    assert signed_in("download", "1.1", "-o", str(tmp_path)) == 130
    assert "the same command again goes on" in capsys.readouterr().err


def test_verify_ends_with_4_when_something_differs(
    signed_in: Command, fake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.add_model("1.1", **{"dpa.pt": b"all"})
    assert signed_in("verify", "1.1", str(tmp_path)) == 4
    (tmp_path / "dpa.pt").write_bytes(b"all")
    assert signed_in("verify", "1.1", str(tmp_path)) == 0
    (tmp_path / "dpa.pt").write_bytes(b"ALL")
    capsys.readouterr()
    assert signed_in("verify", "1.1", str(tmp_path), "--json") == 4
    assert json.loads(capsys.readouterr().out)["files"] == {"dpa.pt": "differs"}


def test_an_unknown_version_is_told_with_those_there_are(
    signed_in: Command, fake: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.add_model("1.1", **{"dpa.pt": b"all"})
    fake.models["1.1"]["aliases"] = ["latest"]
    fake.fail("GET", 404)
    assert signed_in("download", "9.9", "-o", str(tmp_path)) == 6
    assert "There are: 1.1 (latest)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("GET", ["status"]),
        ("GET", ["metric", "report"]),
        ("GET", ["receipt"]),
        ("POST", ["metric", "rerun"]),
        ("POST", ["withdraw", "--yes"]),
        ("POST", ["publish", "--agree"]),
    ],
)
def test_what_is_no_id_is_told_with_the_datasets_that_are_ones_own(
    signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str], method: str, words: list[str]
) -> None:
    told = {"type": "urn:potluck:problem:http", "title": "Not Found", "status": 404, "detail": "There is no such page."}
    fake.fail(method, lambda _: httpx.Response(404, json=told, headers={"content-type": "application/problem+json"}))
    fake.datasets["d-1"] = {"id": "d-1", "name": "Silicon", "stage": "done", "state": "published"}
    assert signed_in(*words, "nonsense") == 6
    said = capsys.readouterr().err
    assert "there is no such dataset: 'nonsense' is no id" in said
    assert "Yours are: d-1 (Silicon)" in said


def test_the_agreement_is_in_two_languages(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("agreement", "--language", "fr", "--server", SERVER) == 2
    assert "'fr' is not one of 'en', 'zh'" in capsys.readouterr().err


def test_lists_say_what_to_do_when_they_are_empty(
    signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert signed_in("datasets", "--mine") == 0
    assert signed_in("models") == 0
    said = capsys.readouterr().out
    assert "No datasets yet" in said
    assert "No model yet" in said


def test_ids_in_a_list_are_whole_whatever_the_width(
    signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every other command asks for one, and a list that goes into a pipe has eighty columns."""
    identity = "3e528ab9-57e0-4c5e-9832-723290c8673d"
    one = {"id": identity, "name": "Silicon, strained and displaced, at many volumes", "stage": "done", "model": "1.1"}
    fake.datasets[identity] = one | {"state": "not-passed", "verdict": "not-sound"}
    assert signed_in("datasets", "--mine") == 0
    said = capsys.readouterr().out
    assert identity in said
    assert "not-sound" in said
    assert "…" not in said


def test_all_pages_of_ones_own_datasets_are_listed(
    signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.page_size = 2
    for number in range(5):
        fake.datasets[f"d-{number}"] = {"id": f"d-{number}", "name": "Si", "stage": "done", "state": "published"}
    assert signed_in("datasets", "--mine") == 0
    said = capsys.readouterr().out
    assert [number for number in range(5) if f"d-{number}" in said] == [0, 1, 2, 3, 4]


def test_of_everybodys_datasets_the_newest_are_listed(
    signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(150):
        fake.datasets[f"d-{number}-"] = {"id": f"d-{number}-", "name": "Si", "stage": "done", "state": "published"}
    assert signed_in("datasets") == 0
    said = capsys.readouterr().out
    assert "d-99-" in said
    assert "d-100-" not in said
    assert "The newest 100. Words or --element find the others" in said


@pytest.mark.parametrize("how", [["status", "d"], ["status", "d", "--follow"]])
def test_where_the_dataset_is_to_be_looked_at_is_told(
    signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str], how: list[str]
) -> None:
    fake.datasets["d"] = {"id": "d", "name": "SiC", "stage": "done", "state": "published", "model": "1.1"}
    assert signed_in(*how) == 0
    assert f"{SERVER}/datasets/d\n" in capsys.readouterr().out


def test_versions_are_listed_by_day(signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole timestamp does not fit beside the rest into eighty columns, and was cut."""
    fake.add_model("1.1", **{"dpa.pt": b"all"})
    fake.models["1.1"]["published"] = "2026-11-26T07:51:12.345678Z"
    assert signed_in("models") == 0
    assert " 2026-11-26\n" in re.sub(" *\n", "\n", capsys.readouterr().out)


def test_an_answer_of_something_else_is_told(signed_in: Command, fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake.models["1.1"] = {"version": 11}
    assert signed_in("models") == 1
    said = capsys.readouterr().err
    assert "answer[0].version" in said
    assert "Traceback" not in said


def test_import_is_light() -> None:
    script = "import sys, potluck; sys.exit(any(name in sys.modules for name in ('httpx', 'rich', 'typer')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
    script = (
        "import sys, potluck.cli.app; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'pydantic', 'kit', 'contracts')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("what", ["1.1", f"{SERVER}/models/1.1?lang=zh", f"{SERVER}/api/v1/models/1.1"])
def test_a_version_is_cited_by_its_number_or_its_page(
    command: Command, fake: Any, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    fake.add_model("1.1")
    server = [] if "/" in what else ["--server", SERVER]
    assert command("cite", what, "--format", "cff", *server) == 0
    assert capsys.readouterr().out == "@misc{dpa-1.1} as cff\n"


def test_an_unknown_version_to_cite_is_told_with_those_there_are(
    command: Command, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.add_model("1.1")
    assert command("cite", "9.9", "--server", SERVER, "--json") == 6
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["remedy"] == "There are: 1.1"

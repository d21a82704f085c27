"""What is set where, and who goes first; completion; the list of commands."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from potluck import config
from potluck.asynchronous import AsyncClient
from potluck.cli import lazily
from potluck.cli.app import run
from potluck.client import Client
from potluck.errors import LocalFileError, PotluckError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path))
    for name in ("SERVER", "TOKEN", "LICENCE", "REGION", "AUTHORS", "FOLDER", "PATIENCE_SECONDS", "PARALLEL", "CONFIG"):
        monkeypatch.delenv(f"POTLUCK_{name}", raising=False)
    return tmp_path


def test_option_environment_file_login_built_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.chosen_server(None) == "http://127.0.0.1:8000"
    config.remember(config.SignIn(server="http://login.test", token="t"))
    assert config.chosen_server(None) == "http://login.test"
    (home / "config.toml").write_text('server = "http://file.test/"\nlicence = "CC0-1.0"\nauthors = ["A", "B"]\n')
    assert config.chosen_server(None) == "http://file.test"
    assert config.settings().licence == "CC0-1.0"
    assert config.settings().authors == ("A", "B")
    monkeypatch.setenv("POTLUCK_SERVER", "http://environment.test")
    monkeypatch.setenv("POTLUCK_LICENCE", "CC-BY-NC-4.0")
    monkeypatch.setenv("POTLUCK_AUTHORS", "C; D E")
    assert config.chosen_server(None) == "http://environment.test"
    assert config.settings().licence == "CC-BY-NC-4.0"
    assert config.settings().authors == ("C", "D E")
    assert config.chosen_server("http://option.test") == "http://option.test"


def test_another_file_may_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = home / "other.toml"
    other.write_text("patience_seconds = 5\n")
    monkeypatch.setenv("POTLUCK_CONFIG", str(other))
    assert config.settings().patience_seconds == 5.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("server = ", "this is not TOML"),
        ('sever = "x"', "there is no setting 'sever'"),
        ("server = 7", "7 is not what belongs there"),
        ('authors = "A"', "'A' is not what belongs there"),
        ("patience_seconds = -1", "-1 is not"),
        ("patience_seconds = true", "True is not"),
        ("parallel = 0", "0 is not"),
        ("parallel = 17", "17 is not"),
        ("parallel = 2.5", "2.5 is not"),
    ],
)
def test_a_wrong_file_is_told_by_its_path(home: Path, text: str, words: str) -> None:
    (home / "config.toml").write_text(text)
    with pytest.raises(PotluckError, match=words) as caught:
        config.settings()
    assert str(home / "config.toml") in caught.value.where


def test_a_file_that_is_no_text(home: Path) -> None:
    (home / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(LocalFileError, match="cannot be read"):
        config.settings()


def test_config_says_who_set_what(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "config.toml").write_text('licence = "CC0-1.0"\n')
    monkeypatch.setenv("POTLUCK_SERVER", "http://environment.test")
    monkeypatch.setenv("POTLUCK_TOKEN", "potluck_secret")
    with pytest.raises(SystemExit) as ended:
        run(["config", "--json"])
    said = capsys.readouterr().out
    assert not ended.value.code
    sources = {one["name"]: one["source"] for one in json.loads(said)["settings"]}
    assert sources["server"] == "POTLUCK_SERVER"
    assert sources["licence"] == str(home / "config.toml")
    assert sources["region"] == "built in"
    assert sources["token"] == "POTLUCK_TOKEN"
    assert "potluck_secret" not in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_and_parses(shell: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(["completion", shell])
    script = capsys.readouterr().out
    assert "_POTLUCK_COMPLETE" in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, check=False).returncode == 0


def complete(line: str, home: Path) -> list[str]:
    """What bash would offer behind `line`, by the printed script and the installed command."""
    script = f"""
        eval "$(potluck completion bash)"
        COMP_WORDS=({line}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
        _potluck_completion potluck
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    folder = str(Path(sys.executable).parent)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "POTLUCK_HOME": str(home)}
    done = subprocess.run(["bash", "-c", script], text=True, capture_output=True, env=environment, check=True)
    return done.stdout.split()


def test_bash_completes_commands_and_options(home: Path) -> None:
    assert complete("potluck do", home) == ["download"]
    assert complete("potluck metric re", home) == ["report", "rerun"]
    assert complete("potluck upload --sh", home) == ["--shared-only"]
    assert complete("potluck completion f", home) == ["fish"]


def test_what_the_list_says_is_what_the_commands_say() -> None:
    for name, told in lazily.OWN.items():
        said = " ".join((lazily.own(name).help or "").split())
        assert said.startswith(told.summary), (name, said)


def test_every_command_has_json() -> None:
    for name in lazily.OWN:
        command = lazily.own(name)
        for one in getattr(command, "commands", {"": command}).values():
            assert "--json" in [option for each in one.params for option in each.opts], (name, one.name)


def test_the_two_clients_have_the_same_methods() -> None:
    public = {name for name in dir(Client) if not name.startswith("_")}
    assert public - {name for name in dir(AsyncClient) if not name.startswith("_")} == set()


def test_a_wrong_setting_is_told_with_what_belongs_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POTLUCK_PARALLEL", "nine")
    with pytest.raises(PotluckError) as caught:
        config.settings()
    assert caught.value.where == "POTLUCK_PARALLEL"
    assert caught.value.remedy == "Give a number from 1 to 16."
    monkeypatch.setenv("POTLUCK_PARALLEL", "9")
    assert config.settings().parallel == 9


def test_a_state_folder_that_cannot_be_written_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("POTLUCK_HOME", str(home / "file"))
    with pytest.raises(LocalFileError, match="cannot keep what has to be kept") as caught:
        config.write_private(config.state_folder() / "note.json", {})
    assert "POTLUCK_HOME" in caught.value.remedy


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments", [["config", "--json"], ["--help"], ["completion", "bash"]], ids=lambda one: one[0]
)
def test_output_that_finds_no_room_is_no_fault_of_the_client(home: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "potluck", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert "what was asked for cannot be printed: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr

"""Commands that other packages bring are found by their metadata and imported only when they are called."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = '''
import typer
from potluck.errors import PotluckError
print("imported")

def count(folder: str, as_json: bool = typer.Option(False, "--json")) -> None:
    """Count what is there."""
    if folder == "nowhere":
        raise PotluckError("there is no such folder", where=folder, remedy="Give another.")
    print("counted", folder)
    raise typer.Exit(4)

many = typer.Typer()

@many.command()
def one() -> None:
    print("one")

@many.command()
def two() -> None:
    print("two")
'''


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with a package that brings commands, as pip would leave it."""
    folder = tmp_path / "site"
    info = folder / "counting-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1.0\nSummary: Counts things.\n")
    (info / "entry_points.txt").write_text(
        "[potluck.commands]\n"
        "count = counting:count\nmany = counting:many\nbroken = counting_not_there:x\nmodels = counting:count\n"
    )
    (folder / "counting.py").write_text(MODULE)
    return folder


def potluck(folder: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); " if folder else ""
    code = f"{start}from potluck.cli import main; main()"
    environment = {"COLUMNS": "200", "NO_COLOR": "1", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def test_help_names_them_without_importing_them(installed: Path) -> None:
    said = potluck(installed, "--help").stdout
    assert "Counts things." in said
    assert " many " in said
    assert "imported" not in said


def test_a_function_becomes_a_command(installed: Path) -> None:
    ended = potluck(installed, "count", "here")
    assert ended.stdout.split() == ["imported", "counted", "here"]
    assert ended.returncode == 4
    assert "Count what is there." in potluck(installed, "count", "--help").stdout


def test_its_errors_are_told_as_ours(installed: Path) -> None:
    ended = potluck(installed, "count", "nowhere", "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stderr)["error"]["where"] == "nowhere"


def test_an_application_becomes_a_group(installed: Path) -> None:
    assert potluck(installed, "many", "two").stdout.split() == ["imported", "two"]
    assert "one" in potluck(installed, "many", "--help").stdout


def test_our_own_commands_cannot_be_taken(installed: Path) -> None:
    assert "List the versions" in potluck(installed, "models", "--help").stdout


def test_a_package_that_cannot_be_imported_says_so(installed: Path) -> None:
    ended = potluck(installed, "broken")
    assert ended.returncode == 1
    assert "counting_not_there" in ended.stderr
    assert "Install it again" in ended.stderr


def test_a_typo_is_a_wrong_command_line(installed: Path) -> None:
    ended = potluck(installed, "modells")
    assert ended.returncode == 2
    assert "models" in ended.stderr


def test_the_dry_run_says_what_to_install() -> None:
    """Where the extra is not there: this process sees no entry points at all."""
    code = (
        "import importlib.metadata; importlib.metadata.entry_points = lambda **_: ();"
        "from potluck.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "check", "./data", "--format", "qe/pw/scf"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "`make setup` in a checkout of Potluck" in ended.stderr
    helped = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False, env={"COLUMNS": "200"}
    )
    assert "Needs: `make setup` in a checkout of Potluck" in helped.stdout


def test_nothing_is_looked_for_when_one_of_ours_is_called() -> None:
    """Looking through every installed package takes longer than many a command."""
    code = (
        "import importlib.metadata\n"
        "def never(**_): raise SystemExit('looked for plugins')\n"
        "importlib.metadata.entry_points = never\n"
        "from potluck.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, "models", "--help"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr

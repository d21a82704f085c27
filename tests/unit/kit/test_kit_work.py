"""Work folders: one a process, and a killed process's folder is removed by the next."""

import fcntl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kit.work import work_folder

HOLD = """
import sys
from pathlib import Path
from kit.work import work_folder
with work_folder(Path(sys.argv[1])) as path:
    (path / "half").touch()
    print(path, flush=True)
    sys.stdin.read()
"""


def test_a_folder_goes_with_its_block(tmp_path: Path) -> None:
    with work_folder(tmp_path / "work") as path:
        (path / "frames").mkdir()
        assert path.parent == tmp_path / "work"
    assert list((tmp_path / "work").iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_uses_is_not(tmp_path: Path) -> None:
    def hold() -> tuple[subprocess.Popen[str], Path]:
        arguments = [sys.executable, "-c", HOLD, str(tmp_path)]
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    living, used = hold()
    killed, left = hold()
    killed.kill()
    killed.communicate()
    assert (left / "half").exists()
    with work_folder(tmp_path) as mine:
        assert {path.name for path in tmp_path.iterdir()} == {mine.name, used.name}
    living.communicate()
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_not_locked_yet_when_another_process_starts_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock, seen = fcntl.flock, list[str]()

    def overtaken(file: Any, how: int) -> None:
        if not seen:
            seen.extend(path.name for path in tmp_path.iterdir())
            with work_folder(tmp_path):
                pass
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", overtaken)
    with work_folder(tmp_path) as mine:
        assert len(seen) == 1
        assert [path.name for path in tmp_path.iterdir()] == [mine.name]
        (mine / "half").touch()
    assert list(tmp_path.iterdir()) == []

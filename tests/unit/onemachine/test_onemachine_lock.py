import os
import subprocess
import sys
from pathlib import Path

import pytest
from onemachine.errors import AlreadyRunning
from onemachine.lock import Holder, StateLock

HOLD = """
import sys, pathlib
from onemachine.lock import StateLock
with StateLock(pathlib.Path(sys.argv[1])).held() as announce:
    announce("http://127.0.0.1:8123")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_start_is_told_who_runs(tmp_path: Path) -> None:
    with StateLock(tmp_path).held() as announce:
        announce("http://127.0.0.1:8000")
        with pytest.raises(AlreadyRunning) as caught, StateLock(tmp_path).held():
            pass
        assert StateLock(tmp_path).holder() == Holder(os.getpid(), "http://127.0.0.1:8000")
    assert str(os.getpid()) in str(caught.value)
    assert "http://127.0.0.1:8000" in str(caught.value)
    assert StateLock(tmp_path).holder() is None


def test_the_lock_of_a_killed_holder_is_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert StateLock(tmp_path).holder() == Holder(other.pid, "http://127.0.0.1:8123")
        other.kill()
        other.wait()
        assert StateLock(tmp_path).wait_until_free(5)
    with StateLock(tmp_path).held():
        assert StateLock(tmp_path).holder() == Holder(os.getpid(), "starting")


def test_waiting_for_a_held_lock_ends(tmp_path: Path) -> None:
    with StateLock(tmp_path).held():
        assert not StateLock(tmp_path).wait_until_free(0.2)

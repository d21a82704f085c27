"""Every command of the contributor's and the operator's guide, as it stands there, on a real gateway."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import patience

ROOT = Path(__file__).parents[3]
ARCHIVE = ROOT / "deploy/demo/si-qe-pbe.tar.xz"


def commands(page: str) -> list[str]:
    found = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return [str(one) for one in found]


def test_the_guides_commands_run_in_their_order(gateway_process: Any, tmp_path: Path) -> None:
    shutil.copy(ARCHIVE, tmp_path)
    (tmp_path / "password.txt").write_text("a sentence as a password\n")
    (tmp_path / "about.md").write_text("Diamond silicon, strained and displaced.\n")
    own = {name: value for name, value in os.environ.items() if not name.startswith("POTLUCK_")}
    own["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    contributor = own | {"POTLUCK_HOME": str(tmp_path / "home"), "POTLUCK_SERVER": gateway_process.url}
    operator = gateway_process.environment | {"PATH": own["PATH"]}

    def run(page: str, environment: dict[str, str]) -> list[str]:
        said = []
        for lines in commands(page):
            done = subprocess.run(
                ["bash", "-euc", lines],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=patience.SECONDS,
                check=False,
            )
            assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
            said.append(done.stdout + done.stderr)
        return said

    uploaded, models = run("contribute.md", contributor)
    assert "Strained silicon" in uploaded
    assert "Traceback" not in models
    granted, link = run("operate.md", operator)
    assert "you@example.org" in granted
    assert "/reset" in link

"""What is generated from the contracts is committed, and equals what the code says today."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"


def files(folder: Path) -> dict[str, bytes]:
    wanted = [*folder.glob("schemas/**/*.json"), *folder.glob("src/contracts/*/v1/*_pb2*")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in wanted}


def test_generated_files_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, str(PROTO / "tools" / "generate.py"), str(tmp_path)], check=True, capture_output=True
    )
    generated, committed = files(tmp_path), files(PROTO)
    assert generated.keys() == committed.keys(), "run `make gen` and commit what it adds or removes"
    changed = sorted(name for name in generated if generated[name] != committed[name])
    assert not changed, f"run `make gen` and commit: {changed}"
    assert len(generated) >= 20

"""The archive without its POTCARs: everything else, the same bytes every time."""

import io
import os
import tarfile
from pathlib import Path

import pytest
import zstandard
from ingest.confined.sharing import pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "run 一").mkdir(parents=True)
    (tree / "empty").mkdir()
    (tree / "run 一/OUTCAR").write_bytes(b"out" * 100_000)
    (tree / "run 一/POTCAR").write_bytes(b"secret")
    os.link(tree / "run 一/OUTCAR", tree / "a-link")
    os.link(tree / "run 一/POTCAR", tree / "POTCAR.link")
    return tree


def packed(tree: Path, *without: str) -> bytes:
    output = io.BytesIO()
    pack({"tree": str(tree), "without": list(without)}, [], [output])
    return output.getvalue()


def test_everything_else_is_in_it(folder: Path, tmp_path: Path) -> None:
    data = packed(folder, "run 一/POTCAR", "POTCAR.link")
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)) as stream:
        raw = stream.read()
    assert b"secret" not in raw
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        names = archive.getnames()
        archive.extractall(tmp_path / "out", filter="data")
    assert sorted(names) == ["a-link", "empty", "run 一/OUTCAR"]
    for name in ("a-link", "run 一/OUTCAR"):
        assert (tmp_path / "out" / name).read_bytes() == b"out" * 100_000
    assert (tmp_path / "out/empty").is_dir()
    # The content of the link is there once.
    assert len(raw) < 400_000


def test_equal_trees_give_equal_bytes(folder: Path) -> None:
    first = packed(folder, "run 一/POTCAR", "POTCAR.link")
    os.utime(folder / "a-link", (0, 0))
    (folder / "run 一/OUTCAR").chmod(0o600)
    assert packed(folder, "run 一/POTCAR", "POTCAR.link") == first

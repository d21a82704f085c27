"""What unpacking notices of files is what looking at them finds; where it may not be, they are looked at."""

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ingest.confined import noticed
from ingest.confined.archives import ArchiveLimits, Extraction
from ingest.confined.finding import Format, Tree, each

PW = Format("qe/pw/scf", "files", ("*.in", "*.out"))
OUTPUT = b"\n     Program PWSCF v.6.7MaX starts\n".ljust(9_000, b".")
INPUT = b"&control\n/\n"


LIMITS = ArchiveLimits(max_members=50, max_bytes=10_000_000, max_ratio=100, ratio_from_bytes=1_000_000)
Members = list[tuple[str, bytes]]


def tar(members: Members, encoding: str = "utf-8", link: tuple[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding=encoding) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo(link[0])
            info.type, info.linkname = tarfile.SYMTYPE, link[1]
            archive.addfile(info)
    return buffer.getvalue()


def extract(data: bytes, folder: Path) -> Extraction:
    extraction = Extraction(folder / "tree", LIMITS, len(data))
    extraction.archive(io.BytesIO(data), "data")
    return extraction


def assert_alike(extraction: Extraction) -> None:
    """With what was noticed, and without."""
    told, walked = Tree(extraction.root, extraction.noticed), Tree(extraction.root)
    assert (told.folders, told.files) == (walked.folders, walked.files)
    for path in walked.files:
        assert told.content(path) == walked.content(path), path
        assert told.size(path) == walked.size(path), path
        assert told.head(path) == walked.head(path), path


@pytest.mark.parametrize(
    ("members", "complete"),
    [
        ([("a/scf.in", INPUT), ("a/scf.out", OUTPUT), ("b/c/OUTCAR", b"vasp.6.4 \n".ljust(3000)), ("e", b"")], True),
        ([("__MACOSX/._x", b"x"), ("a/.DS_Store", b"x"), ("a/x", b"y"), (".git/config", b"z"), ("._y", b"")], True),
        ([("硅/计算 1.out", OUTPUT), ("硅/计算 1.in", INPUT)], True),
        ([("text", "Program PWSCF".encode("utf-16").ljust(6000, b" "))], True),
        ([("a.gz", gzip.compress(OUTPUT)), ("b", b"x")], False),
        ([("in.tar", tar([("x/scf.out", OUTPUT)])), ("b", b"x")], False),
        ([("a/scf.out", OUTPUT), ("a/scf.out", b"nothing of the kind")], False),
    ],
)
def test_what_is_noticed_is_what_is_there(members: Members, complete: bool, tmp_path: Path) -> None:
    extraction = extract(tar(members), tmp_path)
    assert extraction.noticed.complete is complete
    assert_alike(extraction)


def test_where_a_link_is_the_tree_is_looked_at(tmp_path: Path) -> None:
    extraction = extract(tar([("a", OUTPUT)], link=("b", "a")), tmp_path)
    assert not extraction.noticed.complete
    assert_alike(extraction)


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    assert_alike(extract(tar([("lös/scf.out", OUTPUT)], encoding="latin-1"), tmp_path))


def test_empty_folders_and_windows_separators_of_a_zip(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (("a/b/", b""), ("a/c/scf.out", OUTPUT), ("d\\x.txt", b"x")):
            archive.writestr(zipfile.ZipInfo(name), content)
    extraction = extract(buffer.getvalue(), tmp_path)
    assert extraction.noticed.complete
    assert_alike(extraction)
    assert set(Tree(extraction.root).folders) == {"", "a", "a/b", "a/c", "d"}


@pytest.mark.parametrize(("name", "most"), [("_MOST_FILES", 3), ("_SMALL_FILES", 20)])
def test_memory_for_it_is_bounded(name: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noticed, name, most)
    extraction = extract(tar([(f"{number}/scf.in", INPUT) for number in range(5)]), tmp_path)
    assert extraction.noticed.complete is (name != "_MOST_FILES")
    assert sum(map(len, extraction.noticed.heads.values())) <= 20
    assert_alike(extraction)


def test_calculations_are_found_without_opening_a_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs are longer than their first lines, which tell; inputs are small."""
    names = [f"{number}/scf" for number in range(4)]
    members = [(f"{name}.{end}", text) for name in names for end, text in (("in", INPUT), ("out", OUTPUT))]
    extraction = extract(tar(members), tmp_path)
    expected = list(each(Tree(extraction.root), PW))
    opened: list[str] = []
    monkeypatch.setattr("ingest.confined.finding.looked_at", _forbidden(opened))
    assert list(each(Tree(extraction.root, extraction.noticed), PW)) == expected
    assert ([one.files for one in expected], opened) == ([(f"{name}.in", f"{name}.out") for name in names], [])


def _forbidden(opened: list[str]) -> Callable[[str], tuple[bytes, int]]:
    def look(path: str) -> tuple[bytes, int]:
        opened.append(os.fspath(path))
        return b"", 0

    return look

"""Archives of strangers: what is good comes out whole, what is bad is refused with the member's name."""

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest.confined.archives import ArchiveLimits, Extraction, Refused

LIMITS = ArchiveLimits(max_members=50, max_bytes=10_000_000, max_ratio=100, ratio_from_bytes=1_000_000)
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def tar(members: dict[str, bytes | tarfile.TarInfo], format_: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format_) as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.name = name
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                archive.addfile(info)
    return buffer.getvalue()


def tar_member(kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo("x")
    info.type, info.linkname = kind, link
    return info


def zipped(members: dict[str, bytes], **attributes: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = attributes.get("mode", 0) << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def extract(data: bytes, folder: Path, filename: str = "data.tar", limits: ArchiveLimits = LIMITS) -> Extraction:
    root = folder / "tree"
    extraction = Extraction(root, limits, len(data))
    extraction.archive(io.BytesIO(data), filename)
    return extraction


def tree(folder: Path) -> dict[str, bytes]:
    root = folder / "tree"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_every_kind_of_tar_comes_out_whole(suffix: str, format_: int, tmp_path: Path) -> None:
    members = {"a/scf.in": b"in", "a/scf.out": b"out" * 5000, "b.txt": b""}
    extract(COMPRESS[suffix](tar(dict(members), format_)), tmp_path, f"data.tar{suffix}")
    assert tree(tmp_path) == members


def test_zip_with_windows_separators(tmp_path: Path) -> None:
    extract(zipped({"a\\OUTCAR": b"x", "b/c/OUTCAR": b"y"}), tmp_path, "data.zip")
    assert tree(tmp_path) == {"a/OUTCAR": b"x", "b/c/OUTCAR": b"y"}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_single_file_keeps_its_name_without_the_compression(suffix: str, tmp_path: Path) -> None:
    extract(COMPRESS[suffix](b"24\nLattice="), tmp_path, f"water.extxyz{suffix}")
    assert tree(tmp_path) == {"water.extxyz": b"24\nLattice="}


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "C:/evil"])
def test_climbing_members_are_refused_by_name(name: str, tmp_path: Path) -> None:
    for data in (tar({"good": b"1", name: b"2"}), zipped({"good": b"1", name: b"2"})):
        with pytest.raises(Refused) as refused:
            extract(data, tmp_path)
        assert refused.value.rule == "archive-climbs"
        assert name in refused.value.reason
    assert not (tmp_path / "evil").exists()


@given(name=st.text(alphabet="ab./\\", min_size=1, max_size=12))
@settings(max_examples=40)
def test_no_name_writes_outside(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("names") / "inner"
    folder.mkdir()
    refusals = []
    for data in (tar({name: b"x"}), zipped({name: b"x"})):
        try:
            extract(data, folder)
        except Refused as refused:
            refusals.append(refused.rule)
    assert set(refusals) <= {"archive-climbs", "archive-bad-name"}
    assert list(folder.parent.iterdir()) == [folder]
    assert [path.name for path in folder.iterdir()] == ["tree"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "../../../etc/passwd"])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_that_leave_are_refused(target: str, kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        extract(tar({"a/link": tar_member(kind, target)}), tmp_path)
    assert refused.value.rule == "archive-climbs"
    assert "a/link" in refused.value.reason


def test_a_link_in_a_zip_that_leaves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="leads out"):
        extract(zipped({"link": b"../secret"}, mode=0o120777), tmp_path)


def test_a_file_cannot_be_written_through_a_link(tmp_path: Path) -> None:
    data = tar({"folder": tar_member(tarfile.SYMTYPE, "other"), "folder/file": b"x", "other/y": b"y"})
    extract(data, tmp_path)
    assert tree(tmp_path) == {"folder/file": b"x", "other/y": b"y"}


def test_links_inside_become_files_and_links_to_nothing_are_noted(tmp_path: Path) -> None:
    members: dict[str, bytes | tarfile.TarInfo] = {
        "a/POTCAR": b"potential",
        "b/POTCAR": tar_member(tarfile.SYMTYPE, "../a/POTCAR"),
        "c/POTCAR": tar_member(tarfile.LNKTYPE, "a/POTCAR"),
        "c/missing": tar_member(tarfile.SYMTYPE, "nowhere"),
    }
    extraction = extract(tar(members), tmp_path)
    assert tree(tmp_path) == {"a/POTCAR": b"potential", "b/POTCAR": b"potential", "c/POTCAR": b"potential"}
    assert [(note["path"], note["rule"]) for note in extraction.notes] == [("c/missing", "link-to-nothing")]
    assert not any(path.is_symlink() for path in (tmp_path / "tree").rglob("*"))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        extract(tar({"dev/thing": tar_member(kind)}), tmp_path)
    assert (refused.value.rule, "dev/thing" in refused.value.reason) == ("archive-device", True)


def test_too_many_members(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"more than 50 members.*f50"):
        extract(tar({f"f{i}": b"" for i in range(60)}), tmp_path)


@pytest.mark.parametrize(
    "pack", [lambda data: gzip.compress(tar({"zeros": data})), lambda data: zipped({"zeros": data})]
)
def test_bombs_are_refused_before_they_unfold(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        extract(pack(bytes(9_000_000)), tmp_path)
    assert refused.value.rule == "archive-bomb"
    assert "zeros" in refused.value.reason
    assert sum(len(data) for data in tree(tmp_path).values()) <= 2 * LIMITS.ratio_from_bytes


def test_too_large_in_all(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        extract(tar({f"noise{i}": os.urandom(3_000_000) for i in range(4)}), tmp_path)
    assert (refused.value.rule, "noise3" in refused.value.reason) == ("archive-too-large", True)


def test_nested_archives_are_opened_once(tmp_path: Path) -> None:
    innermost = zipped({"deep.txt": b"deep"})
    inner = gzip.compress(tar({"frame/OUTCAR": b"inner", "again.zip": innermost}))
    data = tar({"inner.tar.gz": inner, "run/OUTCAR.xz": lzma.compress(b"single"), "set.npz": zipped({"a.npy": b"1"})})
    extraction = extract(data, tmp_path)
    assert tree(tmp_path) == {
        "inner.tar.gz/frame/OUTCAR": b"inner",
        "inner.tar.gz/again.zip": innermost,
        "run/OUTCAR": b"single",
        "set.npz": zipped({"a.npy": b"1"}),
    }
    assert [(note["path"], note["rule"]) for note in extraction.notes] == [
        ("inner.tar.gz/again.zip", "nested-too-deep")
    ]


def test_a_hostile_nested_archive_is_refused_and_a_broken_one_noted(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"inner\.tar/\.\./x"):
        extract(tar({"inner.tar": tar({"../x": b""})}), tmp_path)
    second = tmp_path / "second"
    second.mkdir()
    broken = gzip.compress(b"x" * 100000)[:50]
    extraction = extract(tar({"bad.gz": broken, "good.txt": b"1"}), second)
    assert [(note["path"], note["rule"]) for note in extraction.notes] == [("bad.gz", "archive-unreadable")]


def test_one_name_as_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="a file elsewhere"):
        extract(tar({"a": b"1", "a/b": b"2"}), tmp_path)


@pytest.mark.parametrize(
    ("data", "filename", "rule"),
    [
        (tar({"a": b"x" * 5000})[:1500], "cut.tar", "archive-unreadable"),
        (gzip.compress(tar({"a": os.urandom(5000)}))[:3000], "cut.tar.gz", "archive-unreadable"),
        (lzma.compress(tar({"a": os.urandom(5000)}))[:3000], "cut.tar.xz", "archive-unreadable"),
        (zipped({"a": os.urandom(5000)})[:3000], "cut.zip", "archive-unreadable"),
        (b"Rar!\x1a\x07\x00" + bytes(600), "data.rar", "archive-unsupported"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(600), "data.7z", "archive-unsupported"),
    ],
)
def test_broken_and_unknown_archives(data: bytes, filename: str, rule: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        extract(data, tmp_path, filename)
    assert refused.value.rule == rule
    assert filename in refused.value.reason
    assert refused.value.remedy


def test_names_in_another_encoding_are_extracted_and_shown_as_text(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        info = tarfile.TarInfo("métal/missing")
        info.type, info.linkname = tarfile.SYMTYPE, "nowhere"
        archive.addfile(info)
    extraction = extract(buffer.getvalue(), tmp_path)
    assert extraction.notes[0]["path"].encode("utf-8") == b"m?tal/missing"


def test_an_encrypted_zip(tmp_path: Path) -> None:
    data = bytearray(zipped({"secret.txt": b"x" * 100}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(Refused) as refused:
        extract(bytes(data), tmp_path)
    assert (refused.value.rule, "secret.txt" in refused.value.reason) == ("archive-encrypted", True)


def chinese_zip(name: str, content: bytes) -> bytes:
    """As Chinese Windows packs it: GBK without the flag for UTF-8."""
    raw = name.encode("gbk")
    placeholder = "x" * len(raw)
    return zipped({placeholder: content}).replace(placeholder.encode(), raw)


def test_chinese_names_are_read_whatever_their_encoding(tmp_path: Path) -> None:
    name = "水分子/计算 一/OUTCAR"
    extract(chinese_zip(name, b"1"), tmp_path, "data.zip")
    (tmp_path / "second").mkdir()
    extract(zipped({name: b"2"}), tmp_path / "second", "data.zip")
    (tmp_path / "third").mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="gbk") as archive:
        info = tarfile.TarInfo(name)
        info.size = 1
        archive.addfile(info, io.BytesIO(b"3"))
    extract(buffer.getvalue(), tmp_path / "third")
    assert [tree(folder) for folder in (tmp_path, tmp_path / "second", tmp_path / "third")] == [
        {name: content} for content in (b"1", b"2", b"3")
    ]


def test_european_names_of_old_zips_stay_what_they_were(tmp_path: Path) -> None:
    raw = "métal/übung.out".encode("cp437")
    placeholder = b"x" * len(raw)
    extract(zipped({placeholder.decode(): b"1"}).replace(placeholder, raw), tmp_path, "data.zip")
    assert tree(tmp_path) == {"métal/übung.out": b"1"}


POTCAR = b"  PAW_PBE Si 05Jan2001\n   4.00000000000000\n parameters from PSCTR are:\n   VRHFIN =Si: s2p2\n"


@pytest.mark.parametrize(
    ("name", "content", "private"),
    [
        ("run/POTCAR", b"", True),
        ("run/potcar", b"", True),
        ("run/POTCAR.Si", b"", True),
        ("run/POTCAR_Si_d", b"", True),
        ("run/Si.POTCAR", b"", True),
        ("run/POTCAR.Z", b"\x1f\x9d\x90", True),
        ("run/pseudo.txt", POTCAR, True),
        ("run/POTCARS.md", b"which ones", False),
        ("run/OUTCAR", b" vasp.6.4\n POTCAR:    PAW_PBE Si 05Jan2001\n VRHFIN =Si: s2p2\n", False),
        ("run/vasprun.xml", b"<modeling>", False),
    ],
)
def test_potcars_are_known_by_name_and_by_content(name: str, content: bytes, private: bool, tmp_path: Path) -> None:
    extraction = extract(tar({name: content, "run/INCAR": b"ENCUT = 400"}), tmp_path)
    assert extraction.private() == ([name] if private else [])


def test_potcars_inside_archives_and_behind_links_are_found(tmp_path: Path) -> None:
    inner = tar({"deep/POTCAR": POTCAR, "deep/KPOINTS": b"k"})
    members: dict[str, bytes | tarfile.TarInfo] = {
        "a/POTCAR.gz": gzip.compress(POTCAR),
        "b.tar.gz": gzip.compress(inner),
        "c/pseudo": POTCAR,
        "d/link": tar_member(tarfile.SYMTYPE, "../c/pseudo"),
    }
    extraction = extract(tar(members), tmp_path)
    assert extraction.private() == ["a/POTCAR", "b.tar.gz/deep/POTCAR", "c/pseudo", "d/link"]


def test_what_was_not_looked_into_is_not_passed_on_either(tmp_path: Path) -> None:
    inner = tar({"again.zip": zipped({"POTCAR": POTCAR}), "x": b""})
    extraction = extract(tar({"inner.tar": inner, "more.7z": b"7z", "set.npz": zipped({"a.npy": b"1"})}), tmp_path)
    assert extraction.private() == ["inner.tar/again.zip", "more.7z"]


def test_bombs_of_every_shape_are_refused(tmp_path: Path) -> None:
    zeros = bytes(9_000_000)
    sparse = io.BytesIO()
    with tarfile.open(fileobj=sparse, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("sparse")
        # GNU's sparse format 1.0: one kilobyte of data at the end of four gigabytes.
        info.pax_headers = {
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
            "GNU.sparse.realsize": str(4 << 30),
        }  # fmt: skip
        table = f"1\n{(4 << 30) - 1024}\n1024\n".encode()
        data = table.ljust(512, b"\0") + b"x" * 1024
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    shapes = {
        "high-ratio.tar.zst": zstandard.ZstdCompressor(level=19).compress(tar({"zeros": zeros})),
        "zip-of-zips.zip": zipped({f"{number}.zip": zipped({"zeros": zeros[:3_000_000]}) for number in range(3)}),
        "twice.gz.xz": lzma.compress(tar({"inner.gz": gzip.compress(b"text" + zeros)})),
        "sparse.tar": sparse.getvalue(),
        "many.zip": zipped({f"f{number}": b"" for number in range(60)}),
    }
    for number, (name, packed) in enumerate(shapes.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(Refused) as refused:
            extract(packed, folder, name)
        assert refused.value.rule == ("archive-too-many-members" if name == "many.zip" else "archive-bomb"), name
        assert sum(len(content) for content in tree(folder).values()) <= 4 * LIMITS.ratio_from_bytes


_PEAK = """
import io, sys, tarfile, tracemalloc
from pathlib import Path
from ingest.confined.archives import ArchiveLimits, Extraction

def extract(members, folder):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number in range(members):
            archive.addfile(tarfile.TarInfo(f"f{number:05d}"))
    packed.seek(0)
    folder.mkdir()
    del archive
    tracemalloc.start()
    Extraction(folder, ArchiveLimits(10_000, 10**9, 1e9, 10**9), 1).archive(packed, "data.tar")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most

root = Path(sys.argv[1])
# The first one imports and fills caches that stay.
print(*[extract(members, root / str(place)) for place, members in enumerate((10, 500, 4000))])
"""


def test_memory_of_unpacking_does_not_grow_with_the_number_of_members(tmp_path: Path) -> None:
    """tarfile keeps every header that it has seen, unless it is told not to.

    In a process of its own, where nothing else is allocated meanwhile.
    """
    done = subprocess.run([sys.executable, "-c", _PEAK, str(tmp_path)], check=True, capture_output=True, text=True)
    _, few, many = map(int, done.stdout.split())
    assert many < few + 500_000


def test_the_number_of_files_is_told_on_the_way(tmp_path: Path) -> None:
    told: list[int] = []
    data = tar({f"f{number}": b"x" for number in range(5)})
    Extraction(tmp_path / "tree", LIMITS, len(data), told.append).archive(io.BytesIO(data), "data.tar")
    assert sorted(set(told)) == [0, 1, 2, 3, 4, 5]

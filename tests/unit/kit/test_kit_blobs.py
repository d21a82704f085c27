"""Object storage in a folder: whole or not there, verified when fetched."""

from pathlib import Path

import pytest
from contracts.base import BlobRef, DatasetRef
from kit.blobs import BlobCorrupt, BlobMissing, Blobs, file_sha256


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path / 'objects'}")


async def test_a_file_comes_back(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"frames" * 1000)
    ref = await blobs.put_file("a/b/c", source)
    assert ref == BlobRef(key="a/b/c", sha256=file_sha256(source), size=6000)
    await blobs.get_file(ref, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()


async def test_a_changed_object_is_not_handed_out(blobs: Blobs, tmp_path: Path) -> None:
    ref = await blobs.put_bytes("a", b"right")
    (tmp_path / "objects" / "a").write_bytes(b"wrong")
    with pytest.raises(BlobCorrupt, match="a: 5 bytes"):
        await blobs.get_file(ref, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["objects"]


async def test_a_missing_object_is_named(blobs: Blobs) -> None:
    with pytest.raises(BlobMissing, match="no/such"):
        await blobs.get_bytes("no/such")
    with pytest.raises(BlobMissing, match="no/such"):
        await blobs.size("no/such")
    with pytest.raises(BlobMissing, match="no/such"):
        _ = [chunk async for chunk in blobs.stream("no/such")]


@pytest.mark.parametrize(("start", "end"), [(0, None), (0, 4), (3, 7), (9, None)])
async def test_a_range_is_that_range(blobs: Blobs, start: int, end: int | None) -> None:
    data = b"0123456789"
    await blobs.put_bytes("digits", data)
    assert b"".join([chunk async for chunk in blobs.stream("digits", start, end)]) == data[start:end]


async def test_adopting_twice_is_harmless(blobs: Blobs, tmp_path: Path) -> None:
    source = tmp_path / "upload"
    source.write_bytes(b"archive")
    first = await blobs.adopt_file("uploads/x/archive", source)
    assert not source.exists()
    assert await blobs.adopt_file("uploads/x/archive", source) == first


async def test_a_copy_keeps_the_hash(blobs: Blobs) -> None:
    ref = await blobs.put_bytes("from", b"weights")
    copy = await blobs.copy(ref, "models/1.0/to")
    assert (copy.key, copy.sha256) == ("models/1.0/to", ref.sha256)
    assert await blobs.get_bytes(copy.key) == b"weights"


async def test_a_model_comes_back(blobs: Blobs) -> None:
    ref = DatasetRef.model_validate({"dataset_id": "0" * 32, "version": 2})
    stored = await blobs.put_model("ref.json", ref)
    assert await blobs.get_model(stored.key, DatasetRef) == ref


async def test_a_folder_is_deleted_whole(blobs: Blobs) -> None:
    for name in ("rounds/1/a", "rounds/1/b/c", "rounds/2/a"):
        await blobs.put_bytes(name, b"x")
    await blobs.delete_prefix("rounds/1/")
    await blobs.delete("rounds/1/a")
    assert [await blobs.exists(name) for name in ("rounds/1/a", "rounds/1/b/c", "rounds/2/a")] == [False, False, True]


async def test_a_key_may_not_leave_the_storage(blobs: Blobs) -> None:
    with pytest.raises(ValueError, match="leaves the storage"):
        await blobs.put_bytes("../outside", b"x")

"""The worker's cache and its attempt folders."""

import os
from pathlib import Path

import pytest
from contracts.base import BlobRef
from kit.blobs import BlobCorrupt, BlobMissing, Blobs
from trainer.cache import Cache
from trainer.folders import attempt_folder, remove_abandoned


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(f"file://{tmp_path}/blobs")


async def test_content_is_fetched_once_and_verified(tmp_path: Path, blobs: Blobs) -> None:
    cache = Cache(tmp_path / "cache", blobs, 1 << 20)
    ref = await blobs.put_bytes("a", b"frames")
    await cache.place(ref, tmp_path / "work" / "data.mdb")
    await blobs.delete("a")
    assert await cache.read(ref) == b"frames"
    assert (tmp_path / "work" / "data.mdb").read_bytes() == b"frames"


async def test_a_file_that_rotted_in_the_cache_is_fetched_again(tmp_path: Path, blobs: Blobs) -> None:
    cache = Cache(tmp_path / "cache", blobs, 1 << 20)
    ref = await blobs.put_bytes("a", b"frames")
    await cache.read(ref)
    (tmp_path / "cache" / ref.sha256).write_bytes(b"fr@mes")
    assert await cache.read(ref) == b"frames"


async def test_what_is_missing_or_has_other_bytes_is_an_error(tmp_path: Path, blobs: Blobs) -> None:
    cache = Cache(tmp_path / "cache", blobs, 1 << 20)
    ref = await blobs.put_bytes("a", b"frames")
    with pytest.raises(BlobMissing):
        await cache.read(ref.model_copy(update={"key": "b"}))
    await blobs.put_bytes("a", b"others")
    with pytest.raises(BlobCorrupt):
        await cache.read(ref)


async def test_trimming_removes_what_was_longest_unused_but_nothing_in_work(tmp_path: Path, blobs: Blobs) -> None:
    cache = Cache(tmp_path / "cache", blobs, 20)
    refs: list[BlobRef] = []
    for age, name in ((300, "old"), (100, "used"), (200, "older")):
        ref = await blobs.put_bytes(name, name.ljust(10).encode())
        await cache.place(ref, tmp_path / "work" / name)
        os.utime(tmp_path / "cache" / ref.sha256, (1e9 - age, 1e9 - age))
        refs.append(ref)
    assert cache.trim() == 1
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {refs[1].sha256, refs[2].sha256}
    assert (tmp_path / "work" / "old").read_bytes() == b"old       "


async def test_a_round_that_is_larger_than_the_cache_has_all_that_it_needs(tmp_path: Path, blobs: Blobs) -> None:
    cache = Cache(tmp_path / "cache", blobs, max_bytes=0)
    refs = [await blobs.put_bytes(name, name.encode() * 10) for name in ("train", "held-out", "parent")]
    for position, ref in enumerate(refs):
        await cache.place(ref, tmp_path / "work" / str(position))
        cache.trim()  # of another worker that shares the folder, at the worst moment
    assert list((tmp_path / "cache").iterdir()) == []
    assert [(tmp_path / "work" / str(position)).stat().st_size for position in range(3)] == [50, 80, 60]
    # Trimmed or rotted, it is fetched again, and verified.
    assert await cache.read(refs[0]) == b"train" * 10
    (tmp_path / "cache" / refs[0].sha256).write_bytes(b"")
    await cache.place(refs[0], tmp_path / "work" / "again")
    assert (tmp_path / "work" / "again").read_bytes() == b"train" * 10


def test_attempt_folders_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / "step.pt").write_bytes(b"x")
    with attempt_folder(tmp_path, "alive") as folder:
        assert remove_abandoned(tmp_path) == ["dead"]
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []

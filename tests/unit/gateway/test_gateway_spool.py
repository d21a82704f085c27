"""Files of uploads: offsets, hashes, rollback, takeover, a full disk."""

import asyncio
import errno
import fcntl
import hashlib
import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from gateway.uploads.spool import Busy, Gone, Spool
from gateway.uploads.upload_file import LARGE, LARGE_PAIRS, SMALL, Buffers, UploadFile


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "incoming", takeover_seconds=0.2)


@pytest.fixture
def upload_id(spool: Spool) -> UUID:
    made = uuid4()
    spool.create(made)
    return made


async def write(file: UploadFile, *chunks: bytes) -> None:
    for chunk in chunks:
        await file.feed(chunk)
    await file.settle()


async def test_bytes_offset_and_hash(spool: Spool, upload_id: UUID) -> None:
    data = os.urandom(3 * LARGE + 7)
    async with spool.held(upload_id) as file:
        await write(file, data[:100], data[100 : 2 * LARGE])
        assert file.offset == 2 * LARGE
    async with spool.held(upload_id) as file:
        await write(file, data[2 * LARGE :])
        assert file.hasher is not None
        assert await spool.sha256(upload_id, file) == hashlib.sha256(data).hexdigest()
    assert spool.path(upload_id).read_bytes() == data


@pytest.mark.parametrize("start", [0, 1, 4095, 4096, 5000])
async def test_every_beginning_goes_to_the_disk_whole(spool: Spool, upload_id: UUID, start: int) -> None:
    """Past the page cache only whole blocks are written; what comes before and after them is not lost."""
    data = os.urandom(2 * LARGE + 3 * SMALL + 5)
    async with spool.held(upload_id) as file:
        await write(file, data[:start])
    async with spool.held(upload_id) as file:
        await write(file, *(data[at : at + 700_001] for at in range(start, len(data), 700_001)))
        assert await spool.sha256(upload_id, file) == hashlib.sha256(data).hexdigest()
    assert spool.path(upload_id).read_bytes() == data


@pytest.mark.parametrize("refused", ["open", "write"])
async def test_a_file_system_without_direct_writing(
    spool: Spool, upload_id: UUID, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(2 * LARGE)
    real_open, real_write, asked = os.open, os.write, list[str]()

    def unknown() -> OSError:
        asked.append(refused)
        return OSError(errno.EINVAL, "Invalid argument")

    def opened(path: str | os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        if refused == "open" and flags & os.O_DIRECT:
            raise unknown()
        return real_open(path, flags, mode)

    def written(descriptor: int, content: memoryview) -> int:
        if refused == "write" and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise unknown()
        return real_write(descriptor, content)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "write", written)
    async with spool.held(upload_id) as file:
        await write(file, data)
        assert await spool.sha256(upload_id, file) == hashlib.sha256(data).hexdigest()
    assert asked == [refused]
    assert spool.path(upload_id).read_bytes() == data


async def test_what_is_fed_after_the_disk_was_full_is_not_mixed_with_what_was_lost(
    spool: Spool, upload_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with spool.held(upload_id) as file:
        await write(file, b"kept")
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(OSError, match="No space"):
                await write(file, bytes(3 * LARGE))
            with pytest.raises(OSError, match="No space"):
                await file.settle()
        await write(file, b" and more")
        assert await spool.sha256(upload_id, file) == hashlib.sha256(b"kept and more").hexdigest()
    assert spool.path(upload_id).read_bytes() == b"kept and more"


def test_memory_of_many_uploads_is_bounded() -> None:
    buffers = Buffers()
    pairs = [buffers.take() for _ in range(LARGE_PAIRS + 2)]
    assert [len(pair[0]) for pair in pairs] == [LARGE] * LARGE_PAIRS + [SMALL] * 2
    for pair in reversed(pairs):
        buffers.give(pair)
    assert {len(buffers.take()[0]) for _ in range(LARGE_PAIRS)} == {LARGE}


async def test_after_a_restart_the_hash_is_read_again(spool: Spool, upload_id: UUID, tmp_path: Path) -> None:
    async with spool.held(upload_id) as file:
        await write(file, b"before ")
    again = Spool(tmp_path / "incoming", takeover_seconds=0.2)
    async with again.held(upload_id) as file:
        assert file.hasher is None
        await write(file, b"after")
        assert await again.sha256(upload_id, file) == hashlib.sha256(b"before after").hexdigest()


async def test_a_hash_never_belongs_to_other_bytes(spool: Spool, upload_id: UUID) -> None:
    async with spool.held(upload_id) as file:
        await write(file, b"mine")
    with spool.path(upload_id).open("ab") as elsewhere:
        elsewhere.write(b" and another replica's")
    async with spool.held(upload_id) as file:
        assert file.hasher is None
        assert await spool.sha256(upload_id, file) == hashlib.sha256(b"mine and another replica's").hexdigest()


async def test_rollback_restores_size_and_hash(spool: Spool, upload_id: UUID) -> None:
    async with spool.held(upload_id) as file:
        await write(file, b"kept")
        await file.begin(hashlib.sha256())
        await write(file, b"damaged" * LARGE)
        await file.roll_back()
        assert file.offset == 4
        await write(file, b" and more")
        assert await spool.sha256(upload_id, file) == hashlib.sha256(b"kept and more").hexdigest()


async def test_unverified_bytes_of_a_killed_request_are_discarded(
    spool: Spool, upload_id: UUID, tmp_path: Path
) -> None:
    async with spool.held(upload_id) as file:
        await write(file, b"kept")
        await file.begin(hashlib.sha256())
        await write(file, b"never verified")  # and here the process dies: neither keep nor roll_back
    again = Spool(tmp_path / "incoming", takeover_seconds=0.2)
    async with again.held(upload_id) as file:
        assert file.offset == 4
    async with again.held(upload_id) as file:
        await write(file, b" on")
    assert spool.path(upload_id).read_bytes() == b"kept on"


async def test_a_full_disk_keeps_what_was_written(
    spool: Spool, upload_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    room = LARGE + 10

    def until_full(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, data[:room])
        room -= written
        return written

    data = os.urandom(2 * LARGE)
    async with spool.held(upload_id) as file:
        monkeypatch.setattr(os, "write", until_full)
        with pytest.raises(OSError, match="No space"):
            await write(file, data[:LARGE], data[LARGE:])
        monkeypatch.undo()
        assert file.offset == LARGE + 10
        await write(file, data[LARGE + 10 :])
        assert await spool.sha256(upload_id, file) == hashlib.sha256(data).hexdigest()


async def test_a_newer_request_takes_over_from_a_writer_that_hangs(spool: Spool, upload_id: UUID) -> None:
    writing = asyncio.Event()

    async def hang(file: UploadFile) -> None:
        try:
            await file.feed(b"arrived")
            writing.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await file.settle()

    async def older() -> None:
        async with spool.held(upload_id) as file:
            task = asyncio.create_task(hang(file))
            spool.pump(upload_id, task)
            await task

    first = asyncio.create_task(older())
    await writing.wait()
    async with spool.held(upload_id) as file:
        assert first.done() or file.offset == 7
        assert file.offset == 7
    await first


async def test_a_writer_elsewhere_that_does_not_stop(spool: Spool, upload_id: UUID, tmp_path: Path) -> None:
    other_process = Spool(tmp_path / "incoming", takeover_seconds=0.2)
    async with other_process.held(upload_id):
        with pytest.raises(Busy):
            async with spool.held(upload_id):
                pass


async def test_what_is_gone(spool: Spool, upload_id: UUID) -> None:
    with pytest.raises(Gone):
        async with spool.held(uuid4()):
            pass
    await spool.remove(upload_id)
    await spool.remove(upload_id)
    with pytest.raises(Gone):
        async with spool.held(upload_id):
            pass


async def test_untouched_files(spool: Spool, upload_id: UUID) -> None:
    assert spool.untouched(60) == []
    os.utime(spool.path(upload_id), (0, 0))
    assert spool.untouched(60) == [upload_id]

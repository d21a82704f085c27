"""Files of uploads: offsets, hashes, rollback, takeover, a full disk."""

import asyncio
import errno
import hashlib
import os
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from gateway.uploads.spool import BUFFER, Busy, Gone, Spool, UploadFile


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
    data = os.urandom(3 * BUFFER + 7)
    async with spool.held(upload_id) as file:
        await write(file, data[:100], data[100 : 2 * BUFFER])
        assert file.offset == 2 * BUFFER
    async with spool.held(upload_id) as file:
        await write(file, data[2 * BUFFER :])
        assert file.hasher is not None
        assert await spool.sha256(upload_id, file) == hashlib.sha256(data).hexdigest()
    assert spool.path(upload_id).read_bytes() == data


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
        await file.begin(verified=True)
        await write(file, b"damaged" * BUFFER)
        await file.roll_back()
        assert file.offset == 4
        await write(file, b" and more")
        assert await spool.sha256(upload_id, file) == hashlib.sha256(b"kept and more").hexdigest()


async def test_unverified_bytes_of_a_killed_request_are_discarded(
    spool: Spool, upload_id: UUID, tmp_path: Path
) -> None:
    async with spool.held(upload_id) as file:
        await write(file, b"kept")
        await file.begin(verified=True)
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
    room = BUFFER + 10

    def until_full(descriptor: int, data: memoryview) -> int:
        nonlocal room
        if room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, data[:room])
        room -= written
        return written

    data = os.urandom(2 * BUFFER)
    async with spool.held(upload_id) as file:
        monkeypatch.setattr(os, "write", until_full)
        with pytest.raises(OSError, match="No space"):
            await write(file, data[:BUFFER], data[BUFFER:])
        monkeypatch.undo()
        assert file.offset == BUFFER + 10
        await write(file, data[BUFFER + 10 :])
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

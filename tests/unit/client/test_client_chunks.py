"""Chunks of a file: each read once and in order, whatever is read ahead; read again when sending went wrong."""

import hashlib
import os
from pathlib import Path

import pytest
from potluck.chunks import Chunks


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive.bin"
    path.write_bytes(os.urandom(1000))
    return path


def test_each_byte_is_read_once_and_in_order(archive: Path) -> None:
    data, taken = archive.read_bytes(), list[tuple[int, bytes]]()
    with Chunks(archive, 1000, lambda start, chunk: taken.append((start, chunk))) as chunks:
        found = [chunks.at(start, 300) for start in (0, 300, 600, 900)]
    assert b"".join(one.data for one in found) == data
    assert taken == [(one.start, one.data) for one in found]
    assert [one.sha256 for one in found] == [hashlib.sha256(one.data).digest() for one in found]


def test_a_chunk_that_is_sent_again_in_another_size_is_what_it_says(archive: Path) -> None:
    data = archive.read_bytes()
    with Chunks(archive, 950, lambda _start, _chunk: None) as chunks:
        for start, size in ((0, 400), (0, 200), (200, 100), (300, 400), (650, 400)):
            chunk = chunks.at(start, size)
            assert (chunk.start, chunk.data) == (start, data[start : min(start + size, 950)])
            assert chunk.sha256 == hashlib.sha256(chunk.data).digest()


def test_the_end_of_a_file_that_became_shorter_is_no_chunk(archive: Path) -> None:
    with Chunks(archive, 1000, lambda _start, _chunk: None) as chunks:
        assert len(chunks.at(0, 900).data) == 900
        os.truncate(archive, 500)
        assert chunks.at(500, 500).data == b""


def test_a_file_that_is_gone_is_told_when_its_bytes_are_asked_for(archive: Path) -> None:
    with Chunks(archive, 1000, lambda _start, _chunk: None) as chunks:
        chunks.at(800, 200)
        archive.unlink()
        with pytest.raises(FileNotFoundError):
            chunks.at(0, 200)

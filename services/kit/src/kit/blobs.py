"""Object storage: a folder by default, any obstore URL (s3://…) by setting."""

import asyncio
import hashlib
import os
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from contracts.base import BlobRef, Frozen
from obstore.exceptions import NotFoundError
from obstore.store import AzureStore, GCSStore, S3Store, from_url

CHUNK = 1 << 20
Model = TypeVar("Model", bound=Frozen)


class BlobMissing(LookupError):
    """There is no object with that key."""


class BlobCorrupt(RuntimeError):
    """An object's bytes are not those that its reference names."""


def file_sha256(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Blobs:
    """Writes are atomic and durable: an object is there whole or not at all."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        # obstore's folder store never fsyncs, so writes into a folder are ours; reads are obstore's everywhere.
        self._root = Path(unquote(parts.path)) if parts.scheme == "file" else None
        if self._root is not None:
            self._root.mkdir(parents=True, exist_ok=True)
        self._store = from_url(url)

    async def put_file(self, key: str, path: Path) -> BlobRef:
        """Store a copy of the file."""
        sha256 = await asyncio.to_thread(file_sha256, path)
        if self._root is not None:
            await asyncio.to_thread(self._write, key, path)
        else:
            await obstore.put_async(self._store, key, path)
        return BlobRef(key=key, sha256=sha256, size=path.stat().st_size)

    async def adopt_file(self, key: str, path: Path, sha256: str | None = None) -> BlobRef:
        """Store the file and remove it; inside one file system that is a rename. Repeating it is harmless."""
        if not path.exists() and await self.exists(key):
            return BlobRef(key=key, sha256=sha256 or await self.sha256(key), size=await self.size(key))
        size = path.stat().st_size
        digest = sha256 or await asyncio.to_thread(file_sha256, path)
        if self._root is not None and path.stat().st_dev == self._root.stat().st_dev:
            await asyncio.to_thread(self._move, key, path)
        else:
            await self.put_file(key, path)
            path.unlink()
        return BlobRef(key=key, sha256=digest, size=size)

    async def put_bytes(self, key: str, data: bytes) -> BlobRef:
        if self._root is not None:
            await asyncio.to_thread(self._write, key, data)
        else:
            await obstore.put_async(self._store, key, data)
        return BlobRef(key=key, sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    async def put_model(self, key: str, model: Frozen) -> BlobRef:
        return await self.put_bytes(key, model.model_dump_json().encode())

    async def copy(self, source: BlobRef, key: str) -> BlobRef:
        """Copy inside the storage. Repeating it is harmless."""
        if self._root is not None:
            await asyncio.to_thread(self._write, key, self._path(source.key))
        else:
            await obstore.copy_async(self._store, source.key, key)
        return source.model_copy(update={"key": key})

    async def get_bytes(self, key: str) -> bytes:
        try:
            result = await obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())
        except (NotFoundError, FileNotFoundError) as error:
            raise BlobMissing(key) from error

    async def get_model(self, key: str, kind: type[Model]) -> Model:
        return kind.model_validate_json(await self.get_bytes(key))

    async def get_file(self, ref: BlobRef, path: Path) -> None:
        """Fetch into `path` (whole or not at all). Raises BlobMissing or BlobCorrupt."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        digest = hashlib.sha256()
        size = 0
        try:
            with partial.open("wb") as file:
                async for chunk in self.stream(ref.key):
                    digest.update(chunk)
                    size += len(chunk)
                    await asyncio.to_thread(file.write, chunk)
            if (digest.hexdigest(), size) != (ref.sha256, ref.size):
                raise BlobCorrupt(f"{ref.key}: {size} bytes do not have the size and SHA-256 that were recorded")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Chunks of the bytes [start, end). Raises BlobMissing."""
        try:
            if end is not None:
                options: obstore.GetOptions = {"range": (start, end)}
            else:
                options = {"range": {"offset": start}} if start else {}
            result = await obstore.get_async(self._store, key, options=options)
            async for chunk in result.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except (NotFoundError, FileNotFoundError) as error:
            raise BlobMissing(key) from error

    async def sha256(self, key: str) -> str:
        digest = hashlib.sha256()
        async for chunk in self.stream(key):
            digest.update(chunk)
        return digest.hexdigest()

    async def size(self, key: str) -> int:
        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except (NotFoundError, FileNotFoundError) as error:
            raise BlobMissing(key) from error

    async def exists(self, key: str) -> bool:
        try:
            await self.size(key)
        except BlobMissing:
            return False
        return True

    async def presigned(self, key: str, seconds: int) -> str | None:
        """The store's own address of the object for so long; None of a store that has no addresses, as a folder."""
        if not isinstance(self._store, AzureStore | GCSStore | S3Store):
            return None
        signed: str = await obstore.sign_async(self._store, "GET", key, timedelta(seconds=seconds))
        return signed

    async def delete(self, key: str) -> None:
        """Gone afterwards, also if it was not there."""
        try:
            await obstore.delete_async(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return

    async def delete_prefix(self, prefix: str) -> None:
        """Delete every object under the folder `prefix`."""
        async for batch in obstore.list(self._store, prefix):
            for entry in batch:
                await self.delete(entry["path"])

    def _path(self, key: str) -> Path:
        if self._root is None:
            raise ValueError("not a folder store")
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root.resolve()):
            raise ValueError(f"key {key!r} leaves the storage")
        return path

    def _write(self, key: str, source: Path | bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            with partial.open("wb") as target:
                if isinstance(source, bytes):
                    target.write(source)
                else:
                    with source.open("rb") as file:
                        while chunk := file.read(CHUNK):
                            target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            partial.replace(path)
            sync_folder(path.parent)
        finally:
            partial.unlink(missing_ok=True)

    def _move(self, key: str, source: Path) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(source, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        source.replace(path)
        sync_folder(path.parent)

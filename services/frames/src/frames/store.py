"""Frames in LMDB: the canonical dataset.

The layout is dpdata's `deepmd/lmdb`, which deepmd-kit's LmdbDataReader opens for training: the key
`__metadata__` and one msgpack record a frame under its zero-padded index. The type map is the whole
periodic table. Where a frame came from is kept in the metadata, which other readers ignore.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import msgpack  # type: ignore[import-untyped]
import numpy as np

from frames.frame import SYMBOLS, Frame, formula

DATA_FILE = "data.mdb"
_METADATA = b"__metadata__"
_INDEX_FORMAT = "012d"
_BATCH = 512
_FIRST_MAP_SIZE = 1 << 26
# An open system inside a periodic dataset gets a box this much larger than itself: no cutoff reaches across.
_VACUUM_ANGSTROM = 60.0


class NotADataset(ValueError):
    """The folder holds no LMDB that this module wrote or understands."""


def write(path: Path, frames: Iterable[Frame]) -> int:
    """Writes `path` (a folder, e.g. `train.lmdb`, made anew) with one file `data.mdb`; returns the frame count.

    Streams: memory does not grow with the dataset. Equal frames give equal bytes.
    Raises FileExistsError when the folder already holds data, ValueError when there is no frame.
    """
    data = path / DATA_FILE
    if data.exists():
        raise FileExistsError(f"{data} exists: a dataset is written once")
    path.mkdir(parents=True, exist_ok=True)
    # No lock file and no sync for each transaction: nobody else sees this folder before it is complete.
    environment = lmdb.open(str(path), map_size=_FIRST_MAP_SIZE, lock=False, sync=False)
    try:
        writer = _Writer(environment)
        for frame in frames:
            writer.add(frame)
        count = writer.finish()
        environment.sync(True)
    finally:
        environment.close()
    return count


def iterate(path: Path) -> Iterator[Frame]:
    """Frames in the order in which they were written. Raises NotADataset.

    LMDB lets one process open a file once at a time (lmdb.Error otherwise): read it before deepmd's loader
    opens it in the same process, and finish one iteration before the next.
    """
    if not (path / DATA_FILE).is_file():
        raise NotADataset(f"{path} holds no {DATA_FILE}")
    try:
        environment = lmdb.open(str(path), readonly=True, lock=False)
    except lmdb.InvalidError as error:
        raise NotADataset(f"{path} is not an LMDB file: {error}") from error
    try:
        with environment.begin() as transaction:
            metadata = _metadata(transaction, path)
            for index in range(metadata["nframes"]):
                record = transaction.get(format(index, metadata.get("frame_idx_fmt", _INDEX_FORMAT)).encode())
                if record is None:
                    raise NotADataset(f"{path}: frame {index} of {metadata['nframes']} is missing")
                yield _decode(record, metadata, index)
    finally:
        environment.close()


def read(path: Path) -> list[Frame]:
    """All frames at once. Raises NotADataset."""
    return list(iterate(path))


class _Writer:
    """Buffers records and grows the memory map when it is full."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self._environment = environment
        self._pending: list[tuple[bytes, bytes]] = []
        self._natoms: list[int] = []
        self._systems: list[int] = []
        self._system_of: dict[str, int] = {}
        self._source_of: dict[str, int] = {}
        self._sources: list[int] = []
        self._indices: list[int] = []
        self._open: list[int] = []
        self._converged: list[bool | None] = []
        self._known: list[int] = []

    def add(self, frame: Frame) -> None:
        position = len(self._natoms)
        if frame.cell is None:
            self._open.append(position)
        self._pending.append((_key(position), _packed(_fields(frame))))
        self._natoms.append(frame.natoms)
        self._systems.append(self._system_of.setdefault(formula(frame.numbers), len(self._system_of)))
        self._sources.append(self._source_of.setdefault(frame.source, len(self._source_of)))
        self._indices.append(frame.index)
        self._converged.append(frame.converged)
        if frame.known:
            self._known.append(position)
        if len(self._pending) >= _BATCH:
            self._flush()

    def finish(self) -> int:
        count = len(self._natoms)
        if count == 0:
            raise ValueError("a dataset needs at least one frame")
        self._flush()
        # deepmd drops the box of a whole batch when one of its frames has none, silently.
        if 0 < len(self._open) < count:
            self._box_open_frames()
        metadata = {
            "nframes": count,
            "frame_idx_fmt": _INDEX_FORMAT,
            "type_map": list(SYMBOLS),
            "frame_nlocs": self._natoms,
            "frame_system_ids": self._systems,
            "source_names": list(self._source_of),
            "frame_sources": self._sources,
            "frame_source_indices": self._indices,
            "open_frames": self._open,
            "frame_converged": self._converged,
            "known_frames": self._known,
        }
        self._pending.append((_METADATA, _packed(metadata)))
        self._flush()
        return count

    def _box_open_frames(self) -> None:
        for position in self._open:
            with self._environment.begin() as transaction:
                record = msgpack.unpackb(transaction.get(_key(position)))
            coords = _array(record["coords"])
            box = np.diag(np.ptp(coords, axis=0) + _VACUUM_ANGSTROM)
            self._pending.append((_key(position), _packed({**record, "cells": _encoded(box)})))
            if len(self._pending) >= _BATCH:
                self._flush()

    def _flush(self) -> None:
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, value in self._pending:
                        transaction.put(key, value)
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            else:
                self._pending.clear()
                return


def _key(position: int) -> bytes:
    return format(position, _INDEX_FORMAT).encode()


def _packed(value: dict[str, Any]) -> bytes:
    return bytes(msgpack.packb(value, use_bin_type=True))


def _encoded(values: Any, dtype: str = "float64") -> dict[str, Any]:
    array = np.ascontiguousarray(values, dtype=dtype)
    return {"type": dtype, "shape": list(np.shape(values)), "data": array.tobytes()}


def _array(encoded: dict[str, Any]) -> Any:
    return np.frombuffer(encoded["data"], dtype=encoded["type"]).reshape(encoded["shape"]).copy()


def _fields(frame: Frame) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "atom_types": _encoded(frame.numbers - 1, "int32"),
        "atom_numbs": np.bincount(frame.numbers - 1, minlength=len(SYMBOLS)).tolist(),
        "coords": _encoded(frame.coords),
        "energies": _encoded(np.float64(frame.energy)),
        "forces": _encoded(frame.forces),
    }
    if frame.cell is not None:
        fields["cells"] = _encoded(frame.cell)
    if frame.virial is not None:
        fields["virials"] = _encoded(frame.virial)
    return fields


def _metadata(transaction: lmdb.Transaction, path: Path) -> dict[str, Any]:
    raw = transaction.get(_METADATA)
    if raw is None:
        raise NotADataset(f"{path} has no __metadata__ record")
    metadata: dict[str, Any] = msgpack.unpackb(raw)
    metadata["open_frames"] = set(metadata.get("open_frames", ()))
    metadata["known_frames"] = set(metadata.get("known_frames", ()))
    unknown = [name for name in metadata["type_map"] if name not in SYMBOLS]
    if unknown:
        raise NotADataset(f"{path}: its type map names {', '.join(unknown)}, which are no elements")
    metadata["numbers"] = np.array([SYMBOLS.index(name) + 1 for name in metadata["type_map"]], dtype=np.int64)
    return metadata


def _decode(record: bytes, metadata: dict[str, Any], index: int) -> Frame:
    fields = msgpack.unpackb(record)
    types = _array(fields["atom_types"])
    has_cell = "cells" in fields and index not in metadata["open_frames"]
    sources = metadata.get("frame_sources")
    converged = metadata.get("frame_converged")
    return Frame(
        numbers=metadata["numbers"][types],
        coords=_array(fields["coords"]).astype(np.float64).reshape(-1, 3),
        cell=_array(fields["cells"]).astype(np.float64).reshape(3, 3) if has_cell else None,
        energy=float(_array(fields["energies"]).reshape(())),
        forces=_array(fields["forces"]).astype(np.float64).reshape(-1, 3),
        virial=_array(fields["virials"]).astype(np.float64).reshape(3, 3) if "virials" in fields else None,
        source=metadata["source_names"][sources[index]] if sources else "",
        index=metadata["frame_source_indices"][index] if sources else index,
        converged=converged[index] if converged else None,
        known=index in metadata["known_frames"],
    )

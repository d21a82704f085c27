"""Frames in LMDB: the canonical dataset.

The layout is dpdata's `deepmd/lmdb`, which deepmd-kit's LmdbDataReader opens for training: the key
`__metadata__` and one msgpack record a frame under its zero-padded index. The type map is the whole
periodic table. Where a frame came from is kept in the metadata, which other readers ignore.
"""

import math
from array import array
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import lmdb
import msgpack  # type: ignore[import-untyped]
import numpy as np

from frames.frame import SYMBOLS, Frame, formula

DATA_FILE = "data.mdb"
_METADATA = b"__metadata__"
_INDEX_FORMAT = "012d"
_BATCH = 512
_BATCH_BYTES = 1 << 24
_FIRST_MAP_SIZE = 1 << 26
# What is read through the map stays resident until it is closed.
_REOPEN_BYTES = 1 << 26
_CONVERGED = (None, False, True)
# Lists with one number a frame, which are kept as arrays: as Python objects they would take ten times the room.
_NUMBERS = frozenset({"frame_nlocs", "frame_system_ids", "frame_sources", "frame_source_indices"})
_POSITIONS = frozenset({"open_frames", "known_frames"})
# An open system inside a periodic dataset gets a box this much larger than itself: no cutoff reaches across.
_VACUUM_ANGSTROM = 60.0


class NotADataset(ValueError):
    """The folder holds no LMDB that this module wrote or understands."""


def write(path: Path, frames: Iterable[Frame]) -> int:
    """Writes `path` (a folder, e.g. `train.lmdb`, made anew) with one file `data.mdb`; returns the frame count.

    Streams: memory does not grow with the dataset. Equal frames give equal bytes.
    Raises FileExistsError when the folder already holds data, ValueError when there is no frame.
    """
    with Writer(path) as writer:
        for frame in frames:
            writer.add(frame)
        return writer.finish()


def iterate(path: Path, wanted: Container[int] | None = None) -> Iterator[Frame]:
    """Frames in the order in which they were written; of `wanted` positions only those. Raises NotADataset.

    Streams: the file is mapped anew every 64 MiB. LMDB lets one process open a file once at a time (lmdb.Error
    otherwise): read it before deepmd's loader opens it in the same process, and finish one iteration before the next.
    """
    if not (path / DATA_FILE).is_file():
        raise NotADataset(f"{path} holds no {DATA_FILE}")
    metadata: _Metadata | None = None
    index = 0
    while metadata is None or index < metadata.frames:
        environment = _opened(path)
        try:
            with environment.begin() as transaction:
                metadata = metadata or _Metadata(transaction.get(_METADATA), path)
                read_bytes = 0
                while index < metadata.frames and read_bytes < _REOPEN_BYTES:
                    if wanted is not None and index not in wanted:
                        index += 1
                        continue
                    record = transaction.get(metadata.key(index))
                    if record is None:
                        raise NotADataset(f"{path}: frame {index} of {metadata.frames} is missing")
                    read_bytes += len(record)
                    yield metadata.decode(record, index)
                    index += 1
        finally:
            environment.close()


def read(path: Path) -> list[Frame]:
    """All frames at once. Raises NotADataset."""
    return list(iterate(path))


class Writer:
    """One LMDB being written: `add` frames, then `finish`. Buffers records and grows the memory map when it is full."""

    def __init__(self, path: Path) -> None:
        """Raises FileExistsError when the folder already holds data."""
        data = path / DATA_FILE
        if data.exists():
            raise FileExistsError(f"{data} exists: a dataset is written once")
        path.mkdir(parents=True, exist_ok=True)
        # No lock file and no sync for each transaction: nobody else sees this folder before it is complete.
        self._environment = lmdb.open(str(path), map_size=_FIRST_MAP_SIZE, lock=False, sync=False)
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0
        # Keys that come in order fill pages to their end; told otherwise, LMDB leaves half of each free.
        self._ascending = True
        self._natoms = array("q")
        self._systems = array("q")
        self._system_of: dict[str, int] = {}
        self._last: _Kinds | None = None
        self._source_of: dict[str, int] = {}
        self._sources = array("q")
        self._indices = array("q")
        self._open = array("q")
        self._converged = bytearray()
        self._known = array("q")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._environment.close()

    def add(self, frame: Frame) -> None:
        position = len(self._natoms)
        if frame.cell is None:
            self._open.append(position)
        kinds = self._kinds(frame)
        self._put(_key(position), kinds.record(frame))
        self._natoms.append(frame.natoms)
        self._systems.append(kinds.system)
        self._sources.append(self._source_of.setdefault(frame.source, len(self._source_of)))
        self._indices.append(frame.index)
        self._converged.append(_CONVERGED.index(frame.converged))
        if frame.known:
            self._known.append(position)

    def _kinds(self, frame: Frame) -> "_Kinds":
        """Of the last frame where this one has the same atoms and labels, as most have."""
        alike = frame.numbers.tobytes(), frame.cell is not None, frame.virial is not None
        if self._last is None or self._last.alike != alike:
            system = self._system_of.setdefault(formula(frame.numbers), len(self._system_of))
            self._last = _Kinds.of(frame, alike, system)
        return self._last

    def finish(self) -> int:
        """Write what is left and make it durable; returns the frame count. Raises ValueError without a frame."""
        count = len(self._natoms)
        if count == 0:
            raise ValueError("a dataset needs at least one frame")
        self._flush()
        # deepmd drops the box of a whole batch when one of its frames has none, silently.
        if 0 < len(self._open) < count:
            self._box_open_frames()
        self._put(_METADATA, self._metadata(count))
        self._flush()
        self._environment.sync(True)
        return count

    def _metadata(self, count: int) -> bytes:
        """The record as one map, packed a number at a time."""
        packer = msgpack.Packer(use_bin_type=True, autoreset=False)
        simple = {"nframes": count, "frame_idx_fmt": _INDEX_FORMAT, "type_map": list(SYMBOLS)}
        listed: dict[str, Iterable[Any]] = {
            "frame_nlocs": self._natoms,
            "frame_system_ids": self._systems,
            "source_names": self._source_of,
            "frame_sources": self._sources,
            "frame_source_indices": self._indices,
            "open_frames": self._open,
            "frame_converged": (_CONVERGED[code] for code in self._converged),
            "known_frames": self._known,
        }
        lengths = {
            "source_names": len(self._source_of),
            "open_frames": len(self._open),
            "known_frames": len(self._known),
        }
        packer.pack_map_header(len(simple) + len(listed))
        for name, value in simple.items():
            packer.pack(name)
            packer.pack(value)
        for name, values in listed.items():
            packer.pack(name)
            packer.pack_array_header(lengths.get(name, count))
            for value in values:
                packer.pack(value)
        return bytes(packer.bytes())

    def _put(self, key: bytes, value: bytes) -> None:
        self._pending.append((key, value))
        self._pending_bytes += len(value)
        if len(self._pending) >= _BATCH or self._pending_bytes >= _BATCH_BYTES:
            self._flush()

    def _box_open_frames(self) -> None:
        self._ascending = False
        for position in self._open:
            with self._environment.begin() as transaction:
                record = msgpack.unpackb(transaction.get(_key(position)))
            coords = _array(record["coords"])
            box = np.diag(np.ptp(coords, axis=0) + _VACUUM_ANGSTROM)
            self._put(_key(position), _packed({**record, "cells": _encoded(box)}))
        self._flush()

    def _flush(self) -> None:
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, value in self._pending:
                        transaction.put(key, value, append=self._ascending)
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            else:
                self._pending.clear()
                self._pending_bytes = 0
                return


def _key(position: int) -> bytes:
    return format(position, _INDEX_FORMAT).encode()


def _packed(value: Any) -> bytes:
    return bytes(msgpack.packb(value, use_bin_type=True))


def _encoded(values: Any, dtype: str = "float64") -> dict[str, Any]:
    array = np.asarray(values, dtype=dtype)
    return {"type": dtype, "shape": list(array.shape), "data": array.tobytes()}


def _array(encoded: dict[str, Any]) -> Any:
    return np.frombuffer(encoded["data"], dtype=encoded["type"]).reshape(encoded["shape"]).copy()


@dataclass(frozen=True, slots=True)
class _Kinds:
    """What frames with the same atoms in the same order, and the same labels, share.

    alike    atomic numbers, whether there is a cell, whether there is a virial
    between  their records without the numbers of coords, energy, forces, cell and virial, which follow a piece each
    length   bytes of a record
    """

    alike: tuple[bytes, bool, bool]
    system: int
    between: tuple[bytes, ...]
    length: int

    @classmethod
    def of(cls, frame: Frame, alike: tuple[bytes, bool, bool], system: int) -> Self:
        types = frame.numbers - 1
        fields: dict[str, Any] = {
            "atom_types": _encoded(types, "int32"),
            "atom_numbs": np.bincount(types, minlength=len(SYMBOLS)).tolist(),
        }
        shapes: dict[str, list[int]] = {"coords": [frame.natoms, 3], "energies": [], "forces": [frame.natoms, 3]}
        shapes |= {name: [3, 3] for name, there in zip(("cells", "virials"), alike[1:], strict=True) if there}
        packer = msgpack.Packer(use_bin_type=True, autoreset=False)
        packer.pack_map_header(len(fields) + len(shapes))
        for name, value in fields.items():
            packer.pack(name)
            packer.pack(value)
        between = [bytes(packer.bytes())]
        length = len(between[0])
        for name, shape in shapes.items():
            size = 8 * math.prod(shape)
            # A map whose last value is the numbers.
            head = _packed({"type": "float64", "shape": shape, "data": bytes(size)})[:-size]
            between.append(_packed(name) + head)
            length += len(between[-1]) + size
        return cls(alike, system, (between[0] + between[1], *between[2:]), length)

    def record(self, frame: Frame) -> bytes:
        """A frame as one map. Raises ValueError for arrays that have not its number of atoms."""
        arrays = [frame.coords, frame.energy, frame.forces]
        arrays += [array for array in (frame.cell, frame.virial) if array is not None]
        pieces = [np.asarray(array, dtype=np.float64).tobytes() for array in arrays]
        record = b"".join([piece for pair in zip(self.between, pieces, strict=True) for piece in pair])
        if len(record) != self.length:
            raise ValueError(f"the arrays of {frame.source or 'a frame'} are not those of {frame.natoms} atoms")
        return record


def _opened(path: Path) -> lmdb.Environment:
    try:
        return lmdb.open(str(path), readonly=True, lock=False)
    except lmdb.InvalidError as error:
        raise NotADataset(f"{path} is not an LMDB file: {error}") from error


class _Metadata:
    """What a dataset says of its frames, one number a frame in arrays."""

    def __init__(self, raw: bytes | None, path: Path) -> None:
        if raw is None:
            raise NotADataset(f"{path} has no __metadata__ record")
        told: dict[str, Any] = {}
        unpacker = msgpack.Unpacker(max_buffer_size=len(raw))
        unpacker.feed(raw)
        for _ in range(unpacker.read_map_header()):
            name = unpacker.unpack()
            told[name] = _listed(unpacker, name)
        unknown = [name for name in told["type_map"] if name not in SYMBOLS]
        if unknown:
            raise NotADataset(f"{path}: its type map names {', '.join(unknown)}, which are no elements")
        self.frames: int = told["nframes"]
        self._format: str = told.get("frame_idx_fmt", _INDEX_FORMAT)
        self._numbers = np.array([SYMBOLS.index(name) + 1 for name in told["type_map"]], dtype=np.int64)
        self._open = _marked(told.get("open_frames", ()), self.frames)
        self._known = _marked(told.get("known_frames", ()), self.frames)
        self._names: list[str] = told.get("source_names", [])
        self._sources = told.get("frame_sources")
        self._indices = told.get("frame_source_indices")
        self._converged: bytes | None = told.get("frame_converged")

    def key(self, index: int) -> bytes:
        return format(index, self._format).encode()

    def decode(self, record: bytes, index: int) -> Frame:
        fields = msgpack.unpackb(record)
        has_cell = "cells" in fields and not self._open[index]
        return Frame(
            numbers=self._numbers[_array(fields["atom_types"])],
            coords=_array(fields["coords"]).astype(np.float64).reshape(-1, 3),
            cell=_array(fields["cells"]).astype(np.float64).reshape(3, 3) if has_cell else None,
            energy=float(_array(fields["energies"]).reshape(())),
            forces=_array(fields["forces"]).astype(np.float64).reshape(-1, 3),
            virial=_array(fields["virials"]).astype(np.float64).reshape(3, 3) if "virials" in fields else None,
            source="" if self._sources is None else self._names[self._sources[index]],
            index=index if self._indices is None else int(self._indices[index]),
            converged=_CONVERGED[self._converged[index]] if self._converged else None,
            known=bool(self._known[index]),
        )


def _listed(unpacker: Any, name: str) -> Any:
    """The value of one field; long lists of numbers as arrays."""
    if name == "frame_converged":
        return bytes(_CONVERGED.index(unpacker.unpack()) for _ in range(unpacker.read_array_header()))
    if name in _NUMBERS or name in _POSITIONS:
        count = unpacker.read_array_header()
        return np.fromiter((unpacker.unpack() for _ in range(count)), dtype=np.int64, count=count)
    return unpacker.unpack()


def _marked(positions: Any, frames: int) -> Any:
    marks = np.zeros(frames, dtype=np.bool_)
    marks[np.asarray(positions, dtype=np.int64)] = True
    return marks

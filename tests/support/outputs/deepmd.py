"""DeePMD-kit's data folders and files, by numpy, h5py, and the service's own LMDB writer's layout."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import lmdb
import msgpack  # type: ignore[import-untyped]
import numpy as np
from frames.frame import Frame

from outputs.generator import Generator

# Not the order of the frames' atoms, and with an element that does not occur.
TYPE_MAP = ("H", "C", "N", "O", "Si")


def _types(frame: Frame) -> list[int]:
    return [TYPE_MAP.index(symbol) for symbol in frame.symbols]


def arrays(frames: Sequence[Frame]) -> dict[str, Any]:
    """As deepmd names and shapes them: coord [frames, 3 n] Å, box [frames, 9] Å, energy [frames] eV, …"""
    count = len(frames)
    made = {
        "coord": np.array([frame.coords for frame in frames]).reshape(count, -1),
        "energy": np.array([frame.energy for frame in frames]),
        "force": np.array([frame.forces for frame in frames]).reshape(count, -1),
    }
    if frames[0].cell is not None:
        made["box"] = np.array([frame.cell for frame in frames]).reshape(count, 9)
    if frames[0].virial is not None:
        made["virial"] = np.array([frame.virial for frame in frames]).reshape(count, 9)
    return made


def _describe(folder: Path, types: Sequence[int], periodic: bool) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "type.raw").write_text("".join(f"{one}\n" for one in types))
    (folder / "type_map.raw").write_text("\n".join(TYPE_MAP) + "\n")
    if not periodic:
        (folder / "nopbc").touch()


def write_raw(folder: Path, frames: Sequence[Frame]) -> None:
    _describe(folder, _types(frames[0]), frames[0].cell is not None)
    for name, values in arrays(frames).items():
        np.savetxt(folder / f"{name}.raw", values, fmt="%.12f")


def write_npy(folder: Path, frames: Sequence[Frame]) -> None:
    """Two sets, so that their order counts."""
    _describe(folder, _types(frames[0]), frames[0].cell is not None)
    for number, part in enumerate((frames[:1], frames[1:])):
        if part:
            _write_set(folder / f"set.{number:03d}", arrays(part))


def _write_set(folder: Path, values: dict[str, Any]) -> None:
    folder.mkdir()
    for name, array in values.items():
        np.save(folder / f"{name}.npy", array)


def _mixed(frames: Sequence[Frame]) -> dict[str, Any]:
    return {**arrays(frames), "real_atom_types": np.array([_types(frame) for frame in frames])}


def write_npy_mixed(folder: Path, frames: Sequence[Frame]) -> None:
    _describe(folder, [0] * frames[0].natoms, frames[0].cell is not None)
    _write_set(folder / "set.000", _mixed(frames))


def _hdf5(group: Any, types: Sequence[int], values: dict[str, Any]) -> None:
    group["type.raw"] = np.array(types)
    group["type_map.raw"] = np.array(TYPE_MAP, dtype=h5py.string_dtype())
    for name, array in values.items():
        group[f"set.000/{name}.npy"] = array


def write_hdf5(folder: Path, frames: Sequence[Frame]) -> None:
    with h5py.File(folder / "data.hdf5", "w") as file:
        _hdf5(file.create_group("O1H2SiC"), _types(frames[0]), arrays(frames))


def write_hdf5_mixed(folder: Path, frames: Sequence[Frame]) -> None:
    with h5py.File(folder / "data.h5", "w") as file:
        _hdf5(file.create_group("5"), [0] * frames[0].natoms, _mixed(frames))


def write_lmdb(folder: Path, frames: Sequence[Frame]) -> None:
    """The layout of deepmd's LmdbDataReader: one msgpack record a frame, by twelve digits."""

    def packed(values: Any) -> dict[str, Any]:
        array = np.asarray(values)
        return {"type": str(array.dtype), "shape": list(array.shape), "data": array.tobytes()}

    path = folder / "data.lmdb"
    with lmdb.open(str(path), map_size=1 << 24) as database, database.begin(write=True) as writing:
        about = {
            "nframes": len(frames),
            "frame_idx_fmt": "012d",
            "type_map": list(TYPE_MAP),
            "frame_nlocs": [frame.natoms for frame in frames],
            "frame_system_ids": [0] * len(frames),
        }
        writing.put(b"__metadata__", msgpack.packb(about))
        for number, frame in enumerate(frames):
            types = np.array(_types(frame), dtype=np.int32)
            record = {
                "atom_names": list(TYPE_MAP),
                "atom_types": packed(types),
                "atom_numbs": np.bincount(types, minlength=len(TYPE_MAP)).tolist(),
                "orig": packed(np.zeros(3)),
                "coords": packed(frame.coords),
                "energies": packed(np.float64(frame.energy)),
                "forces": packed(frame.forces),
            }
            if frame.cell is not None:
                record["cells"] = packed(frame.cell)
            if frame.virial is not None:
                record["virials"] = packed(frame.virial)
            writing.put(f"{number:012d}".encode(), msgpack.packb(record))
    (path / "lock.mdb").unlink(missing_ok=True)


def _exact(name: str, write: Callable[[Path, Sequence[Frame]], None]) -> Generator:
    return Generator(name, write, energy=1e-11, length=1e-11, force=1e-11, virial_ev=1e-11)


GENERATORS = (
    Generator("deepmd/raw", write_raw),
    _exact("deepmd/npy", write_npy),
    _exact("deepmd/npy/mixed", write_npy_mixed),
    _exact("deepmd/hdf5", write_hdf5),
    _exact("deepmd/hdf5/mixed", write_hdf5_mixed),
    _exact("deepmd/lmdb", write_lmdb),
)

"""DeePMD-kit's data, block by block: dpdata loads everything at once, and reads a subfolder twice.

Nothing here is ever unpickled, no link is followed out of a file, and no array is allocated that the file
does not have the bytes or the atoms for. Energies in eV, lengths in Å, virial in eV with deepmd's sign.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from frames.frame import FloatArray

from ingest.confined.judging import MOST_ATOMS, Raw, Unfit, no_atoms, too_many_atoms
from ingest.confined.parsers.tables import may_be_cut

_BLOCK_BYTES = 1 << 23
_LONGEST_TYPE_MAP = 1000
_LAST_BYTES = 1 << 12
_EXPORT = "Export the data again with deepmd-kit or dpdata."
_NUMBERS_ONLY = "Save it again as numbers: np.save(name, np.asarray(values, dtype=float), allow_pickle=False)."
# deepmd's name: numbers a frame, given the number of atoms
_SIZES: dict[str, Callable[[int], int]] = {
    "coord": lambda natoms: 3 * natoms,
    "box": lambda _: 9,
    "energy": lambda _: 1,
    "force": lambda natoms: 3 * natoms,
    "virial": lambda _: 9,
    "real_atom_types": lambda natoms: natoms,
}


@dataclass(frozen=True, slots=True)
class System:
    """Atoms of one composition (or, mixed, of one size) and the sets of frames that share them.

    sets: a function for each set that gives an array by deepmd's name, None where there is none
    """

    types: list[int]
    type_map: list[str]
    periodic: bool
    sets: list[Callable[[str], Any]]


def _frames(system: System) -> Iterator[Raw]:
    for one in system.sets:
        yield from _of_set(system, one)


def _of_set(system: System, array: Callable[[str], Any]) -> Iterator[Raw]:
    natoms = len(system.types)
    if natoms == 0:
        raise no_atoms()
    if natoms > MOST_ATOMS:
        raise too_many_atoms(natoms)
    arrays = {name: array(name) for name in _SIZES}
    coords = arrays["coord"]
    if coords is None:
        raise Unfit("no-positions", "there is no coord", _EXPORT)
    if system.periodic and arrays["box"] is None:
        remedy = "Add box, or for molecules without a cell an empty file named nopbc."
        raise Unfit("no-cell", "there is no box, and no file nopbc either", remedy)
    count = coords.shape[0] if coords.ndim else 0
    for name, values in arrays.items():
        wanted = count * _SIZES[name](natoms)
        if values is not None and values.size != wanted:
            reason = f"{name} has {values.size} numbers where {count} frames of {natoms} atoms have"
            raise Unfit("wrong-shape", f"{reason} {wanted}", _EXPORT)
    step = max(1, _BLOCK_BYTES // (8 * 9 * natoms))
    for start in range(0, count, step):
        end = min(count, start + step)
        block = {
            name: np.asarray(values[start:end]).reshape(end - start, -1)
            for name, values in arrays.items()
            if values is not None
        }
        yield from _of_block(system, block, end - start)


def _of_block(system: System, block: dict[str, Any], count: int) -> Iterator[Raw]:
    for index in range(count):
        row = {name: values[index] for name, values in block.items()}
        kinds = row["real_atom_types"].tolist() if "real_atom_types" in row else system.types
        # deepmd fills frames of a mixed system up with atoms of kind −1.
        real = np.array(kinds) >= 0
        forces = row["force"].reshape(-1, 3)[real] if "force" in row else None
        yield Raw(
            symbols=[_symbol(system, kind) for kind in kinds if kind >= 0],
            coords=row["coord"].reshape(-1, 3)[real],
            cell=row["box"].reshape(3, 3) if system.periodic else None,
            energy=row.get("energy"),
            forces=forces,
            virial=row["virial"].reshape(3, 3) if "virial" in row else None,
        )


def _symbol(system: System, kind: int) -> str:
    if 0 <= kind < len(system.type_map):
        return system.type_map[kind]
    named = f"type_map.raw names {len(system.type_map)}" if system.type_map else "there is no type_map.raw"
    remedy = "Write one element a line into type_map.raw, in the order of the numbers in type.raw."
    raise Unfit("unknown-element", f"an atom is of type {kind}, but {named}", remedy)


def of_folder(files: Sequence[Path]) -> Iterator[Raw]:
    """Frames of a folder with type.raw, and set.*/*.npy or *.raw. Raises Unfit."""
    (folder,) = files
    types = [int(word) for word in (folder / "type.raw").read_text().split()]
    names = folder / "type_map.raw"
    sets = sorted(path for path in folder.glob("set.*") if path.is_dir())
    system = System(
        types=[_not_negative(kind) for kind in types],
        type_map=names.read_text().split() if names.is_file() else [],
        periodic=not (folder / "nopbc").exists(),
        sets=[_npy(one) for one in sets] if sets else [_text(folder)],
    )
    yield from _frames(system)


def _not_negative(kind: int) -> int:
    if kind < 0:
        raise Unfit("unknown-element", f"type.raw names type {kind}", _EXPORT)
    return kind


def _text(folder: Path) -> Callable[[str], Any]:
    def array(name: str) -> Any:
        path = folder / f"{name}.raw"
        if not path.is_file():
            return None
        _refuse_cut(path)
        return np.loadtxt(path, ndmin=2)

    return array


def _refuse_cut(path: Path) -> None:
    """Raises Unfit where the last number of a table may be half of one."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST_BYTES))
        last = file.read().decode("latin-1")
    words = last.split()
    # The first one may be the end of a number.
    if words and not last.endswith("\n") and may_be_cut(words[-1], words[1:-1] or words[:-1]):
        reason = f"{path.name} ends within its last line, the last frame: {words[-1][:40]!r} may be half a number"
        raise Unfit("truncated", reason, "Copy the file again if it was longer; if it is whole, add a line end to it.")


def _npy(folder: Path) -> Callable[[str], Any]:
    def array(name: str) -> Any:
        path = folder / f"{name}.npy"
        return mapped(path, f"{folder.name}/{path.name}") if path.is_file() else None

    return array


def mapped(path: Path, shown: str) -> Any:
    """A .npy file of numbers, mapped, not loaded. Raises Unfit for objects, pickles, and files that break off."""
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = reader(file)
        except ValueError as error:
            file.seek(0)
            if file.read(1) == b"\x80":
                raise Unfit(
                    "object-array", f"{shown} is a Python pickle, which is never loaded", _NUMBERS_ONLY
                ) from None
            raise Unfit("unreadable", f"{shown} is no .npy file: {error}", _EXPORT) from error
        start = file.tell()
    _only_numbers(dtype, shown)
    size = int(np.prod(shape, dtype=object))
    if path.stat().st_size - start < size * dtype.itemsize:
        reason = f"{shown} breaks off: it holds fewer than the {size} numbers that its head announces"
        raise Unfit("truncated", reason, "Copy the file again.")
    if size == 0:
        return np.zeros(shape)
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")


def _only_numbers(dtype: Any, shown: str) -> None:
    if dtype.hasobject:
        raise Unfit("object-array", f"{shown} holds Python objects, which are never loaded", _NUMBERS_ONLY)
    if dtype.kind not in "fiu":
        raise Unfit("not-a-number", f"{shown} holds {dtype}, not numbers", _NUMBERS_ONLY)


def of_hdf5(files: Sequence[Path]) -> Iterator[Raw]:
    """Frames of every group with a data set type.raw. Raises Unfit for what leads out of the file."""
    import h5py

    with h5py.File(files[0], "r") as file:
        for name, group in _groups(h5py, file, ""):
            if "type.raw" not in group:
                continue
            sets = sorted(key for key in group if key.startswith("set.") and isinstance(group[key], h5py.Group))
            types = _dataset(group["type.raw"], f"{name}/type.raw")
            if types.size > MOST_ATOMS:
                raise too_many_atoms(types.size)
            system = System(
                types=[_not_negative(int(kind)) for kind in types[()].ravel()],
                type_map=_strings(h5py, group["type_map.raw"], name) if "type_map.raw" in group else [],
                periodic="nopbc" not in group,
                sets=[_in_group(group[one], f"{name}/{one}") for one in sets],
            )
            yield from _frames(system)


def _groups(h5py: Any, group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Groups by hard links alone; each is visited by the way it is first met."""
    yield name, group
    for key in group:
        link = group.get(key, getlink=True)
        if not isinstance(link, h5py.HardLink):
            reason = f"{name}/{key} is a link to elsewhere, which is not followed"
            raise Unfit("hdf5-link", reason, "Copy the data into the file instead of linking it.")
        if isinstance(group[key], h5py.Group) and name.count("/") < 8:
            yield from _groups(h5py, group[key], f"{name}/{key}")


def _in_group(group: Any, shown: str) -> Callable[[str], Any]:
    def array(name: str) -> Any:
        key = f"{name}.npy"
        return _dataset(group[key], f"{shown}/{key}") if key in group else None

    return array


def _dataset(data: Any, shown: str) -> Any:
    if getattr(data, "dtype", None) is None:
        raise Unfit("unreadable", f"{shown} is a group where an array is expected", _EXPORT)
    if data.external or data.is_virtual:
        reason = f"{shown} keeps its numbers in another file, which is not read"
        raise Unfit("hdf5-link", reason, "Copy the data into the file instead of linking it.")
    _only_numbers(data.dtype, shown)
    return data


def _strings(h5py: Any, data: Any, shown: str) -> list[str]:
    fits = isinstance(data, h5py.Dataset) and data.size <= _LONGEST_TYPE_MAP and not (data.external or data.is_virtual)
    if not fits or (h5py.check_string_dtype(data.dtype) is None):
        raise Unfit("unknown-element", f"{shown}/type_map.raw is no list of elements", _EXPORT)
    return [one.decode() if isinstance(one, bytes) else str(one) for one in np.ravel(data[()])]


def of_lmdb(files: Sequence[Path]) -> Iterator[Raw]:
    """One msgpack record a frame, as deepmd-kit and dpdata write them, and this platform. Raises Unfit."""
    import lmdb
    import msgpack  # type: ignore[import-untyped]

    with (
        lmdb.open(str(files[0]), readonly=True, lock=False, readahead=False, max_dbs=0) as database,
        database.begin(buffers=True) as reading,
    ):
        about = reading.get(b"__metadata__")
        if about is None:
            raise Unfit("unreadable", "it has no __metadata__: it is no data of deepmd-kit", _EXPORT)
        metadata = msgpack.unpackb(about)
        form = str(metadata.get("frame_idx_fmt", "012d"))
        if not re.fullmatch(r"0?\d{1,2}d", form):
            raise Unfit("unreadable", f"frames are numbered as {form[:20]!r}", _EXPORT)
        names = [str(name) for name in metadata.get("type_map", [])]
        # Of this platform's own files: frames whose box stands in for none.
        without_cell = set(metadata.get("open_frames", ()))
        for index in range(int(metadata["nframes"])):
            record = reading.get(format(index, form).encode())
            if record is None:
                raise Unfit("truncated", f"it lacks frame {index} of {metadata['nframes']}", "Copy it again.")
            fields = {_text_of(key): value for key, value in msgpack.unpackb(record).items()}
            yield _record(fields, names, index not in without_cell)


def _text_of(key: Any) -> str:
    return key.decode() if isinstance(key, bytes) else str(key)


def _record(fields: dict[str, Any], type_map: Sequence[str], periodic: bool) -> Raw:
    kinds = [int(kind) for kind in _decoded(fields["atom_types"], "atom_types").ravel()]
    system = System(kinds, [_text_of(name) for name in fields.get("atom_names", type_map)], periodic, [])
    arrays = {name: _decoded(fields[name], name) if name in fields else None for name in _LMDB_NAMES}
    return Raw(
        symbols=[_symbol(system, kind) for kind in kinds],
        coords=arrays["coords"],
        cell=arrays["cells"] if periodic and not fields.get("nopbc") else None,
        energy=arrays["energies"],
        forces=arrays["forces"],
        virial=arrays["virials"],
    )


_LMDB_NAMES = ("coords", "cells", "energies", "forces", "virials")


def _decoded(value: Any, shown: str) -> FloatArray:
    if not isinstance(value, dict):
        return np.asarray(value, dtype=np.float64)
    value = {_text_of(key): one for key, one in value.items()}
    dtype = np.dtype(_text_of(value["type"]))
    _only_numbers(dtype, shown)
    return np.frombuffer(value["data"], dtype).reshape(value.get("shape", -1))

"""DeePMD-kit's own data: raw text, NumPy, HDF5, LMDB; one system a folder or file, or several mixed."""

import re
from pathlib import Path

from ingest.confined.programs.spec import FormatSpec, holds


def _mixed(folder: str) -> bool:
    return any(Path(folder).glob("set.*/real_atom_types.npy"))


def _marks_npy(folder: str, names: set[str]) -> bool:
    return "type.raw" in names and any(name.startswith("set.") for name in names) and not _mixed(folder)


_HDF5 = re.compile(rb"\A\x89HDF")
# Names of data sets stand in an HDF5 file as they are.
_MIXED = b"real_atom_types"

FORMATS = (
    FormatSpec(
        name="deepmd/npy",
        title="DeePMD-kit systems (npy)",
        example="a folder with type.raw, type_map.raw and set.000/coord.npy, energy.npy, force.npy, box.npy",
        reads="folder",
        names=("type.raw", "set.*"),
        told_by="a folder with type.raw and set.*/*.npy",
        marks=_marks_npy,
    ),
    FormatSpec(
        name="deepmd/npy/mixed",
        title="DeePMD-kit systems of mixed type (npy)",
        example="a folder with type.raw, type_map.raw and set.000/real_atom_types.npy, coord.npy, …",
        reads="folder",
        names=("type.raw", "set.*"),
        told_by="a folder with type.raw and set.*/real_atom_types.npy",
        marks=lambda folder, names: "type.raw" in names and _mixed(folder),
    ),
    FormatSpec(
        name="deepmd/raw",
        title="DeePMD-kit systems (raw text)",
        example="a folder with type.raw, type_map.raw, coord.raw, energy.raw, force.raw and box.raw",
        reads="folder",
        names=("type.raw", "coord.raw"),
        told_by="a folder with type.raw and coord.raw",
        marks=lambda _folder, names: {"type.raw", "coord.raw"} <= names,
    ),
    FormatSpec(
        name="deepmd/lmdb",
        title="DeePMD-kit LMDB",
        example="a folder such as data.lmdb with data.mdb in it",
        reads="folder",
        names=("data.mdb",),
        told_by="a folder with data.mdb",
        marks=lambda _folder, names: "data.mdb" in names,
    ),
    FormatSpec(
        name="deepmd/hdf5/mixed",
        title="DeePMD-kit systems of mixed type (HDF5)",
        example="mixed.hdf5",
        reads="file",
        names=("*.hdf5", "*.h5"),
        content=_HDF5,
        words=(b"\x89HDF",),
        told_by="HDF5 in its first bytes and then real_atom_types",
        only_if=lambda path, _head: holds(path, _MIXED),
    ),
    FormatSpec(
        name="deepmd/hdf5",
        title="DeePMD-kit systems (HDF5)",
        example="data.hdf5",
        reads="file",
        names=("*.hdf5", "*.h5"),
        content=_HDF5,
        words=(b"\x89HDF",),
        told_by="HDF5 in its first bytes",
    ),
)

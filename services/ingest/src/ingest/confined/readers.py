"""What dpdata, or a reader of our own, makes of one calculation: raw frames, one after another."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dpdata
from dpdata.data_type import DataError

from ingest.confined import corrections, deepmd_data, extxyz, trajectories
from ingest.confined.archives import printable
from ingest.confined.judging import Raw, Unfit
from ingest.confined.known import FORMATS
from ingest.confined.programs.spec import Convergence


def paths(root: Path, calculation: dict[str, Any]) -> list[Path]:
    """The calculation's files or folders."""
    return [root / file for file in calculation["files"]]


def frames(root: Path, calculation: dict[str, Any]) -> Iterator[Raw | Unfit]:
    """Frames in order; one that cannot be understood comes as Unfit. Raises whatever a parser raises."""
    name = calculation["format"]
    files = paths(root, calculation)
    if name in _OWN:
        yield from _OWN[name](files[0], calculation["files"][0])
        return
    spec = FORMATS.get(name)
    if spec is None:
        yield from _read(root, calculation, calculation["options"])
        return
    texts = [text for path in files for text in spec.texts(path)]
    if texts and (refusal := spec.refuses(texts)) is not None:
        raise Unfit(*refusal)
    raws = list(_read(root, calculation, calculation["options"] | dict(spec.options)))
    told = spec.converged(texts) if texts else None
    corrected = _CORRECTED[name](files, texts, raws) if name in _CORRECTED else raws
    for raw, converged in zip(corrected, _each(told, len(raws)), strict=True):
        yield raw if converged is None else replace(raw, converged=converged)


def _read(root: Path, calculation: dict[str, Any], options: dict[str, Any]) -> Iterator[Raw]:
    for system in _systems(root, calculation, options):
        yield from _of_system(system)


def _each(told: Convergence, frames: int) -> Sequence[bool | None]:
    """One word a frame; if the output tells of another number of frames, whose is whose is not known."""
    if told is None or isinstance(told, bool):
        return [told] * frames
    return told if len(told) == frames else [None] * frames


def _systems(root: Path, calculation: dict[str, Any], options: dict[str, Any]) -> list[Any]:
    """dpdata's systems of one calculation."""
    # Paths relative to the tree keep messages free of this machine's folders.
    os.chdir(root)
    files: list[str] = calculation["files"]
    source: Any = files[0] if len(files) == 1 else files
    name = calculation["format"]
    if calculation["multi"]:
        systems = dpdata.MultiSystems()
        systems.load_systems_from_file(source, fmt=name, **options)
        return list(systems.systems.values())
    return [dpdata.LabeledSystem(source, fmt=name, **options)]


def _of_system(system: Any) -> Iterator[Raw]:
    data = system.data
    names = data["atom_names"]
    symbols = [str(names[kind]) for kind in data["atom_types"]]
    cells = None if data.get("nopbc") else data["cells"]
    labels = [data.get(name) for name in ("energies", "forces", "virials")]
    lengths = {len(one) for one in (data["coords"], *labels) if one is not None}
    if len(lengths) > 1:
        raise DataError(f"numbers of positions and labels differ: {sorted(lengths)}")
    for index in range(len(data["coords"])):
        # A parser that found no energy may give an array of None.
        energy, forces, virial = (None if one is None or one[index] is None else one[index] for one in labels)
        yield Raw(symbols, data["coords"][index], None if cells is None else cells[index], energy, forces, virial)


def _deepmd(systems: Callable[[Path, str], Iterator[deepmd_data.System]]) -> Callable[[Path, str], Iterator[Raw]]:
    return lambda path, shown: deepmd_data.frames(systems(path, printable(shown)))


# Readers of our own: dpdata's take quadratic time, load everything at once, or misread.
_OWN: dict[str, Callable[[Path, str], Iterator[Raw | Unfit]]] = {
    "extxyz": extxyz.of_file,
    "ase/traj": trajectories.of_file,
    "deepmd/raw": _deepmd(deepmd_data.of_folder),
    "deepmd/npy": _deepmd(deepmd_data.of_folder),
    "deepmd/npy/mixed": _deepmd(deepmd_data.of_folder),
    "deepmd/hdf5": _deepmd(deepmd_data.of_hdf5),
    "deepmd/hdf5/mixed": _deepmd(deepmd_data.of_hdf5),
    "deepmd/lmdb": deepmd_data.of_lmdb,
}
# What dpdata leaves out of, or adds to, what the files say: (files, texts, frames) → frames.
_CORRECTED: dict[str, Callable[[list[Path], list[Path], list[Raw]], list[Raw]]] = {
    "amber/md": corrections.elements_of_topology,
    "cp2kdata/e_f": corrections.cp2k_periodicity,
    "cp2kdata/md": corrections.cp2k_periodicity,
    "dftbplus": corrections.cell_of_input,
}

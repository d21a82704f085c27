"""What dpdata, or a reader of our own, makes of one calculation: raw frames, one after another."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from ingest.confined import corrections, deepmd_data, extxyz, trajectories
from ingest.confined.judging import Raw, Unfit
from ingest.confined.known import FORMATS
from ingest.confined.lean import dpdata
from ingest.confined.parsers import (
    cp,
    cp2k,
    cp2k_md,
    fhi_aims,
    molecules,
    n2p2,
    openmx,
    outcar,
    pw,
    pwmat,
    siesta,
    vasprun,
)
from ingest.confined.programs.spec import Convergence
from ingest.confined.text import encoding as text_encoding
from ingest.confined.text import lenient


def paths(root: Path, calculation: dict[str, Any]) -> list[Path]:
    """The calculation's files or folders."""
    return [root / file for file in calculation["files"]]


def frames(root: Path, calculation: dict[str, Any]) -> Iterator[Raw | Unfit]:
    """Frames in order; one that cannot be understood comes as Unfit. Raises whatever a parser raises."""
    name = calculation["format"]
    if name in _BY_NAME:
        yield from _own(root, calculation, _BY_NAME[name]([f"{root}/{file}" for file in calculation["files"]]))
        return
    files = paths(root, calculation)
    _refuse(name, files)
    if name in _OWN:
        yield from _own(root, calculation, _OWN[name](files))
    else:
        yield from _by_dpdata(root, calculation, files)


def _own(root: Path, calculation: dict[str, Any], read: Iterator[Raw | Unfit]) -> Iterator[Raw | Unfit]:
    """What a reader of our own gives, or the reason why it gives nothing."""
    name = calculation["format"]
    try:
        first = next(read, None)
    except Unfit:
        _in_bytes_of_ascii(_texts(name, paths(root, calculation)))
        raise
    except (LookupError, ValueError, AssertionError, RuntimeError):
        _in_bytes_of_ascii(_texts(name, paths(root, calculation)))
        # What our reader does not understand from the start, dpdata may.
        if name not in _DPDATA_TOO:
            raise
        yield from _by_dpdata(root, calculation, paths(root, calculation))
        return
    if first is None:
        _in_bytes_of_ascii(_texts(name, paths(root, calculation)))
    else:
        yield from chain((first,), read)


def _refuse(name: str, files: list[Path]) -> None:
    """Raises Unfit for what would be misread."""
    spec = FORMATS.get(name)
    if spec is None or spec.refuses is None:
        return
    texts = _texts(name, files)
    if texts and (refusal := spec.refuses(texts)) is not None:
        raise Unfit(*refusal)


def _texts(name: str, files: list[Path]) -> list[Path]:
    spec = FORMATS.get(name)
    # Extended XYZ is read in any encoding.
    return [text for path in files for text in spec.texts(path)] if spec and name != "extxyz" else []


def _in_bytes_of_ascii(texts: list[Path]) -> None:
    """Raises Unfit for text in UTF-16 or UTF-32, which a program's parser does not understand."""
    for path in texts:
        encoding = text_encoding(path)
        if not encoding.startswith("utf-8"):
            remedy = "Save it as UTF-8, e.g. `iconv -f UTF-16 -t UTF-8 old > new`."
            raise Unfit("wrong-encoding", f"{path.name} is text in {encoding.upper()}", remedy)


def _by_dpdata(root: Path, calculation: dict[str, Any], files: list[Path]) -> Iterator[Raw]:
    name = calculation["format"]
    spec, texts = FORMATS.get(name), _texts(name, files)
    _in_bytes_of_ascii(_texts(name, files))
    options = calculation["options"] | dict(spec.options if spec else ())
    with lenient():
        raws = [raw for system in _systems(root, calculation, options) for raw in _of_system(system)]
        if name in _CORRECTED:
            raws = _CORRECTED[name](files, texts, raws)
        told = spec.converged(texts) if spec and texts else None
    for raw, converged in zip(raws, _each(told, len(raws)), strict=True):
        yield raw if converged is None else replace(raw, converged=converged)


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
        raise dpdata.data_type.DataError(f"numbers of positions and labels differ: {sorted(lengths)}")
    for index in range(len(data["coords"])):
        # A parser that found no energy may give an array of None.
        energy, forces, virial = (None if one is None or one[index] is None else one[index] for one in labels)
        yield Raw(symbols, data["coords"][index], None if cells is None else cells[index], energy, forces, virial)


# Readers of our own: dpdata's take quadratic time, load everything at once, or misread.
_OWN: dict[str, Callable[[Sequence[Path]], Iterator[Raw | Unfit]]] = {
    "ase/traj": trajectories.frames,
    "cp2kdata/e_f": cp2k.single_point,
    "cp2kdata/md": cp2k_md.frames,
    "deepmd/hdf5": deepmd_data.of_hdf5,
    "deepmd/hdf5/mixed": deepmd_data.of_hdf5,
    "deepmd/lmdb": deepmd_data.of_lmdb,
    "deepmd/npy": deepmd_data.of_folder,
    "deepmd/npy/mixed": deepmd_data.of_folder,
    "deepmd/raw": deepmd_data.of_folder,
    "extxyz": extxyz.of_file,
    "fhi_aims/output": fhi_aims.frames,
    "fhi_aims/scf": fhi_aims.frames,
    "n2p2": n2p2.frames,
    "openmx/md": openmx.frames,
    "orca/spout": molecules.orca,
    "psi4/out": molecules.psi4,
    "pwmat/movement": pwmat.frames,
    "qe/cp/traj": cp.frames,
    "siesta/aimd_output": siesta.frames,
    "siesta/output": siesta.frames,
    "vasp/outcar": outcar.frames,
    "vasp/xml": vasprun.frames,
}
# Of small files there may be hundreds of thousands: to make a Path takes as long as to open and read one.
_BY_NAME: dict[str, Callable[[Sequence[str]], Iterator[Raw | Unfit]]] = {"qe/pw/scf": pw.frames}
# Where dpdata reads right, if more slowly.
_DPDATA_TOO = frozenset({"qe/pw/scf", "vasp/outcar", "vasp/xml"})
# What dpdata leaves out of, or adds to, what the files say: (files, texts, frames) → frames.
_CORRECTED: dict[str, Callable[[list[Path], list[Path], list[Raw]], list[Raw]]] = {
    "abacus/md": corrections.volume_without_sign,
    "abacus/relax": corrections.steps_of_relaxation,
    "abacus/scf": corrections.forces_of_the_inverted,
    "amber/md": corrections.elements_of_topology,
    "dftbplus": corrections.cell_of_input,
}

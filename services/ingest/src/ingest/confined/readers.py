"""What dpdata, or a reader of our own, makes of one calculation: raw frames, one after another."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dpdata
from dpdata.data_type import DataError

from ingest.confined import extxyz
from ingest.confined.judging import Raw, Unfit
from ingest.confined.known import FORMATS
from ingest.confined.parsers import cp, molecules, n2p2, openmx, outcar, pw, pwmat, siesta, vasprun
from ingest.confined.programs.spec import Convergence

EXTXYZ = "extxyz"
_OWN: dict[str, Callable[[Sequence[Path]], Iterator[Raw | Unfit]]] = {
    "n2p2": n2p2.frames,
    "openmx/md": openmx.frames,
    "orca/spout": molecules.orca,
    "psi4/out": molecules.psi4,
    "pwmat/movement": pwmat.frames,
    "qe/cp/traj": cp.frames,
    "qe/pw/scf": pw.frames,
    "siesta/aimd_output": siesta.frames,
    "siesta/output": siesta.frames,
    "vasp/outcar": outcar.frames,
    "vasp/xml": vasprun.frames,
}


def paths(root: Path, calculation: dict[str, Any]) -> list[Path]:
    """The calculation's files or folders."""
    return [root / file for file in calculation["files"]]


def frames(root: Path, calculation: dict[str, Any]) -> Iterator[Raw | Unfit]:
    """Frames in order; one that cannot be understood comes as Unfit. Raises whatever a parser raises."""
    if calculation["format"] == EXTXYZ:
        with paths(root, calculation)[0].open(encoding="utf-8", errors="replace") as file:
            yield from extxyz.frames(file)
        return
    own = _OWN.get(calculation["format"])
    if own is None:
        yield from _dpdata(root, calculation)
        return
    read = own(paths(root, calculation))
    try:
        first = next(read, None)
    except Unfit:
        raise
    except Exception:
        # What our reader does not understand from the start, dpdata may; else its error is the one to tell.
        yield from _dpdata(root, calculation)
        return
    if first is not None:
        yield first
        yield from read


def _dpdata(root: Path, calculation: dict[str, Any]) -> Iterator[Raw]:
    """Frames by dpdata's reader, with what the output says of their convergence."""
    spec = FORMATS.get(calculation["format"])
    options = calculation["options"] | dict(spec.options if spec else ())
    raws = [raw for system in _systems(root, calculation, options) for raw in _of_system(system)]
    texts = [text for path in paths(root, calculation) for text in spec.texts(path)] if spec else []
    told = spec.converged(texts) if spec else None
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
        try:
            systems.load_systems_from_file(source, fmt=name, **options)
        except (KeyError, NotImplementedError):
            # An HDF5 file may also hold one system alone, at its root.
            return [dpdata.LabeledSystem(source, fmt=name, **options)]
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

"""What strangers put into data files: pickles, links, wrong shapes, other encodings, absurd sizes."""

import io
import json
import pickle
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import lmdb
import msgpack  # type: ignore[import-untyped]
import numpy as np
import pytest
from frames.frame import Frame
from ingest.confined import extxyz, readers
from ingest.confined.judging import MOST_ATOMS, Raw, Unfit, atomic_numbers, frame
from ingest.confined.reading import Parser
from outputs import GENERATORS
from outputs.deepmd import TYPE_MAP

Examples = Callable[..., list[Frame]]


class Dropper:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def write(name: str, folder: Path, frames: list[Frame]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    GENERATORS[name].write(folder, frames)


def read(root: Path, name: str, path: str = ".") -> list[Raw]:
    wanted = {"format": name, "files": [path], "options": {}, "multi": False}
    raws = list(readers.frames(root, wanted))
    for raw in raws:
        if isinstance(raw, Unfit):
            raise raw
    return [raw for raw in raws if isinstance(raw, Raw)]


def refused(root: Path, name: str, path: str = ".") -> Unfit:
    with pytest.raises(Unfit) as unfit:
        for index, raw in enumerate(read(root, name, path)):
            frame(raw, atomic_numbers(raw.symbols), index)
    assert unfit.value.remedy
    return unfit.value


@pytest.mark.parametrize("name", ["deepmd/npy", "deepmd/npy/mixed"])
@pytest.mark.parametrize("array", ["coord", "energy", "real_atom_types"])
def test_pickles_are_refused_by_name_and_never_loaded(
    name: str, array: str, examples: Examples, tmp_path: Path
) -> None:
    GENERATORS[name].write(tmp_path, examples(1, 1))
    trap = tmp_path / "trap"
    path = tmp_path / f"set.000/{array}.npy"
    for hostile in (
        lambda: np.save(path, np.array([Dropper(trap)], dtype=object), allow_pickle=True),
        lambda: path.write_bytes(pickle.dumps(Dropper(trap))),
    ):
        hostile()
        unfit = refused(tmp_path, name)
        assert unfit.rule == "object-array"
        assert f"set.000/{array}.npy" in unfit.args[0]
        assert not trap.exists()
    # The trap is a real one.
    pickle.loads(path.read_bytes())
    assert trap.exists()


def types(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "type.raw").write_text(text)


def array(name: str, values: Any) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / f"set.000/{name}.npy", np.asarray(values))


def content(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / f"set.000/{name}.npy").write_bytes(data)


def without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("change", "rule", "words"),
    [
        (types("0\n0\n9\n1\n1\n"), "unknown-element", "type 9, but type_map.raw names 5"),
        (types("0\n0\n-1\n1\n1\n"), "unknown-element", "type -1"),
        (without("type_map.raw"), "unknown-element", "there is no type_map.raw"),
        (types("0\n0\n"), "wrong-shape", "coord has 15 numbers where 1 frames of 2 atoms have 6"),
        (types(""), "no-atoms", "no atoms"),
        (array("force", np.zeros((1, 14))), "wrong-shape", "force has 14 numbers"),
        (array("energy", np.zeros(7)), "wrong-shape", "energy has 7 numbers"),
        (array("box", np.full((1, 9), np.nan)), "not-finite", "cell: 9 of 9 numbers"),
        (without("set.000/box.npy"), "no-cell", "no file nopbc"),
        (without("set.000/energy.npy"), "no-energy", "no energy"),
        (without("set.000/coord.npy"), "no-positions", "no coord"),
        (array("coord", [["a"] * 15]), "not-a-number", "coord.npy holds"),
        (content("coord", b"\x93NUMPY\x01\x00"), "unreadable", "coord.npy"),
        (content("coord", b"1 2 3"), "unreadable", "coord.npy is no .npy file"),
        (array("coord", np.zeros((0, 15))), "wrong-shape", "0 frames"),
    ],
)
def test_damaged_deepmd_data_says_where(
    change: Callable[[Path], object], rule: str, words: str, examples: Examples, tmp_path: Path
) -> None:
    GENERATORS["deepmd/npy"].write(tmp_path, examples(1, 1))
    change(tmp_path)
    unfit = refused(tmp_path, "deepmd/npy")
    assert (unfit.rule, words in unfit.args[0]) == (rule, True), unfit


def test_an_array_that_is_announced_but_not_there_is_not_allocated(examples: Examples, tmp_path: Path) -> None:
    GENERATORS["deepmd/npy"].write(tmp_path, examples(1, 1))
    with (tmp_path / "set.000/coord.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 15)})
    tracemalloc.start()
    unfit = refused(tmp_path, "deepmd/npy")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert (unfit.rule, "coord.npy breaks off" in unfit.args[0]) == ("truncated", True)


def test_molecules_without_a_cell_and_padded_atoms(examples: Examples, tmp_path: Path) -> None:
    (one,) = examples(1, 1)
    write("deepmd/npy", tmp_path / "molecule", [replace(one, cell=None, virial=None)])
    (raw,) = read(tmp_path, "deepmd/npy", "molecule")
    assert (raw.cell, raw.virial) == (None, None)
    write("deepmd/npy/mixed", tmp_path / "mixed", [one])
    types = [*(TYPE_MAP.index(symbol) for symbol in one.symbols[:4]), -1]
    np.save(tmp_path / "mixed/set.000/real_atom_types.npy", np.array([types]))
    (padded,) = read(tmp_path, "deepmd/npy/mixed", "mixed")
    assert padded.symbols == one.symbols[:4]
    np.testing.assert_array_equal(padded.forces, one.forces[:4])


def test_an_hdf5_file_leads_nowhere_else(examples: Examples, tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.zeros((1, 15))
    path = tmp_path / "data.hdf5"

    def fresh() -> h5py.File:
        path.unlink(missing_ok=True)
        GENERATORS["deepmd/hdf5"].write(tmp_path, examples(1, 1))
        return h5py.File(path, "a")

    def expect(rule: str, words: str) -> None:
        unfit = refused(tmp_path, "deepmd/hdf5", "data.hdf5")
        assert (unfit.rule, words in unfit.args[0]) == (rule, True), unfit

    with fresh() as file:
        file["elsewhere"] = h5py.ExternalLink(str(secret), "x")
    expect("hdf5-link", "/elsewhere is a link")
    with fresh() as file:
        file["loop"] = h5py.SoftLink("/")
    expect("hdf5-link", "/loop is a link")
    with fresh() as file:
        del file["O1H2SiC/set.000/coord.npy"]
        file["O1H2SiC/set.000"].create_dataset("coord.npy", (1, 15), "f8", external=[(str(secret), 0, 120)])
    expect("hdf5-link", "coord.npy keeps its numbers in another file")
    with fresh() as file:
        del file["O1H2SiC/set.000/coord.npy"]
        layout = h5py.VirtualLayout((1, 15), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "x", (1, 15))
        file["O1H2SiC/set.000"].create_virtual_dataset("coord.npy", layout)
    expect("hdf5-link", "coord.npy keeps its numbers in another file")
    with fresh() as file:
        del file["O1H2SiC/set.000/energy.npy"]
        file["O1H2SiC/set.000/energy.npy"] = np.array(["-1"], dtype=h5py.string_dtype())
    expect("object-array", "energy.npy holds Python objects")
    with fresh() as file:
        del file["O1H2SiC/type_map.raw"]
        file["O1H2SiC/type_map.raw"] = np.arange(5)
    expect("unknown-element", "type_map.raw is no list of elements")
    with fresh() as file:
        # A group that contains itself is visited, not walked forever.
        file["O1H2SiC/itself"] = file["O1H2SiC"]
    assert len(read(tmp_path, "deepmd/hdf5", "data.hdf5")) >= 1


def lmdb_with(folder: Path, metadata: dict[str, Any], record: dict[str, Any]) -> None:
    with lmdb.open(str(folder), map_size=1 << 24) as database, database.begin(write=True) as writing:
        writing.put(b"__metadata__", msgpack.packb({"nframes": 1, "type_map": ["H"], **metadata}))
        writing.put(b"000000000000", msgpack.packb(record))


@pytest.mark.parametrize(
    ("metadata", "record", "rule"),
    [
        ({"nframes": 3}, {"atom_types": [0], "coords": [0.0] * 3, "cells": None}, "truncated"),
        ({}, {"atom_types": [0], "coords": [0.0] * 3, "cells": [0.0] * 9}, "no-energy"),
        ({}, {"atom_types": [5], "coords": [0.0] * 3}, "unknown-element"),
        ({}, {"atom_types": [-1], "coords": [0.0] * 3}, "unknown-element"),
        ({"frame_idx_fmt": "9999999999d"}, {"atom_types": [0]}, "unreadable"),
        ({}, {"atom_types": {"type": "|O", "shape": [1], "data": b"12345678"}}, "object-array"),
    ],
)
def test_hostile_lmdb(metadata: dict[str, Any], record: dict[str, Any], rule: str, tmp_path: Path) -> None:
    lmdb_with(tmp_path / "data", metadata, record)
    assert refused(tmp_path, "deepmd/lmdb", "data").rule == rule


XYZ = 'Lattice="4 0 0 0 5 0 0 0 6" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1'
ATOM = "H 0 0 0 0 0 0\n"


def test_a_billion_atoms_are_not_allocated() -> None:
    tracemalloc.start()
    with pytest.raises(Unfit, match="ends within a frame of 1000000000 atoms"):
        list(extxyz.frames(io.StringIO(f"1000000000\n{XYZ}\n{ATOM * 3}")))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_a_frame_of_a_million_atoms_is_set_aside_and_the_next_one_read() -> None:
    text = f"1000000\n{XYZ}\n{ATOM * 1_000_000}1\n{XYZ}\n{ATOM}"
    large, small = extxyz.frames(io.StringIO(text))
    assert isinstance(large, Unfit)
    assert large.rule == "too-many-atoms"
    assert large.args[0] == "1,000,000 atoms in one frame; at most 100,000 are read"
    assert isinstance(small, Raw)


def test_no_atoms_at_all() -> None:
    first, second = extxyz.frames(io.StringIO(f"0\n{XYZ}\n1\n{XYZ}\n{ATOM}"))
    assert isinstance(first, Unfit)
    assert first.rule == "no-atoms"
    assert isinstance(second, Raw)
    with pytest.raises(Unfit, match="a number of atoms is expected, not '-3'"):
        list(extxyz.frames(io.StringIO(f"-3\n{XYZ}\n")))


def test_too_many_atoms_of_any_reader() -> None:
    many = MOST_ATOMS + 1
    raw = Raw(["H"] * many, np.zeros((many, 3)), None, 0.0, np.zeros((many, 3)), None)
    with pytest.raises(Unfit) as unfit:
        frame(raw, atomic_numbers(raw.symbols), 0)
    assert unfit.value.rule == "too-many-atoms"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig", "utf-32"])
def test_extxyz_in_another_encoding(encoding: str, tmp_path: Path) -> None:
    text = f'1\n{XYZ} note="硅"\n{ATOM}'
    (tmp_path / "a.xyz").write_text(("\ufeff" if encoding == "utf-16-be" else "") + text, encoding=encoding)
    (raw,) = read(tmp_path, "extxyz", "a.xyz")
    assert raw.symbols == ["H"]


def test_latin_1_in_an_output_is_no_obstacle(examples: Examples, tmp_path: Path) -> None:
    for name, path in (
        ("gaussian/log", "molecule.log"),
        ("fhi_aims/scf", "aims.out"),
        ("gaussian/fchk", "molecule.fchk"),
    ):
        GENERATORS[name].write(tmp_path, examples(1, 1))
        text = (tmp_path / path).read_text()
        # A comment of the user, next to their name.
        first, rest = text.split("\n", 1)
        (tmp_path / path).write_bytes(f"{first} Jürgen Müller, 5 Å\n{rest}".encode("latin-1"))
        assert len(read(tmp_path, name, path)) == 1


def test_an_output_in_utf_16_says_how_to_save_it(examples: Examples, tmp_path: Path) -> None:
    GENERATORS["gaussian/log"].write(tmp_path, examples(1, 1))
    path = tmp_path / "molecule.log"
    path.write_text(path.read_text(), encoding="utf-16")
    unfit = refused(tmp_path, "gaussian/log", "molecule.log")
    assert (unfit.rule, unfit.args[0]) == ("wrong-encoding", "molecule.log is text in UTF-16")
    assert "iconv" in unfit.remedy


def test_a_hostile_folder_costs_itself_alone(examples: Examples, tmp_path: Path) -> None:
    """Through the parse loop: what is refused is reported with its calculation, and the next one is read."""
    for name in ("bad", "好 的"):
        write("deepmd/npy", tmp_path / name, examples(2, 1))
    trap = tmp_path / "trap"
    (tmp_path / "bad/set.001/force.npy").write_bytes(pickle.dumps(Dropper(trap)))
    report, spool = io.BytesIO(), io.BytesIO()
    calculations = [
        {"number": number, "format": "deepmd/npy", "files": [name], "options": {}, "multi": True, "theory": True}
        for number, name in enumerate(("bad", "好 的"))
    ]
    Parser({"tree": str(tmp_path)}, [report, spool, io.BytesIO()]).read(calculations)
    ends = [said for line in report.getvalue().splitlines() if "end" in (said := json.loads(line))]
    assert [(end["frames"], end["failed"]) for end in ends] == [(1, True), (2, False)]
    (entry,) = ends[0]["set_aside"]
    assert (entry["frame"], entry["rule"]) == (1, "object-array")
    assert not trap.exists()

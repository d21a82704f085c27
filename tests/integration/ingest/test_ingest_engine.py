"""Archives through real children and dpdata: real calculations, damaged ones, wrong formats, hostile parsers."""

import io
import lzma
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from contracts.base import LevelOfTheory
from frames import store
from frames.frame import Frame
from frames.hashing import HashArray, frame_hash
from ingest.confinement.children import Children
from ingest.domain import Catalogue, Prepared, Rejected
from ingest.engine import Engine, Request, read_catalogue
from ingest.selecting import Elsewhere
from ingest.settings import IngestSettings
from ingest.work import WorkFolder
from outputs import GENERATORS

ROOT = Path(__file__).parents[3]
SILICON, CARBIDE = ROOT / "deploy/demo/si-more-qe-pbe.tar.xz", ROOT / "deploy/demo/sic-qe-pbe.tar.xz"
WATER, AIMD = ROOT / "deploy/demo/water.extxyz.xz", ROOT / "tests/data/water-aimd-cp2k.tar.xz"

HOSTILE_PLUGIN = '''
import os, sys, time
import numpy as np
from dpdata.format import Format

@Format.register("hostile/any")
class Hostile(Format):
    """A parser that does what its file says."""
    def from_labeled_system(self, file_name, **kwargs):
        word = open(file_name).read().strip()
        if word == "hang":
            time.sleep(3600)
        elif word == "eat":
            kept = [bytearray(1 << 26) for _ in range(1000)]
        elif word == "fork":
            os.fork()
        elif word == "crash":
            os.abort()
        elif word == "exit":
            sys.exit(0)
        elif word == "fill":
            open("/tmp/filled", "w").write("x" * 10**9)
        return {"atom_names": ["Si"], "atom_numbs": [1], "atom_types": np.array([0]), "orig": np.zeros(3),
                "cells": np.eye(3)[None] * float(word), "coords": np.zeros((1, 1, 3)), "energies": np.array([-1.0]),
                "forces": np.zeros((1, 1, 3))}
'''


@pytest.fixture
def settings(work: WorkFolder) -> IngestSettings:
    return IngestSettings(blobs_url="file:///unused", calculation_seconds=20, child_memory_mib=2048)


@pytest.fixture
def plugin(hostile: Path) -> None:
    (hostile / "hostile_plugin.py").write_text(HOSTILE_PLUGIN)
    about = hostile / "hostile-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[dpdata.plugins]\nhostile = hostile_plugin:Hostile\n")


@pytest.fixture
def engine(children: Children, settings: IngestSettings, catalogue: Catalogue) -> Engine:
    return Engine(settings, children, catalogue)


async def prepare(
    engine: Engine, work: WorkFolder, archive: Path, format_: str, declared: LevelOfTheory | None = None
) -> tuple[Prepared, list[Frame]]:
    with work.job() as folder:
        prepared = await engine.prepare(Request(archive, archive.name, format_, declared), folder)
        frames = store.read(prepared.held_out.parent)
        assert len(frames) == prepared.selection.held_out_frames
        if prepared.train is not None:
            frames = store.read(prepared.train.parent) + frames
    assert len(frames) == prepared.selection.frames
    assert len({frame_hash(frame) for frame in frames}) == len(frames)
    return prepared, frames


def counts(prepared: Prepared) -> tuple[int, int, int, int]:
    one = prepared.selection
    return one.frames, one.train_frames, one.held_out_frames, one.duplicate_frames


def packed(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "packed.tar"
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def unpacked(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]


async def test_quantum_espresso(engine: Engine, work: WorkFolder) -> None:
    prepared, frames = await prepare(engine, work, CARBIDE, "qe/pw/scf", LevelOfTheory(basis="ours", k_points="1"))
    summary = prepared.summary
    assert counts(prepared) == (64, 48, 16, 0)
    assert (summary.elements, summary.atoms, summary.virial_frames) == (("C", "Si"), 512, 64)
    assert summary.element_pairs == ("C-C", "C-Si", "Si-Si")
    assert [(one.formula, one.frames) for one in summary.compositions] == [("C4Si4", 64)]
    assert sum(summary.force_component_ev_per_angstrom.counts) == 512 * 3
    assert sum(summary.energy_per_atom_ev.counts) == 64
    theory = prepared.level_of_theory
    assert (theory.code, theory.functional, theory.k_points) == ("Quantum ESPRESSO 6.7MaX", "PBE", "2 2 2 0 0 0")
    assert theory.cutoff_ev == pytest.approx(30 * 13.605693, rel=1e-6)
    assert theory.basis == "C.pbe-rrkjus.UPF, Si.pbe-nl-rrkjus_psl.1.0.0.UPF"
    assert prepared.set_aside == ()
    # Against the file itself: Ry and Ry/bohr in frame 0.
    text = unpacked(CARBIDE)["sic-qe-pbe/frame.0000/scf.out"].decode()
    rydberg = float(text.split("!    total energy")[1].split("=")[1].split()[0])
    first = next(frame for frame in frames if frame.source == "sic-qe-pbe/frame.0000/scf.out")
    assert first.energy == pytest.approx(rydberg * 13.605693, rel=1e-6)
    largest = max(
        np.linalg.norm([float(x) for x in line.split("force =")[1].split()])
        for line in text.splitlines()
        if "force =" in line and "atom" in line
    )
    assert np.linalg.norm(first.forces, axis=1).max() == pytest.approx(largest * 13.605693 / 0.529177, rel=1e-5)


async def test_the_same_archive_gives_the_same_dataset(engine: Engine, work: WorkFolder, tmp_path: Path) -> None:
    first, frames = await prepare(engine, work, SILICON, "qe/pw/scf")
    files = unpacked(SILICON)
    doubled = {f"{part}/{name}": data for part in ("z", "a") for name, data in files.items()}
    second, again = await prepare(engine, work, packed(tmp_path, doubled), "detect")
    assert second.format == "qe/pw/scf"
    assert second.selection.duplicate_frames == 24
    assert second.selection.content_sha256 == first.selection.content_sha256
    assert {frame_hash(one) for one in frames[-6:]} == {frame_hash(one) for one in again[-6:]}


async def test_extxyz_and_cp2k_tell_the_same_of_the_same_run(engine: Engine, work: WorkFolder) -> None:
    """water.extxyz was drawn from the AIMD run, every second step from step 10: its first two are in both."""
    xyz, from_xyz = await prepare(engine, work, WATER, "extxyz")
    assert (counts(xyz), xyz.summary.virial_frames) == ((76, 57, 19, 0), 76)
    cp2k, from_cp2k = await prepare(engine, work, AIMD, "cp2kdata/md")
    # The first of 13 steps ran out of SCF iterations.
    assert (cp2k.selection.frames, cp2k.format) == (12, "cp2kdata/md")
    assert (cp2k.scf.converged, cp2k.scf.unconverged, cp2k.scf.unknown) == (12, 1, 0)
    assert [(one.path, one.frame, one.rule) for one in cp2k.set_aside] == [("water-aimd", 0, "unconverged")]
    assert {frame.converged for frame in from_cp2k} == {True}
    assert cp2k.detection is not None
    assert cp2k.detection.sentence == (
        "1 calculation looks like CP2K molecular dynamics (cp2kdata/md):"
        " it is an output that names CP2K next to its trajectory."
    )
    assert cp2k.level_of_theory.code == "CP2K 2023.1"
    assert cp2k.level_of_theory.functional == "PBE"
    assert cp2k.level_of_theory.cutoff_ev == pytest.approx(280 * 13.605693, rel=1e-4)
    for number in (0, 1):
        one = next(frame for frame in from_xyz if frame.index == number)
        other = next(frame for frame in from_cp2k if frame.index == 10 + 2 * number)
        assert one.energy == pytest.approx(other.energy, abs=1e-6)
        assert one.virial is not None
        assert other.virial is not None
        np.testing.assert_allclose(one.virial, other.virial, atol=1e-5)
        order = [np.argsort(np.round(frame.coords[:, 0], 5)) for frame in (one, other)]
        np.testing.assert_allclose(one.coords[order[0]], other.coords[order[1]], atol=1e-6)
        np.testing.assert_allclose(one.forces[order[0]], other.forces[order[1]], atol=1e-5)


async def test_our_reader_agrees_with_dpdatas(engine: Engine, work: WorkFolder, tmp_path: Path) -> None:
    import dpdata

    path = tmp_path / "water.extxyz"
    path.write_bytes(lzma.decompress(WATER.read_bytes()))
    _, ours = await prepare(engine, work, path, "detect")
    (system,) = dpdata.MultiSystems.from_file(str(path), fmt="extxyz").systems.values()
    for frame in ours:
        assert frame.energy == pytest.approx(float(system["energies"][frame.index]), abs=1e-9)
        assert frame.virial is not None
        np.testing.assert_allclose(frame.virial, system["virials"][frame.index], atol=1e-9)
        np.testing.assert_allclose(
            np.sort(frame.forces, axis=0), np.sort(system["forces"][frame.index], axis=0), atol=1e-9
        )


@pytest.mark.parametrize("format_", ["amber/md", "ase/traj"])
async def test_what_a_reader_imports_only_when_it_reads_is_there_within_the_walls(
    format_: str, engine: Engine, work: WorkFolder, tmp_path: Path
) -> None:
    """SciPy for the one, ASE for the other."""
    rng = np.random.default_rng(5)
    water = np.array([[4.0, 4.0, 4.0], [4.0, 4.8, 4.6], [4.0, 3.2, 4.6]])
    numbers, cell = np.array([8, 1, 1]), np.diag([8.0, 8.5, 9.0])
    forces = rng.normal(0, 0.3, (12, 3, 3))
    forces -= forces.mean(axis=1, keepdims=True)
    written = [
        Frame(numbers, water + rng.normal(0, 0.03, (3, 3)), cell, -10.0 - index, one, source="run", index=index)
        for index, one in enumerate(forces)
    ]
    tree = tmp_path / "tree"
    tree.mkdir()
    GENERATORS[format_].write(tree, written)
    made = Path(shutil.make_archive(str(tmp_path / "made"), "zip", tree))
    prepared, frames = await prepare(engine, work, made, format_)
    assert prepared.set_aside == ()
    assert len(frames) == len(written)
    for frame in frames:
        np.testing.assert_allclose(frame.forces, forces[frame.index], atol=1e-5)


@pytest.mark.parametrize(
    ("format_", "suffix"),
    [
        ("deepmd/npy", "npy"),
        ("deepmd/npy/mixed", "mixed"),
        ("deepmd/raw", "raw"),
        ("deepmd/hdf5", "hdf5"),
        ("deepmd/lmdb", "lmdb"),
    ],
)
async def test_deepmd_formats(format_: str, suffix: str, engine: Engine, work: WorkFolder, tmp_path: Path) -> None:
    """What dpdata writes from real frames of two compositions comes back, chosen or detected."""
    import dpdata

    systems = dpdata.MultiSystems()
    for name, archive in (("si", SILICON), ("sic", CARBIDE)):
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path / name, filter="data")
        for folder in sorted((tmp_path / name).glob("*/frame.*"))[:4]:
            systems.append(dpdata.LabeledSystem([f"{folder}/scf.in", f"{folder}/scf.out"], fmt="qe/pw/scf"))
    target = tmp_path / "out" / f"data.{suffix}"
    target.parent.mkdir()
    systems.to(format_, str(target))
    made = Path(shutil.make_archive(str(tmp_path / "made"), "zip", tmp_path / "out"))
    for asked in (format_, "detect") if suffix == "mixed" else ("detect",):
        prepared, frames = await prepare(engine, work, made, asked)
        assert prepared.format == format_
        assert prepared.set_aside == ()
        assert sorted({one.formula for one in prepared.summary.compositions}) == ["C4Si4", "Si8"]
        assert (len(frames), prepared.summary.virial_frames) == (8, 8)


async def test_vasp_outcar(engine: Engine, work: WorkFolder, tmp_path: Path) -> None:
    steps = [("ok", -10.5), ("unconverged", -9.0), ("ok", -10.25)]
    archive = packed(tmp_path, {"run/OUTCAR": outcar(steps).encode(), "run/POSCAR": b"x"})
    prepared, frames = await prepare(engine, work, archive, "detect")
    assert prepared.format == "vasp/outcar"
    assert sorted(frame.energy for frame in frames) == [-10.5, -10.25]
    assert frames[0].symbols == ["H", "H", "C"]
    assert frames[0].virial is not None
    assert frames[0].virial[0, 0] == pytest.approx(-32.5 * 9**3 / 1602.176621, rel=1e-6)
    assert prepared.level_of_theory == LevelOfTheory(
        code="VASP 5.4.4", functional="PBE", cutoff_ev=400.0, basis="PAW_PBE H 15Jun2001, PAW_PBE C 08Apr2002"
    )
    assert [(one.path, one.rule) for one in prepared.set_aside] == [("run/OUTCAR", "unconverged")]


async def test_damaged_calculations_are_set_aside_by_path_and_reason(
    engine: Engine, work: WorkFolder, tmp_path: Path
) -> None:
    files = unpacked(SILICON)
    frame = "si-more-qe-pbe/frame.00{}/scf.{}"
    cut, nan, unconverged, orphan, no_forces = (48, 49, 50, 51, 52)
    files[frame.format(cut, "out")] = files[frame.format(cut, "out")][:9000]
    text = files[frame.format(nan, "out")]
    files[frame.format(nan, "out")] = re.sub(rb"force = .*", b"force = NaN NaN NaN", text, count=1)
    text = files[frame.format(unconverged, "out")]
    files[frame.format(unconverged, "out")] = text.replace(b"!    total energy", b"     convergence NOT achieved")
    del files[frame.format(orphan, "in")]
    text = files[frame.format(no_forces, "out")]
    files[frame.format(no_forces, "out")] = text.replace(b"Forces acting on atoms", b"").replace(b"force =", b"f =")
    prepared, frames = await prepare(engine, work, packed(tmp_path, files), "qe/pw/scf")
    assert len(frames) == 19
    assert [(one.path, one.frame, one.rule) for one in prepared.set_aside] == [
        (frame.format(cut, "out"), None, "truncated"),
        (frame.format(nan, "out"), 0, "not-finite"),
        (frame.format(unconverged, "out"), 0, "unconverged"),
        (frame.format(orphan, "out"), None, "no-input-file"),
        (frame.format(no_forces, "out"), None, "no-forces"),
    ]
    assert "forces: 3 of 24 numbers are NaN" in prepared.set_aside[1].reason
    assert all(one.remedy for one in prepared.set_aside)
    assert str(work.path) not in str(prepared.set_aside)


async def test_bytes_that_no_database_takes_stay_out_of_what_is_told(
    engine: Engine, work: WorkFolder, tmp_path: Path
) -> None:
    """A NUL in an output came into the level of theory, and no service could keep the event that told it."""
    files = unpacked(SILICON)
    for name, content in files.items():
        files[name] = content.replace(b"Exchange-correlation= PBE", b"Exchange-correlation= P\0BE")
    with work.job() as folder:
        archive = packed(tmp_path, files)
        prepared = await engine.prepare(Request(archive, "data.tar", "detect", None), folder)
    assert prepared.level_of_theory.functional == "P\ufffdBE"
    assert "\\u0000" not in prepared.level_of_theory.model_dump_json()


async def test_archives_without_a_calculation(engine: Engine, work: WorkFolder, tmp_path: Path) -> None:
    text_only = packed(tmp_path, {"notes/README.md": b"# hello", "notes/table.csv": b"1,2"})
    for asked, archive, rule, words in (
        ("detect", text_only, "no-calculation", "notes/README.md"),
        ("qe/pw/scf", text_only, "no-calculation", "it holds 2 files"),
        ("vasp/outcar", SILICON, "wrong-format", "scf.out looks like qe/pw/scf"),
        ("nonsense", SILICON, "unknown-format", "'nonsense'"),
    ):
        with work.job() as folder, pytest.raises(Rejected) as rejected:
            await engine.prepare(Request(archive, "data.tar", asked, None), folder)
        assert (rejected.value.rule, words in rejected.value.reason) == (rule, True), rejected.value
        assert rejected.value.remedy


async def test_a_climbing_archive_and_one_that_is_broken(engine: Engine, work: WorkFolder, tmp_path: Path) -> None:
    climbing = packed(tmp_path, {"ok": b"", "../../climbs": b""})
    cut = tmp_path / "cut.tar.xz"
    cut.write_bytes(SILICON.read_bytes()[:20000])
    empty = tmp_path / "empty.tar"
    tarfile.open(empty, "w").close()
    for archive, rule, words in (
        (climbing, "archive-climbs", "../../climbs"),
        (cut, "archive-unreadable", "cut.tar.xz"),
        (empty, "no-calculation", "no files at all"),
    ):
        with work.job() as folder, pytest.raises(Rejected) as rejected:
            await engine.prepare(Request(archive, archive.name, "detect", None), folder)
        assert (rejected.value.rule, words in rejected.value.reason) == (rule, True), rejected.value
    assert not (work.path / "climbs").exists()


@pytest.mark.usefixtures("plugin")
async def test_a_hostile_parser_costs_its_own_calculation(
    children: Children, settings: IngestSettings, work: WorkFolder, tmp_path: Path
) -> None:
    limited = settings.model_copy(
        update={"calculation_seconds": 10, "child_memory_mib": 768, "max_failed_fraction": 0.7, "bytes_per_parser": 10}
    )
    catalogue = await read_catalogue(children, limited, work.path)
    assert catalogue.named("hostile/any") is not None
    words = ["3.0", "hang", "eat", "4.0", "fork", "crash", "exit", "fill", "5.0", "6.0"]
    files = {f"c{number}.txt": word.encode() for number, word in enumerate(words)}
    prepared, frames = await prepare(Engine(limited, children, catalogue), work, packed(tmp_path, files), "hostile/any")
    assert sorted(frame.source for frame in frames) == ["c0.txt", "c3.txt", "c8.txt", "c9.txt"]
    rules = {one.path: one.rule for one in prepared.set_aside}
    assert rules == {
        "c1.txt": "stalled",
        "c2.txt": "too-much-memory",
        "c4.txt": "unreadable",
        "c5.txt": "crashed",
        "c6.txt": "unreadable",
        "c7.txt": "unreadable",
    }
    assert not Path("/tmp/filled").exists()


@pytest.mark.usefixtures("plugin")
async def test_a_dataset_that_ends_one_parser_after_the_other_is_given_up(
    children: Children, settings: IngestSettings, work: WorkFolder, tmp_path: Path
) -> None:
    limited = settings.model_copy(update={"max_parser_deaths": 2, "parallel_parsers": 1})
    catalogue = await read_catalogue(children, limited, work.path)
    files = {f"c{number:02}.txt": b"crash" for number in range(20)} | {"d.txt": b"3.0"}
    with work.job() as folder, pytest.raises(Rejected) as rejected:
        archive = packed(tmp_path, files)
        await Engine(limited, children, catalogue).prepare(Request(archive, "x.tar", "hostile/any", None), folder)
    assert rejected.value.rule == "too-many-failed"
    assert rejected.value.reason.startswith("reading more than 2 calculations had to be ended; the first is c00.txt:")
    assert [one.path for one in rejected.value.set_aside] == ["c00.txt", "c01.txt", "c02.txt"]


async def test_bad_frames_in_folders_with_chinese_names_and_spaces(
    engine: Engine, work: WorkFolder, tmp_path: Path
) -> None:
    frame = '{n}\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3:forces:R:3 energy={energy}\n{rows}'
    atom = "{} {} 0.5 0.5 0.1 0.2 0.3\n"
    good = [frame.format(n=1, energy=-number, rows=atom.format("Si", 0.1 * number)) for number in range(1, 6)]
    bad = [
        frame.format(n=0, energy=-1, rows=""),
        frame.format(n=1, energy=-1, rows=atom.format("Qq", 0.5)),
        frame.format(n=1, energy="nan", rows=atom.format("Si", 0.5)),
        frame.format(n=1, energy=-1, rows=atom.format("Si", 0.5)).replace('"9 0 0', '"nan 0 0'),
    ]
    name = "水 分子/结构 一.extxyz"
    prepared, frames = await prepare(
        engine, work, packed(tmp_path, {name: "".join(bad[:2] + good + bad[2:]).encode()}), "detect"
    )
    assert {one.source for one in frames} == {name}
    assert sorted(one.index for one in frames) == [2, 3, 4, 5, 6]
    assert [(one.path, one.frame, one.rule) for one in prepared.set_aside] == [
        (name, 0, "no-atoms"),
        (name, 1, "unknown-element"),
        (name, 7, "not-finite"),
        (name, 8, "not-finite"),
    ]
    assert "'Qq' is no element" in prepared.set_aside[1].reason
    assert prepared.set_aside_count == 4


async def test_what_others_hold_out_is_held_out_and_what_they_know_is_marked(engine: Engine, work: WorkFolder) -> None:
    forced = np.arange(24) % 3 == 0

    async def ask(hashes: HashArray) -> Elsewhere:
        assert len(hashes) == 24
        return Elsewhere(forced, ~forced, forced)

    with work.job() as folder:
        prepared = await engine.prepare(Request(SILICON, SILICON.name, "detect", None), folder, ask=ask)
        held_out = store.read(prepared.held_out.parent)
        assert prepared.train is not None
        train = store.read(prepared.train.parent)
    assert (len(held_out), len(train)) == (8, 16)
    assert all(one.known for one in held_out)
    assert not any(one.known for one in train)


async def test_the_catalogue_is_dpdatas_own(catalogue: Catalogue) -> None:
    from dpdata.format import Format
    from ingest.confined.known import FORMATS

    names = {name for one in catalogue.infos() for name in (one.name, *one.aliases)}
    labeled = {name for name, reader in Format.get_formats().items() if "from_labeled_system" in vars(reader)}
    assert labeled - names <= {"ase/structure"}
    assert set(FORMATS) <= {one.name for one in catalogue.infos()}, "a format of ours that dpdata does not have"
    pw = catalogue.named("qe/pw/scf")
    assert pw is not None
    assert pw.info.reads == "files"
    alias = catalogue.named("cp2k/aimd_output")
    assert alias is not None
    assert alias.info.name == "cp2kdata/md"


def outcar(steps: list[tuple[str, float]]) -> str:
    """An OUTCAR in VASP's layout: H2C in a cell of 9 Å."""
    atoms = [(0.5, 0.5, 0.5, 0.1, 0.2, 0.3), (1.5, 0.5, 0.5, -0.1, -0.2, -0.3), (1.0, 1.0, 0.5, 0.0, 0.0, 0.0)]
    lattice = "".join(
        "  ".join(f"{9.0 * (row == column):13.9f}" for column in range(3)) + "  0.1 0.1 0.1\n" for row in range(3)
    )
    text = (
        " vasp.5.4.4.18Apr17-6-g9f103f2a35 (build Jul 12 2018 13:43:46) complex\n"
        " POTCAR:    PAW_PBE H 15Jun2001\n POTCAR:    PAW_PBE C 08Apr2002\n"
        "   LEXCH  = PE\n   TITEL  = PAW_PBE H 15Jun2001\n   TITEL  = PAW_PBE C 08Apr2002\n"
        "   ions per type =               2   1\n   NWRITE =      2    write-flag & timer\n"
        "   ENCUT  =  400.0 eV  29.40 Ry\n   NELM   =     60;   NELMIN=  2; NELMDL= -5     # of ELM steps\n"
    )
    for number, (state, energy) in enumerate(steps, 1):
        electronic = 60 if state == "unconverged" else 12
        shift = 0.01 * number
        rows = "".join("".join(f"{x + shift * (i < 3):13.5f}" for i, x in enumerate(atom)) + "\n" for atom in atoms)
        text += (
            f"--------------------------------------- Iteration {number:6d}({electronic:4d})  ------\n"
            "  FORCE on cell =-STRESS in cart. coord.  units (eV):\n" + "  filler\n" * 13
            + "  in kB     -32.50000   -32.54409   -34.19194     1.87042     2.10914     0.58973\n"
            " VOLUME and BASIS-vectors are now :\n" + " filler\n" * 3
            + "      direct lattice vectors                 reciprocal lattice vectors\n" + lattice
            + " POSITION                                       TOTAL-FORCE (eV/Angst)\n -----\n" + rows
            + f"  free  energy   TOTEN  = {energy:18.8f} eV\n"
        )  # fmt: skip
    return text + " General timing and accounting informations for this job:\n"

"""Calculations are found by what dpdata reads: files, folders, and files that belong together."""

from pathlib import Path

import pytest
from ingest.confined.finding import Format, Tree, detect, find
from ingest.confined.known import FORMATS, takes

PWSCF = "\n     Program PWSCF v.6.7MaX starts on 22Nov2026\n"
CONTROL = " &CONTROL\n calculation='scf'\n/\n"
XYZ = '1\nLattice="1 0 0 0 1 0 0 0 1" Properties=species:S:1:pos:R:3\nH 0 0 0\n'
CATALOGUE = [Format(name, spec.reads, spec.names) for name, spec in FORMATS.items()]


def plant(folder: Path, files: dict[str, str]) -> Tree:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Tree(folder)


def found(folder: Path, name: str, files: dict[str, str]) -> list[tuple[str, ...]]:
    wanted = next(one for one in CATALOGUE if one.name == name)
    return [one.files for one in find(plant(folder, files), wanted)]


@pytest.mark.parametrize(
    ("output", "source"),
    [("scf.out", "scf.in"), ("pw.out", "pw.in"), ("si.log", "si.pwi"), ("result.txt", "only.in"), ("a.in.out", "a.in")],
)
def test_a_pw_output_is_paired_with_its_input(output: str, source: str, tmp_path: Path) -> None:
    files = {f"x/{output}": PWSCF, f"x/{source}": CONTROL, "x/notes.in": "hello"}
    assert found(tmp_path, "qe/pw/scf", files) == [(f"x/{source}", f"x/{output}")]


def test_a_pw_output_without_input_is_still_a_calculation(tmp_path: Path) -> None:
    assert found(tmp_path, "qe/pw/scf", {"scf.out": PWSCF}) == [("scf.out",)]


def test_names_of_another_program_do_not_count(tmp_path: Path) -> None:
    assert found(tmp_path, "vasp/outcar", {"a/OUTCAR": PWSCF, "b/OUTCAR": " vasp.6.4.1", "c/OUTCAR": "?"}) == [
        ("b/OUTCAR",),
        ("c/OUTCAR",),
    ]


def test_content_counts_where_names_do_not_tell(tmp_path: Path) -> None:
    files = {"outcar-of-monday.txt": " vasp.6.4.1", "README": "text"}
    assert found(tmp_path, "vasp/outcar", files) == [("outcar-of-monday.txt",)]
    assert found(tmp_path, "orca/spout", {"a.out": "* O   R   C   A *", "b.out": PWSCF})[0] == ("a.out",)


def test_folders(tmp_path: Path) -> None:
    files = {
        "plain/type.raw": "0", "plain/set.000/coord.npy": "", "mixed/type.raw": "0",
        "mixed/set.000/real_atom_types.npy": "", "raw/type.raw": "0", "raw/coord.raw": "0", "x.lmdb/data.mdb": "",
        "aimd/w-pos-1.xyz": XYZ, "aimd/w.log": " CP2K| version string: CP2K version 2023.1", "aimd/w-1.ener": "#",
        "aba/INPUT": "", "aba/OUT.x/running_scf.log": "",
    }  # fmt: skip
    plant(tmp_path, files)
    folders = {name: found(tmp_path, name, {}) for name in FORMATS if FORMATS[name].reads == "folder"}
    assert folders == {
        "deepmd/npy": [("plain",)],
        "deepmd/npy/mixed": [("mixed",)],
        "deepmd/raw": [("raw",)],
        "deepmd/lmdb": [("x.lmdb",)],
        "cp2kdata/md": [("aimd",)],
        "abacus/scf": [("aba",)],
        "abacus/md": [],
        "abacus/relax": [],
    }
    (md,) = find(Tree(tmp_path), next(one for one in CATALOGUE if one.name == "cp2kdata/md"))
    assert md.options == {"cp2k_output_name": "w.log"}


def test_files_with_one_stem(tmp_path: Path) -> None:
    files = {"run.in": "", "run.pos": "", "run.evp": "", "alone.in": "", "dft/dftb_in.hsd": "", "dft/detailed.out": ""}
    assert found(tmp_path, "qe/cp/traj", files) == [("run",)]
    assert found(tmp_path, "dftbplus", {}) == [("dft/dftb_in.hsd", "dft/detailed.out")]


def test_a_format_that_is_not_ours_reads_every_file(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"a.new": "1", "b/c.new": "2", "__MACOSX/._a.new": "", ".DS_Store": ""})
    assert [one.path for one in find(tree, Format("some/plugin", "file", ()))] == ["a.new", "b/c.new"]


@pytest.mark.parametrize(
    ("files", "formats"),
    [
        ({"f1/scf.out": PWSCF, "f1/scf.in": CONTROL, "f2/scf.out": PWSCF, "x.extxyz": XYZ}, ["qe/pw/scf", "extxyz"]),
        ({"a/w-pos-1.xyz": XYZ, "a/w.log": "CP2K| version string"}, ["cp2kdata/md"]),
        ({"OUTCAR": " vasp.5.4.4", "vasprun.xml": '<?xml version="1.0"?><modeling>'}, ["vasp/outcar"]),
        ({"OUTCAR": "header lost"}, ["vasp/outcar"]),
        ({"README.md": "hello", "data.csv": "1,2"}, []),
        ({}, []),
    ],
)
def test_detection(files: dict[str, str], formats: list[str], tmp_path: Path) -> None:
    tmp_path.joinpath("t").mkdir()
    tree = plant(tmp_path / "t", files)
    ranked = sorted(detect(tree, CATALOGUE), key=lambda name: list(FORMATS).index(name))
    assert sorted(ranked) == sorted(formats)
    if formats:
        assert next(iter(detect(Tree(tmp_path / "t"), CATALOGUE))) == formats[0]


def test_formats_name_formats() -> None:
    assert all(set(takes(name)) <= set(FORMATS) for name in FORMATS)
    assert all(spec.title and spec.example and spec.names for spec in FORMATS.values())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("paper.pdf", b"%PDF-1.4", "nothing but paper.pdf"),
        ("a.zip", b"", "nothing but a.zip, and that is empty"),
        ("a.zip", b"<html>Sign in</html>", "nothing but a.zip, which is named like an archive and is none"),
        ("a.rar", b"Rar!\x1a\x07\x01\x00", "nothing but a.rar, an archive that was not opened"),
        ("a.dat", b"PK\x03\x04" + bytes(600), "nothing but a.dat, an archive that was not opened"),
    ],
)
def test_a_single_file_is_told_for_what_it_is(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert Tree(tmp_path).summary() == said


def test_several_files_are_told_by_examples(tmp_path: Path) -> None:
    assert plant(tmp_path, {}).summary() == "no files at all"
    assert plant(tmp_path, {"a.txt": "a", "b.csv": "b", "c.csv": "c"}).summary() == "3 files, such as b.csv, a.txt"

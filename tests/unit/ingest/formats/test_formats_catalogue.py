"""The catalogue holds each labeled format of dpdata and its plugins once, in words for people."""

import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from contracts.artifacts import FormatInfo
from dpdata.format import Format
from frames.frame import Frame
from ingest.confined import readers
from ingest.confined.catalogue import formats
from ingest.confined.known import FORMATS
from ingest.confined.lean import SPARED
from outputs import GENERATORS

CATALOGUE = [FormatInfo.model_validate(one) for one in formats()]
# They take objects of Python, not files.
OBJECTS = {
    "ase/structure", "pymatgen/structure", "pymatgen/molecule", "pymatgen/computedstructureentry",
}  # fmt: skip


def labeled() -> set[str]:
    """Names that dpdata lists, whose readers give energies: asked of dpdata in another way than the catalogue does."""
    return {
        name
        for name, reader in Format.get_formats().items()
        if {"from_labeled_system", "from_multi_systems", "from_labeled_system_mix"} & set(vars(reader))
    }


def test_each_labeled_name_appears_once_as_name_or_alias() -> None:
    names = Counter(name for one in CATALOGUE for name in (one.name, *one.aliases))
    assert version("dpdata") == "1.1.0"
    assert set(names.values()) == {1}
    assert labeled() - OBJECTS == set(names)
    assert {"vasp/outcar", "deepmd/npy/mixed", "cp2kdata/md", "extxyz", "abacus/lcao/md"} <= set(names)


def test_aliases_are_folded_under_the_name_that_says_most() -> None:
    aliases = {one.name: set(one.aliases) for one in CATALOGUE}
    assert aliases["vasp/outcar"] == {"outcar"}
    assert aliases["extxyz"] == {"quip/gap/xyz", "quip/gap/xyz_file", "mace/xyz", "nequip/xyz", "gpumd/xyz"}
    assert aliases["abacus/scf"] == {"abacus/pw/scf", "abacus/lcao/scf"}
    # The plugin took these names over from dpdata's own reader, which refuses CP2K 2023 and later.
    assert aliases["cp2kdata/md"] == {"cp2k/aimd_output"}
    assert aliases["cp2kdata/e_f"] == {"cp2k/output"}


def test_a_parser_starts_without_the_plugin_whose_formats_we_read_ourselves() -> None:
    """In a process of its own: this one has imported everything."""
    program = "import sys, ingest.confined.reading; print(*{'ase', 'cp2kdata', 'matplotlib', 'scipy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert {one.name for one in CATALOGUE if one.name.startswith("cp2kdata/")} == SPARED
    assert set(readers._OWN) >= SPARED


def test_titles_and_examples_are_for_people() -> None:
    parent = (inspect.getdoc(Format) or "").split(".")[0]
    assert parent.startswith("The abstract base class")
    titles = [one.title for one in CATALOGUE]
    assert len(set(titles)) == len(titles)
    for one in CATALOGUE:
        assert not one.title.startswith("The abstract")
        assert one.title != one.name
        assert one.example
        assert one.names


def test_every_format_has_a_generator_and_so_a_round_trip() -> None:
    assert set(GENERATORS) == {one.name for one in CATALOGUE} == set(FORMATS)


def test_a_format_that_we_do_not_know_is_offered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: dict[str, Any] = {"from_labeled_system": lambda _self, file_name: {}}
    tomorrow = type("Tomorrow", (Format,), {**reads, "__doc__": "A plugin's words.\n\nAnd more."})
    registry = dict(Format.get_formats())
    monkeypatch.setattr(Format, "get_formats", staticmethod(lambda: registry))
    registry["plugin/of-tomorrow"] = tomorrow
    # A parent's words describe every format, not this one.
    registry["plugin/silent"] = type("Silent", (Format,), reads)
    found = {one["name"]: one for one in formats()}
    assert (found["plugin/of-tomorrow"]["title"], found["plugin/of-tomorrow"]["reads"]) == ("A plugin's words", "file")
    assert found["plugin/silent"]["title"] == "plugin/silent"


@pytest.mark.parametrize("name", GENERATORS)
def test_words_that_are_looked_for_first_are_in_whatever_the_pattern_finds(
    name: str, tmp_path: Path, examples: Callable[..., list[Frame]]
) -> None:
    """Else a file would not be recognised that the pattern alone recognises."""
    GENERATORS[name].write(tmp_path, examples(1, 1))
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        text = path.read_bytes()
        for spec in FORMATS.values():
            if spec.content is not None and spec.content.search(text):
                assert any(word in text for word in spec.words), spec.name


def test_every_pattern_has_its_words_and_formats_that_share_one_have_the_same() -> None:
    words: dict[re.Pattern[bytes], tuple[bytes, ...]] = {}
    for spec in FORMATS.values():
        assert bool(spec.words) == (spec.content is not None), spec.name
        if spec.content is not None:
            assert words.setdefault(spec.content, spec.words) == spec.words

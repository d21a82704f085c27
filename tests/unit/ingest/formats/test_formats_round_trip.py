"""Every format, through finding and reading as the service does it: what a program wrote is what we get."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from frames.frame import FloatArray, Frame
from ingest.confined import readers, theory
from ingest.confined.catalogue import formats
from ingest.confined.finding import Format, Tree, detect, find
from ingest.confined.judging import Raw, atomic_numbers, frame
from ingest.confined.programs.spec import Calculation
from outputs import GENERATORS
from outputs.generator import Generator

CATALOGUE = formats()
MULTI = {one["name"]: one["multi"] for one in CATALOGUE}
ROWS = [Format(one["name"], one["reads"], tuple(one["names"])) for one in CATALOGUE]
Examples = Callable[[int, int, bool], list[Frame]]
FOLDERS = ("first", "计算/第二 组", "with space/third (1)")


def read(tree: Tree, calculation: Calculation) -> list[Frame]:
    wanted = {
        "format": calculation.format,
        "files": list(calculation.files),
        "options": calculation.options,
        "multi": MULTI[calculation.format],
    }
    raws = list(readers.frames(tree.root, wanted))
    assert all(isinstance(raw, Raw) for raw in raws), raws
    return [frame(raw, atomic_numbers(raw.symbols), index) for index, raw in enumerate(raws) if isinstance(raw, Raw)]


def same_order(found: Frame, expected: Frame) -> Frame:
    """Atoms of `found` as they stand in `expected`."""
    distances = np.linalg.norm(found.coords[None] - expected.coords[:, None], axis=-1)
    order = distances.argmin(axis=1)
    assert sorted(order) == list(range(found.natoms))
    virial = found.virial
    return Frame(found.numbers[order], found.coords[order], found.cell, found.energy, found.forces[order], virial)


def assert_equal(found: Frame, expected: Frame, generator: Generator) -> None:
    assert found.numbers.tolist() == expected.numbers.tolist()
    assert abs(found.energy - expected.energy) <= generator.energy
    close(found.coords, expected.coords, generator.length)
    close(found.forces, expected.forces, generator.force)
    if generator.cell == "none":
        assert found.cell is None
    else:
        assert found.cell is not None
        assert expected.cell is not None
        close(found.cell, expected.cell, generator.length)
    assert (found.virial is not None) == generator.virial
    if found.virial is not None and expected.virial is not None:
        close(found.virial, expected.virial, generator.virial_ev)


def close(found: FloatArray, expected: FloatArray, tolerance: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def plant(root: Path, generator: Generator, examples: Examples) -> list[list[Frame]]:
    """One calculation in each of FOLDERS, between things that are none."""
    written = []
    for seed, name in enumerate(FOLDERS):
        folder = root / name
        folder.mkdir(parents=True)
        frames = examples(3 if generator.many else 1, seed, generator.fixed_cell)
        generator.write(folder, frames)
        (folder / "README.md").write_text("nothing to see")
        written.append(frames)
    return written


def matched(found: Sequence[Frame], expected: Sequence[Frame], generator: Generator) -> None:
    assert len(found) == len(expected)
    if generator.regroups:
        found = sorted(found, key=lambda one: -one.energy)
        found = [same_order(one, other) for one, other in zip(found, expected, strict=True)]
    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other, generator)


@pytest.mark.parametrize("name", GENERATORS)
def test_what_is_written_comes_back(name: str, examples: Examples, tmp_path: Path) -> None:
    generator = GENERATORS[name]
    written = plant(tmp_path, generator, examples)
    tree = Tree(tmp_path)
    calculations = find(tree, next(row for row in ROWS if row.name == name))
    assert len(calculations) == len(FOLDERS)
    by_energy = sorted((read(tree, one) for one in calculations), key=lambda frames: -frames[0].energy)
    for found, expected in zip(by_energy, written, strict=True):
        matched(found, expected, generator)
        assert {one.converged for one in found} == {generator.converged}


@pytest.mark.parametrize("name", GENERATORS)
def test_it_is_recognised(name: str, examples: Examples, tmp_path: Path) -> None:
    plant(tmp_path, GENERATORS[name], examples)
    found = detect(Tree(tmp_path), ROWS)
    assert next(iter(found), None) == name
    assert len(found[name]) == len(FOLDERS)


@pytest.mark.parametrize("name", [name for name, one in GENERATORS.items() if one.theory is not None])
def test_its_level_of_theory_is_told(name: str, examples: Examples, tmp_path: Path) -> None:
    plant(tmp_path, GENERATORS[name], examples)
    tree = Tree(tmp_path)
    calculation = find(tree, next(row for row in ROWS if row.name == name))[0]
    assert theory.of(name, [tmp_path / file for file in calculation.files]) == GENERATORS[name].theory

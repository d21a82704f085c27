"""Which branch answers for a structure of somebody's own, and which structures no branch is asked about."""

import pytest
from contracts.artifacts import PreviewStructure
from metric.domain.coverage import KnownBranch
from metric.structures import NotPredicted, check, chosen, frame_of

SI = KnownBranch("si", frozenset({"Si"}), 0.3, 50.0)
SIC = KnownBranch("sic", frozenset({"C", "Si"}), 0.3, 120.0)
BETTER = KnownBranch("better", frozenset({"C", "Si"}), 0.3, 80.0)
BRANCHES = (SI, SIC, BETTER)
ALL = ("si", "sic", "better")


def structure(
    symbols: tuple[str, ...], positions: tuple[tuple[float, float, float], ...], edge: float | None = None
) -> PreviewStructure:
    cell = ((edge, 0.0, 0.0), (0.0, edge, 0.0), (0.0, 0.0, edge)) if edge is not None else None
    return PreviewStructure(symbols=symbols, positions=positions, cell=cell)


def test_the_branch_that_knows_most_elements_answers_then_that_of_the_smallest_error() -> None:
    assert chosen(BRANCHES, ALL, {"Si"}) == (SI, ())
    assert chosen(BRANCHES, ALL, {"Si", "C"}) == (BETTER, ())
    assert chosen(BRANCHES, ALL, {"Si", "C", "Fe"}) == (BETTER, ("Fe",))


def test_only_allowed_branches_answer() -> None:
    assert chosen(BRANCHES, ("sic",), {"Si"}) == (SIC, ())
    with pytest.raises(NotPredicted, match="no such branch"):
        chosen(BRANCHES, ("secret",), {"Si"})


def test_overlapping_atoms_are_refused_with_their_names() -> None:
    with pytest.raises(NotPredicted) as refused:
        check(frame_of(structure(("Si", "C", "Si"), ((0, 0, 0), (3, 0, 0), (0, 0, 0.4)))), 0.5)
    assert refused.value.reason == "Atoms Si 1 and Si 3 overlap: they are 0.40 Å apart."


def test_an_atom_that_overlaps_its_own_image_is_refused() -> None:
    with pytest.raises(NotPredicted, match=r"Si 1 and Si 1 overlap: they are 1\.00 Å apart"):
        check(frame_of(structure(("Si",), ((0, 0, 0),), edge=1.0)), 0.5)


def test_a_flat_cell_is_refused() -> None:
    with pytest.raises(NotPredicted, match="no volume"):
        check(frame_of(structure(("Si",), ((0, 0, 0),), edge=0.0)), 0.5)


def test_usual_distances_pass() -> None:
    check(frame_of(structure(("Si", "Si"), ((0, 0, 0), (2.35, 0, 0)))), 0.5)

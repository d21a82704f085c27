"""Which branch for what: familiar ones first, reasons out of their public data, and input that is none."""

from uuid import uuid4

import numpy as np
import pytest
from contracts.artifacts import PreviewStructure, PublishedBranch
from contracts.base import DatasetRef
from frames.frame import FloatArray
from registry.domain.refusals import InvalidField
from registry.domain.resolving import (
    Asked,
    Candidate,
    Facts,
    ReasonKind,
    asked_of_elements,
    asked_of_structure,
    atoms_of,
    facts_of,
    rank,
)
from registry_examples import dataset_manifest

A = 5.43
CORNERS = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
DIAMOND = A * np.concatenate([CORNERS, CORNERS + 0.25])


def candidate(
    name: str, elements: tuple[str, ...], force: float = 50, facts: Facts | None = None, withdrawn: bool = False
) -> Candidate:
    branch = PublishedBranch(
        name=name,
        dataset=None,
        title=name,
        authors=(),
        licence=None,
        elements=elements,
        level_of_theory=None,
        weight=0.5,
        new=False,
        energy_rmse_mev_per_atom=3,
        force_rmse_mev_per_angstrom=force,
        held_out_frames=20,
    )
    return Candidate(branch, facts or Facts(), withdrawn)


def silicon(lattice: float = A, shift: float = 0.0, beside: float | None = None) -> Asked:
    """Of this lattice constant; its second atom shifted, or put so far beside the first."""
    coords = DIAMOND * lattice / A
    coords[1, 0] += shift
    if beside is not None:
        coords[1] = coords[0] + [beside, 0, 0]
    return asked_of_structure(np.full(8, 14), coords, np.eye(3) * lattice)


def silicon_facts() -> Facts:
    shown = tuple(
        PreviewStructure(
            symbols=("Si",) * 8,
            positions=tuple(map(tuple, DIAMOND * scale)),
            cell=tuple(map(tuple, np.eye(3) * A * scale)),
        )
        for scale in (0.98, 1.02)
    )
    manifest = dataset_manifest(DatasetRef(dataset_id=uuid4(), version=1), 100)
    return facts_of(manifest.model_copy(update={"preview": shown, "element_pairs": ("Si-Si",)}))


def names(*ranked: object) -> list[str]:
    return [one.name for one in ranked]  # type: ignore[attr-defined]


def test_who_knows_the_elements_goes_before_whose_error_is_small() -> None:
    found = rank(
        [candidate("water", ("H", "O"), 5), candidate("si", ("Si",), 60), candidate("sic", ("C", "Si"), 90)],
        asked_of_elements(["Si", "C"], []),
    )
    assert names(*found) == ["sic", "si", "water"]
    assert [one.familiarity for one in found] == [1.0, 0.5, 0.0]
    assert [[reason.kind for reason in one.reasons] for one in found] == [
        [],
        [ReasonKind.UNKNOWN_ELEMENT],
        [ReasonKind.UNKNOWN_ELEMENT],
    ]
    assert "never seen C" in found[1].reasons[0].sentence
    assert "20 held-out frames" in found[0].basis


def test_of_those_that_know_as_much_the_smaller_error_counts_unless_data_were_withdrawn() -> None:
    found = rank(
        [candidate("a", ("Si",), 60), candidate("b", ("Si", "O"), 40), candidate("c", ("Si",), 10, withdrawn=True)],
        asked_of_elements(["Si"], [14]),
    )
    assert names(*found) == ["b", "a", "c"]


def test_elements_that_were_never_seen_together_are_told() -> None:
    apart = candidate("apart", ("C", "Si"), 10, Facts(pairs=frozenset({"C-C", "Si-Si"})))
    together = candidate("together", ("C", "Si"), 90, Facts(pairs=frozenset({"C-C", "C-Si", "Si-Si"})))
    found = rank([apart, together], asked_of_elements(["C", "Si"], []))
    assert names(*found) == ["together", "apart"]
    assert [(one.kind, one.subjects) for one in found[1].reasons] == [(ReasonKind.UNKNOWN_PAIR, ("C-Si",))]


def test_a_structure_like_those_that_are_shown_is_in_the_domain() -> None:
    facts = silicon_facts()
    assert facts.frames == 2
    assert facts.ratio == pytest.approx(0.98 * A * np.sqrt(3) / 4 / 2.22, rel=1e-6)
    (found,) = rank([candidate("si", ("Si",), facts=facts)], silicon())
    assert found.reasons == ()


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (silicon(shift=0.45), ReasonKind.SHORT_DISTANCE),
        (silicon(1.15 * A), ReasonKind.DENSITY),
        (silicon(beside=0.8), ReasonKind.OVERLAPPING_ATOMS),
    ],
)
def test_what_is_not_like_them_is_told_with_its_number(asked: Asked, kind: ReasonKind) -> None:
    (found,) = rank([candidate("si", ("Si",), facts=silicon_facts())], asked)
    reason = found.reasons[0]
    assert reason.kind is kind
    assert reason.value < reason.limit
    assert "likely larger" in found.basis


def test_a_crowd_in_a_cell_overlaps_without_a_look_at_pairs() -> None:
    asked = asked_of_structure(np.full(100_000, 1), np.zeros((100_000, 3)), np.eye(3) * 20.0)
    (found,) = rank([candidate("h", ("H",))], asked)
    assert [one.kind for one in found.reasons] == [ReasonKind.OVERLAPPING_ATOMS]


def flat(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("symbols", "numbers", "positions", "cell", "field", "words"),
    [
        ([], [], flat(), flat(), "structure.symbols", "no atoms"),
        (["Si"], [14], flat(0, 0, 0), flat(), "structure.numbers", "one of them"),
        (["Si"], [], flat(0, 0), flat(), "structure.positions", "1 atoms have 3"),
        (["Si"], [], flat(0, 0, np.nan), flat(), "structure.positions[2]", "nan"),
        (["Si"], [], flat(0, 1e9, 0), flat(), "structure.positions[1]", "1e+09"),
        (["Si"], [], flat(0, 0, 0), flat(1, 0, 0), "structure.cell", "not 9"),
        (["Xx"], [], flat(0, 0, 0), flat(), "structure.symbols", "'Xx' is no element"),
        ([], [0], flat(0, 0, 0), flat(), "structure.numbers", "0 is no atomic number"),
        ([], [119], flat(0, 0, 0), flat(), "structure.numbers", "119"),
        (["H"] * 200_001, [], flat(), flat(), "structure.symbols", "at most 200000"),
    ],
)
def test_what_is_no_structure_is_refused_by_its_field(
    symbols: list[str], numbers: list[int], positions: FloatArray, cell: FloatArray, field: str, words: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        atoms_of(symbols, numbers, positions, cell)
    assert caught.value.field == field
    assert words in str(caught.value)


def test_a_flat_cell_and_no_elements_are_refused() -> None:
    with pytest.raises(InvalidField) as flat_cell:
        asked_of_structure(np.array([1]), np.zeros((1, 3)), np.diag([1.0, 1.0, 0.0]))
    assert flat_cell.value.field == "structure.cell"
    with pytest.raises(InvalidField) as nothing:
        asked_of_elements([], [])
    assert nothing.value.field == "elements"
    with pytest.raises(InvalidField) as unknown:
        asked_of_elements(["Si", "si"], [])
    assert unknown.value.field == "elements.symbols[1]"

"""Which elements occur together, from ingest's list or from formulas."""

from uuid import UUID

from contracts.artifacts import CompositionCount, DatasetManifest, Histogram
from contracts.base import BlobRef, DatasetRef, LevelOfTheory
from frames.pairs import in_order, pairs_of_elements, pairs_of_formula, pairs_of_manifest

BLOB = BlobRef(key="k", sha256="0" * 64, size=1)
NOTHING = Histogram(edges=(0.0, 1.0), counts=(0,))


def manifest(pairs: tuple[str, ...], formulas: tuple[str, ...]) -> DatasetManifest:
    return DatasetManifest(
        dataset=DatasetRef(dataset_id=UUID(int=1), version=1),
        content_sha256="0" * 64,
        train=BLOB,
        held_out=BLOB,
        frames=1,
        train_frames=1,
        held_out_frames=0,
        duplicate_frames=0,
        atoms=1,
        elements=("C",),
        compositions=tuple(CompositionCount(formula=one, frames=1) for one in formulas),
        has_virial=False,
        level_of_theory=LevelOfTheory(),
        format="f",
        set_aside=(),
        energy_per_atom_ev=NOTHING,
        force_component_ev_per_angstrom=NOTHING,
        preview=(),
        versions={},
        element_pairs=pairs,
    )


def test_pairs_of_a_formula() -> None:
    assert pairs_of_formula("H2O") == {"H-H", "H-O"}
    assert pairs_of_formula("HCl2Ca") == {"H-Cl", "H-Ca", "Cl-Cl", "Cl-Ca"}
    # Alone in its cell it sees its own images.
    assert pairs_of_formula("Al") == {"Al-Al"}


def test_ingest_is_believed_first_and_formulas_stand_in() -> None:
    assert pairs_of_manifest(manifest(("C-Si",), ("C4",))) == {"C-Si"}
    assert pairs_of_manifest(manifest((), ("C4", "CSi"))) == {"C-C", "C-Si"}
    assert pairs_of_manifest(manifest((), ())) == frozenset()


def test_every_pair_of_some_elements() -> None:
    assert pairs_of_elements(["Si", "C"]) == {"C-C", "C-Si", "Si-Si"}


def test_they_are_listed_by_atomic_number() -> None:
    assert in_order({"C-Si", "Si-Si", "C-C", "H-U"}) == ("H-U", "C-C", "C-Si", "Si-Si")

"""A dataset's manifest with the facts that a test is about."""

from contracts.artifacts import CompositionCount, DatasetManifest, Histogram
from contracts.base import BlobRef, DatasetRef, LevelOfTheory

_NOWHERE = BlobRef(key="nowhere.mdb", sha256="0" * 64, size=0)
_FLAT = Histogram(edges=(-1, 0, 1), counts=(5, 5))


def manifest(dataset: DatasetRef, formulas: tuple[str, ...] = (), pairs: tuple[str, ...] = ()) -> DatasetManifest:
    return DatasetManifest(
        dataset=dataset,
        content_sha256="0" * 64,
        train=_NOWHERE,
        held_out=_NOWHERE,
        frames=10,
        train_frames=8,
        held_out_frames=2,
        duplicate_frames=0,
        atoms=80,
        elements=("C", "Si"),
        compositions=tuple(CompositionCount(formula=one, frames=10) for one in formulas),
        has_virial=True,
        level_of_theory=LevelOfTheory(functional="PBE"),
        format="vasp/outcar",
        set_aside=(),
        energy_per_atom_ev=_FLAT,
        force_component_ev_per_angstrom=_FLAT,
        preview=(),
        versions={},
        element_pairs=pairs,
    )

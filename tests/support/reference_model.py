"""A small real model, trained on the demo's silicon and water: tests/data/reference-model.

`build_reference_model.py` trains it. Branch names are those of the demo's datasets; `si` and `water` are other names
of the files `demo_data` reads.
"""

from functools import cache
from pathlib import Path
from uuid import UUID, uuid5

import demo_data
from contracts.artifacts import DatasetManifest, Histogram, ModelManifest
from contracts.base import BlobRef, DatasetRef, LevelOfTheory
from frames.frame import Frame
from frames.hashing import content_sha256, frame_hash
from frames.store import DATA_FILE, write
from kit.blobs import Blobs

FOLDER = Path(__file__).parents[1] / "data" / "reference-model"
RELEASE = FOLDER / "model.pt"
MANIFEST = FOLDER / "manifest.json"
RECIPE = FOLDER / "recipe.json"
VERSION = "1.0"
# Branch → the demo dataset that it learned.
BRANCHES = {"silicon": demo_data.SILICON, "water": demo_data.WATER}
NAMESPACE = UUID("6f0c2b1e-4f62-4b7e-9d5c-0f6f8a1f6f11")
_THEORY = {
    "silicon": LevelOfTheory(code="Quantum ESPRESSO 6.7", functional="PBE", k_points="2 2 2 0 0 0"),
    "water": LevelOfTheory(code="CP2K 2023.1", functional="PBE", basis="DZVP-MOLOPT-SR-GTH"),
}
_NO_HISTOGRAM = Histogram(edges=(0, 1), counts=(0,))


def manifest() -> ModelManifest:
    """Branches with elements, held-out errors and calibration, as the trainer's own code wrote them."""
    return ModelManifest.model_validate_json(MANIFEST.read_text())


@cache
def training_frames(branch: str) -> tuple[Frame, ...]:
    """What the branch was trained on."""
    return tuple(demo_data.parts(demo_data.load(BRANCHES[branch]))[0])


@cache
def held_out_frames(branch: str) -> tuple[Frame, ...]:
    """What it was not: calibration, in the order of the manifest's errors."""
    return tuple(demo_data.parts(demo_data.load(BRANCHES[branch]))[1])


def dataset_ref(branch: str) -> DatasetRef:
    return DatasetRef(dataset_id=uuid5(NAMESPACE, branch), version=1)


async def publish(blobs: Blobs, folder: Path) -> BlobRef:
    """Store release, recipe, datasets and manifest as registry and trainer would; returns the manifest's reference.

    `folder` takes the LMDB files meanwhile.
    """
    model = manifest()
    branches = [
        branch.model_copy(update={"dataset_manifest": (await store_dataset(blobs, folder, branch.name))[1]})
        for branch in model.branches
    ]
    release = await blobs.put_file(f"models/{VERSION}/{RELEASE.name}", RELEASE)
    recipe = await blobs.put_file(f"models/{VERSION}/{RECIPE.name}", RECIPE)
    stored = model.model_copy(
        update={"branches": tuple(branches), "release": release, "checkpoint": release, "recipe": recipe}
    )
    return await blobs.put_model(f"models/{VERSION}/{MANIFEST.name}", stored)


async def store_dataset(blobs: Blobs, folder: Path, branch: str) -> tuple[DatasetManifest, BlobRef]:
    """A branch's frames and their DatasetManifest, with its reference."""
    splits = {"train": training_frames(branch), "held-out": held_out_frames(branch)}
    data = {}
    for split, frames in splits.items():
        path = folder / f"{branch}-{split}.lmdb"
        write(path, frames)
        data[split] = await blobs.put_file(f"datasets/{branch}/{split}.mdb", path / DATA_FILE)
    described = _described(branch, data["train"], data["held-out"])
    return described, await blobs.put_model(f"datasets/{branch}/manifest.json", described)


def _described(branch: str, train: BlobRef, held_out: BlobRef) -> DatasetManifest:
    known, unknown = training_frames(branch), held_out_frames(branch)
    frames = [*known, *unknown]
    return DatasetManifest(
        dataset=dataset_ref(branch),
        content_sha256=content_sha256(frame_hash(frame) for frame in frames),
        train=train,
        held_out=held_out,
        frames=len(frames),
        train_frames=len(known),
        held_out_frames=len(unknown),
        duplicate_frames=0,
        atoms=sum(frame.natoms for frame in frames),
        elements=tuple(sorted({symbol for frame in frames for symbol in frame.symbols})),
        compositions=(),
        has_virial=True,
        level_of_theory=_THEORY[branch],
        format="extxyz" if branch == "water" else "qe/pw/scf",
        set_aside=(),
        energy_per_atom_ev=_NO_HISTOGRAM,
        force_component_ev_per_angstrom=_NO_HISTOGRAM,
        preview=(),
        versions={},
    )

"""A small real model, trained on the demo's silicon and water: tests/data/reference-model.

`build_reference_model.py` trains it. Branch names are those of the demo's datasets; `si` and `water` are other names
of the files `demo_data` reads.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from uuid import UUID, uuid5

import demo_data
from contracts.artifacts import DatasetManifest, Histogram, ModelManifest
from contracts.base import BlobRef, DatasetRef, LevelOfTheory
from frames.frame import Frame
from frames.hashing import content_sha256, frame_hash
from frames.split import split
from frames.store import DATA_FILE, write
from kit.blobs import Blobs

FOLDER = Path(__file__).parents[1] / "data" / "reference-model"
RELEASE = FOLDER / "model.pt"
MANIFEST = FOLDER / "manifest.json"
RECIPE = FOLDER / "recipe.json"
# Places of the frames that were held out. A split is made once and kept with the dataset, as ingest keeps it: another
# way of hashing frames would divide them otherwise, and the model has seen what it has seen.
HELD_OUT = FOLDER / "held-out.json"
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
    return _parts(branch)[0]


@cache
def held_out_frames(branch: str) -> tuple[Frame, ...]:
    """What it was not: calibration, in the order of the manifest's errors."""
    return _parts(branch)[1]


@cache
def _parts(branch: str) -> tuple[tuple[Frame, ...], tuple[Frame, ...]]:
    held_out = set(json.loads(HELD_OUT.read_text())[branch])
    frames = list(enumerate(demo_data.load(BRANCHES[branch])))
    return tuple(one for place, one in frames if place not in held_out), tuple(
        one for place, one in frames if place in held_out
    )


def divide() -> None:
    """Choose anew what is held out, by the platform's own rule: before the model is built anew."""
    places = {
        branch: split([frame_hash(frame) for frame in demo_data.load(name)])[1] for branch, name in BRANCHES.items()
    }
    HELD_OUT.write_text(json.dumps(places) + "\n")


def changed_release(path: Path) -> Path:
    """The model with the last weights of its fitting net a twentieth larger: it opens and predicts, but otherwise."""
    import torch

    content = torch.load(RELEASE, weights_only=True)
    for name, weight in content["model"].items():
        if name.endswith("layers.2.matrix"):
            content["model"][name] = weight * 1.05
    torch.save(content, path)
    return path


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
    train, held_out = training_frames(branch), held_out_frames(branch)
    return await store_frames(blobs, folder, branch, dataset_ref(branch), train, held_out, _THEORY[branch])


async def store_frames(
    blobs: Blobs,
    folder: Path,
    name: str,
    ref: DatasetRef,
    train: Sequence[Frame],
    held_out: Sequence[Frame],
    theory: LevelOfTheory,
) -> tuple[DatasetManifest, BlobRef]:
    """What ingest leaves behind of a dataset, with the reference of its manifest."""
    data: dict[str, BlobRef] = {}
    for side, part in (("train", train), ("held-out", held_out)):
        if part:
            path = folder / f"{name}-{side}.lmdb"
            write(path, part)
            data[side] = await blobs.put_file(f"datasets/{name}/{side}.mdb", path / DATA_FILE)
    frames = [*train, *held_out]
    described = DatasetManifest(
        dataset=ref,
        content_sha256=content_sha256(frame_hash(frame) for frame in frames),
        train=data.get("train"),
        held_out=data["held-out"],
        frames=len(frames),
        train_frames=len(train),
        held_out_frames=len(held_out),
        duplicate_frames=0,
        atoms=sum(frame.natoms for frame in frames),
        elements=tuple(sorted({symbol for frame in frames for symbol in frame.symbols})),
        compositions=(),
        has_virial=all(frame.virial is not None for frame in frames),
        level_of_theory=theory,
        format="deepmd/lmdb",
        set_aside=(),
        energy_per_atom_ev=_NO_HISTOGRAM,
        force_component_ev_per_angstrom=_NO_HISTOGRAM,
        preview=(),
        versions={},
    )
    return described, await blobs.put_model(f"datasets/{name}/manifest.json", described)

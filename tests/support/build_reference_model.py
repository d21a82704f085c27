"""Train the reference model of the tests: `python tests/support/build_reference_model.py`, two minutes of one core.

The trainer's own engine and verification, on the demo's silicon and water, by the preset `laptop`. Seeds are fixed:
the same machine and versions make the same model. It rewrites tests/data/reference-model.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from uuid import uuid5

from contracts.artifacts import DatasetManifest, ModelManifest
from contracts.base import BlobRef, RuleResult
from frames.store import write
from kit.blobs import Blobs
from reference_model import (
    BRANCHES,
    FOLDER,
    MANIFEST,
    NAMESPACE,
    RECIPE,
    RELEASE,
    dataset_ref,
    divide,
    held_out_frames,
    store_dataset,
    training_frames,
)
from trainer.domain import Lease, LeasedBranch
from trainer.preset import load_preset
from trainer.process import ENGINE, VERIFY, Child
from trainer.submission import LOADS_RULE, branch_manifests
from trainer.work import OUTCOME_FILE, WORK_FILE, Failed, Outcome, Progress, Verified, Work, WorkBranch

PRESET = "laptop"
STEPS = 1500
SEED = 3
PRESETS = Path(__file__).parents[2] / "deploy" / "presets"


async def build() -> None:
    divide()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blobs = Blobs((folder / "blobs").as_uri())
        outcome = await trained(folder)
        verified = await _run(VERIFY, folder)
        if verified is None or not verified.passed:
            raise SystemExit(f"the model was not verified: {verified}")
        stored = {branch: await store_dataset(blobs, folder, branch) for branch in BRANCHES}
        manifest = await _manifest(folder, stored, verified, blobs)
        FOLDER.mkdir(exist_ok=True)
        shutil.copyfile(folder / outcome.release, RELEASE)
        shutil.copyfile(folder / outcome.recipe, RECIPE)
        MANIFEST.write_text(manifest.model_dump_json(indent=1) + "\n")


async def trained(folder: Path) -> Outcome:
    """The model, trained in this folder; its training checkpoint lies there too."""
    work = Work(
        preset=load_preset(PRESETS, PRESET),
        total_steps=STEPS,
        seed=SEED,
        parent=None,
        resume_from=None,
        branches=tuple(_branch(folder, branch) for branch in BRANCHES),
    )
    (folder / WORK_FILE).write_text(work.model_dump_json())
    await _run(ENGINE, folder)
    return Outcome.model_validate_json((folder / OUTCOME_FILE).read_text())


def _branch(folder: Path, name: str) -> WorkBranch:
    train, held_out = Path(f"{name}.train.lmdb"), Path(f"{name}.held-out.lmdb")
    write(folder / train, training_frames(name))
    write(folder / held_out, held_out_frames(name))
    elements = sorted({symbol for frame in training_frames(name) for symbol in frame.symbols})
    return WorkBranch(
        name=name,
        train=train,
        held_out=held_out,
        has_virial=True,
        elements=tuple(elements),
        is_new=True,
        weight=1 / len(BRANCHES),
    )


async def _run(module: str, folder: Path) -> Verified | None:
    """One child to its end; says how it goes."""
    child = await Child.start(module, 1)
    verified = None
    try:
        async for message in child.work(folder):
            if isinstance(message, Progress):
                errors = ", ".join(f"{one.branch} {one.force_rmse_mev_per_angstrom:.0f}" for one in message.branches)
                print(f"step {message.step}: held-out force RMSE {errors} meV/Å", flush=True)
            elif isinstance(message, Failed):
                raise SystemExit(message.reason)
            elif isinstance(message, Verified):
                verified = message
                print(message.sentence)
    finally:
        await child.kill()
    return verified


async def _manifest(
    folder: Path, stored: dict[str, tuple[DatasetManifest, BlobRef]], verified: Verified, blobs: Blobs
) -> ModelManifest:
    """As the trainer submits it; the training checkpoint is not kept, the release stands in its place."""
    outcome = Outcome.model_validate_json((folder / OUTCOME_FILE).read_text())
    release = await blobs.put_file(f"reference-model/{RELEASE.name}", folder / outcome.release)
    branches = tuple(
        LeasedBranch(name, dataset_ref(name), stored[name][1], None, True, None, {}, 1 / len(BRANCHES))
        for name in BRANCHES
    )
    round_id = uuid5(NAMESPACE, "round")
    lease = Lease(round_id, 1, 1, 1.0, PRESET, STEPS, SEED, None, None, branches, (), None, None)
    return ModelManifest(
        round_id=round_id,
        parent_version=None,
        preset=PRESET,
        checkpoint=release,
        release=release,
        frozen={},
        recipe=await blobs.put_file(f"reference-model/{RECIPE.name}", folder / outcome.recipe),
        branches=branch_manifests(lease, outcome, {name: described for name, (described, _) in stored.items()}),
        new_branches=tuple(BRANCHES),
        zero_shot=(),
        parent_held_out=(),
        verification=RuleResult(
            rule=LOADS_RULE, passed=verified.passed, sentence=verified.sentence, numbers=verified.numbers
        ),
        checks=verified.checks,
        steps=outcome.steps,
        wall_seconds=round(outcome.wall_seconds),
        versions=outcome.versions,
    )


if __name__ == "__main__":
    asyncio.run(build())

"""A published version with everything that its pages show, and the words that follow."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

from contracts.artifacts import PublishedBranch, PublishedManifest
from contracts.base import BlobRef, BranchError, DatasetRef, LevelOfTheory, RuleResult
from contracts.envelope import Event
from contracts.events import ModelAliased, ModelFile, ModelPublished, StandardReleased, TrainedDataset
from gateway_examples import blob
from kit.blobs import Blobs
from standard_examples import standard_score

LEARNED = RuleResult(
    rule="learned",
    passed=True,
    sentence="Force RMSE on it fell from 1,971 to 404 meV/Å, by 80 %; 5 % was asked for.",
    numbers={"sic.force_rmse_before_mev_per_angstrom": 1971.0, "sic.change_low_percent": -82.0},
)


def version_events(
    wait: Callable[[Awaitable[BlobRef]], BlobRef],
    blobs: Blobs,
    dataset: DatasetRef,
    version: str,
    parent: str | None,
    force_ratio: float,
    title: str = "Silicon carbide",
) -> list[Event]:
    """The dataset has branch `sic` with C and Si, a private contribution has branch `secret`."""
    branch = PublishedBranch(
        name="sic",
        dataset=dataset,
        title=title,
        authors=("Demo Contributor",),
        licence="CC-BY-4.0",
        elements=("C", "Si"),
        level_of_theory=LevelOfTheory(functional="PBE", code="Quantum ESPRESSO 6.7", cutoff_ev=1088.5),
        weight=0.5,
        new=True,
        energy_rmse_mev_per_atom=20.2,
        force_rmse_mev_per_angstrom=404,
        threshold_ev_per_angstrom=0.62,
    )
    hidden: dict[str, Any] = dict.fromkeys(("dataset", "title", "licence", "level_of_theory"))
    secret = branch.model_copy(update=hidden | {"name": "secret", "authors": (), "elements": (), "new": False})
    manifest = PublishedManifest(
        version=version,
        parent_version=parent,
        round_id=uuid4(),
        preset="laptop",
        branches=(branch, secret),
        contributors=("Demo Contributor",),
        rules=(LEARNED,),
        standard_score=force_ratio,
        steps=900,
        wall_seconds=86,
        versions={},
    )
    files = {"model.pt": "checkpoint", "sic.pth": "frozen"}
    stored = [
        ModelFile(
            name=name,
            kind=kind,
            branch="sic" if kind == "frozen" else None,
            blob=wait(blobs.put_bytes(f"models/{version}/{name}", name.encode())),
        )
        for name, kind in files.items()
    ]
    kept = wait(blobs.put_model(f"models/{version}/manifest.json", manifest))
    rows = tuple(
        TrainedDataset(
            dataset=one.dataset,
            title=one.title,
            authors=one.authors,
            branch=one.name,
            weight=one.weight,
            new=one.new,
            energy_rmse_mev_per_atom=one.energy_rmse_mev_per_atom,
            force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
        )
        for one in manifest.branches
    )
    published = ModelPublished(
        version=version,
        parent=parent,
        round_id=uuid4(),
        datasets=rows,
        contributors=("Demo Contributor",),
        files=(*stored, ModelFile(name="manifest.json", blob=kept, kind="manifest")),
        branches=tuple(
            BranchError(branch=one.branch, energy_rmse_mev_per_atom=20.2, force_rmse_mev_per_angstrom=404)
            for one in rows
        ),
        standard_score=force_ratio,
        standard=standard_score(1, {"sic": (force_ratio, force_ratio)}),
        rules=(LEARNED,),
        preset="laptop",
        wall_seconds=86,
    )
    return [published, ModelAliased(alias="latest", version=version, previous=parent, reason="published")]


def standard_released(number: int, version: str) -> StandardReleased:
    return StandardReleased(
        number=number,
        model_version=version,
        content=blob(f"standard/{number}.json"),
        branches=1,
        frames=20,
        added_frames=20,
        removed_frames=0,
    )

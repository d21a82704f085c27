"""A published version derived again from the platform's own storage: every branch, private ones too."""

import asyncio
from pathlib import Path

from contracts.artifacts import BranchManifest, DatasetManifest, ModelManifest, PublishedManifest
from contracts.base import BlobRef, DatasetRef
from contracts.registry.v1 import registry_pb2 as pb
from contracts.registry.v1 import registry_pb2_grpc
from contracts.standard import StandardDataset
from dpa.claims import (
    BASELINE_ENERGY,
    BASELINE_FORCE,
    ENERGY,
    FORCE,
    SCORE,
    STANDARD,
    STANDARD_SCORE,
    THRESHOLD,
    Claim,
    Finding,
    Measured,
    StandardClaim,
    compared,
    number,
    overall,
    same,
)
from dpa.remeasure import remeasured
from frames.errors import conformal_threshold
from frames.store import DATA_FILE
from kit.blobs import BlobCorrupt, BlobMissing, Blobs

MANIFEST = "manifest"
NUMBERS = (ENERGY, FORCE, BASELINE_ENERGY, BASELINE_FORCE)


class Rederiving:
    """Fetches into `folder`, an empty one; measures with so many `threads`."""

    def __init__(self, blobs: Blobs, folder: Path, threads: int) -> None:
        self._blobs = blobs
        self._folder = folder
        self._threads = threads
        self._findings: list[Finding] = []

    async def version(
        self, registry: registry_pb2_grpc.RegistryServiceStub, version: str, deadline: float
    ) -> tuple[str, list[Finding]]:
        """Its number and what was found. Raises grpc.aio.AioRpcError, NotMeasured."""
        request = pb.GetModelRequest(version_or_alias=version)
        model: pb.Model = (await registry.GetModel(request, timeout=deadline)).model  # type: ignore[misc]
        full = await self._fetched("manifest-full.json", _ref(model.manifest))
        files = {file.name: await self._fetched(file.name, _ref(file.artifact)) for file in model.files}
        if full is None:
            return model.version, self._findings
        manifest = ModelManifest.model_validate_json(full.read_bytes())
        public = next((files[file.name] for file in model.files if file.kind == MANIFEST), None)
        published = PublishedManifest.model_validate_json(public.read_bytes()) if public else None
        release = await self._fetched("model.pt", manifest.release, told=False)
        standard = await self._standard(manifest, published)
        claims = [
            claim
            for one in manifest.branches
            if (claim := await self._claim(one, standard.get(one.dataset))) is not None
        ]
        measured = await asyncio.to_thread(self._measured, release, claims) if release and claims else []
        if published is not None:
            self._public(manifest, published, measured)
        return model.version, self._findings

    def _measured(self, release: Path, claims: list[Claim]) -> list[Measured]:
        done = []
        for claim, told in zip(claims, remeasured(release, claims, self._threads), strict=True):
            if isinstance(told, str):
                self._findings.append(Finding(claim.branch, "not-rederived", why=told))
                continue
            done.append(told)
            self._findings += compared(claim, told)
        return done

    async def _standard(
        self, manifest: ModelManifest, published: PublishedManifest | None
    ) -> dict[DatasetRef, StandardClaim]:
        """What is published of each branch on the standard dataset; why nothing is known of it is told."""
        score = published.standard if published else None
        if score is None:
            return {}
        what = f"{STANDARD}.frames"
        if manifest.standard_dataset is None:
            why = "the manifest is from before it told which standard dataset it was scored on"
            self._findings.append(Finding(what, "not-rederived", why=why))
            return {}
        path = await self._fetched("standard-full.json", manifest.standard_dataset)
        if path is None:
            return {}
        standard = StandardDataset.model_validate_json(path.read_bytes())
        self._findings.append(same(f"{STANDARD}.number", score.standard, standard.number))
        numbers = {one.branch: one for one in score.branches}
        return {
            one.dataset: StandardClaim(
                count=numbers[one.branch].frames,
                frames=one.frames,
                positions=None,  # its dataset is pinned byte by byte
                element_energies=one.baseline_element_energies_ev,
                numbers={name: getattr(numbers[one.branch], name) for name in NUMBERS},
            )
            for one in standard.branches
            if one.branch in numbers and not numbers[one.branch].zero_shot
        }

    async def _claim(self, branch: BranchManifest, standard: StandardClaim | None) -> Claim | None:
        """The branch with its held-out frames; none when they are not to be had, which is told."""
        what = f"{branch.name}.held-out frames"
        expected = len(branch.held_out_max_force_errors_ev_per_angstrom)
        try:
            dataset = DatasetManifest.model_validate_json(await self._blobs.get_bytes(branch.dataset_manifest.key))
            data = self._folder / f"{branch.name}.lmdb" / DATA_FILE
            await self._blobs.get_file(dataset.held_out, data)
            train = await self._train(branch, dataset)
        except BlobMissing:
            self._findings.append(Finding(what, "not-rederived", why="its dataset is no longer in storage"))
            return None
        except BlobCorrupt as error:
            self._findings.append(Finding(what, "differs", why=str(error)))
            return None
        if branch.left_out_held_out is None and dataset.held_out_frames != expected:
            why = "the manifest is from before it told which held-out frames were measured on"
            self._findings.append(Finding(what, "not-rederived", why=why))
            return None
        if branch.content_sha256 is not None:
            told, found = branch.content_sha256, dataset.content_sha256
            self._findings.append(same(f"{branch.name}.content", told, found))
        return Claim(
            branch=branch.name,
            held_out=data.parent,
            left_out=branch.left_out_held_out,
            element_energies=branch.baseline_element_energies_ev,
            frames=expected,
            numbers={
                ENERGY: branch.held_out.energy_rmse_mev_per_atom,
                FORCE: branch.held_out.force_rmse_mev_per_angstrom,
                THRESHOLD: conformal_threshold(branch.held_out_max_force_errors_ev_per_angstrom),
                BASELINE_ENERGY: branch.baseline_energy_rmse_mev_per_atom,
                BASELINE_FORCE: branch.baseline_force_rmse_mev_per_angstrom,
            },
            train=train,
            fitted_to=branch.baseline_train_frames,
            standard=standard,
        )

    async def _train(self, branch: BranchManifest, dataset: DatasetManifest) -> Path | None:
        """The training frames, where the manifest tells which of them made the baseline. Raises BlobMissing, …"""
        if branch.baseline_train_frames is None or dataset.train is None:
            return None
        data = self._folder / f"{branch.name}.train.lmdb" / DATA_FILE
        await self._blobs.get_file(dataset.train, data)
        return data.parent

    def _public(self, manifest: ModelManifest, published: PublishedManifest, measured: list[Measured]) -> None:
        """What everybody reads is what the trainer measured."""
        shown = {one.name: one for one in published.branches}
        for branch in manifest.branches:
            row = shown.get(branch.name)
            for name in (ENERGY, FORCE):
                told, listed = getattr(branch.held_out, name), getattr(row, name) if row else None
                self._findings.append(same(f"public.{branch.name}.{name}", told, listed))
        found = overall(measured) if len(measured) == len(manifest.branches) else None
        self._findings.append(number(SCORE, published.score_held_out, found))
        if published.standard is None:
            return
        counts = {one.branch: one.frames for one in published.standard.branches}
        on = [
            one.standard
            for one in measured
            if one.standard
            and one.standard.frames == counts.get(one.branch)
            and set(NUMBERS) <= one.standard.numbers.keys()
        ]
        found = overall(on) if len(on) == len(published.standard.branches) else None
        self._findings.append(number(STANDARD_SCORE, published.standard_score, found))

    async def _fetched(self, name: str, ref: BlobRef, *, told: bool = True) -> Path | None:
        """The object, verified; none when it is gone or another, which is told."""
        path = self._folder / name
        try:
            await self._blobs.get_file(ref, path)
        except BlobMissing:
            self._findings.append(Finding(f"file {name}", "differs", ref.sha256, None, "it is not in storage"))
            return None
        except BlobCorrupt as error:
            self._findings.append(Finding(f"file {name}", "differs", ref.sha256, None, str(error)))
            return None
        if told:
            self._findings.append(Finding(f"file {name}", "matches", ref.sha256, ref.sha256))
        return path


def _ref(artifact: pb.Artifact) -> BlobRef:
    return BlobRef(key=artifact.key, sha256=artifact.sha256, size=artifact.size)

"""The current model: which one it is (the registry says) and its files (from object storage, kept on disk)."""

from pathlib import Path

import grpc
from contracts.artifacts import BranchManifest, DatasetManifest, ModelManifest
from contracts.base import BlobRef
from contracts.registry.v1 import registry_pb2, registry_pb2_grpc
from frames.pairs import pairs_of_elements, pairs_of_manifest
from kit.blobs import BlobMissing, Blobs
from kit.logs import get_logger

from metric.domain.coverage import KnownBranch
from metric.fetch import artifact
from metric.judging import CurrentModel, LoadedModel

log = get_logger(__name__)

LATEST = "latest"
# A run that was redelivered may still ask for the model before.
_KEPT = 3


class RegistryModels:
    """Asks the registry over gRPC; fetches manifest, release and what the branches were trained on once a model."""

    def __init__(self, channel: grpc.aio.Channel, blobs: Blobs, folder: Path, deadline_seconds: float) -> None:
        self._registry = registry_pb2_grpc.RegistryServiceStub(channel)
        self._blobs = blobs
        self._folder = folder
        self._deadline_seconds = deadline_seconds
        self._loaded: dict[CurrentModel, LoadedModel] = {}

    async def current(self) -> CurrentModel | None:
        """The newest published model; None while there is none. Raises grpc.aio.AioRpcError."""
        return await self.named(LATEST)

    async def named(self, version_or_alias: str) -> CurrentModel | None:
        """A published model; None when there is none of that name. Raises grpc.aio.AioRpcError."""
        request = registry_pb2.GetModelRequest(version_or_alias=version_or_alias)
        try:
            reply = await self._registry.GetModel(request, timeout=self._deadline_seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise
        manifest = reply.model.manifest
        ref = BlobRef(key=manifest.key, sha256=manifest.sha256, size=manifest.size)
        return CurrentModel(version=reply.model.version, manifest=ref)

    async def load(self, model: CurrentModel) -> LoadedModel:
        """Manifest and release file, verified. Raises BlobMissing, BlobCorrupt."""
        if model in self._loaded:
            return self._loaded[model]
        manifest = await artifact(self._blobs, model.manifest, ModelManifest)
        # deepmd tells a checkpoint from a frozen model by the suffix.
        path = self._folder / f"{manifest.release.sha256}.pt"
        if not path.exists():
            await self._blobs.get_file(manifest.release, path)
        branches = tuple(KnownBranch.of(branch) for branch in manifest.branches)
        pairs = frozenset[str]().union(*[await self._pairs(branch) for branch in manifest.branches])
        self._loaded[model] = loaded = LoadedModel(model, path, branches, pairs, manifest)
        while len(self._loaded) > _KEPT:
            self._loaded.pop(next(iter(self._loaded))).release.unlink(missing_ok=True)
        log.info("model-loaded", version=model.version, branches=len(manifest.branches))
        return loaded

    async def _pairs(self, branch: BranchManifest) -> frozenset[str]:
        """Pairs of elements that the branch's dataset holds together."""
        try:
            return pairs_of_manifest(await artifact(self._blobs, branch.dataset_manifest, DatasetManifest))
        except BlobMissing:
            # A dataset that was withdrawn and deleted trained the model all the same: no pair of it is called new.
            log.warning("branch-dataset-gone", branch=branch.name, key=branch.dataset_manifest.key)
            return pairs_of_elements(branch.elements)

"""What is public of a version's branches, read from storage: manifests never change, so they are kept."""

import asyncio
from collections import OrderedDict

from contracts.artifacts import DatasetManifest, PublishedBranch, PublishedManifest
from contracts.base import BlobRef
from kit.blobs import BlobMissing, Blobs
from kit.logs import get_logger
from pydantic import ValidationError

from registry.domain.resolving import Candidate, Facts, facts_of
from registry.domain.rounds import Model, ModelBranch

log = get_logger(__name__)

MANIFESTS_KEPT = 256
FACTS_KEPT = 4096
AT_ONCE = 2
"""Structures and previews that are looked at at a time, each on a thread."""


class BranchFacts:
    """Of public branches alone; of a private one there is nothing to read here."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._manifests: OrderedDict[str, dict[str, PublishedBranch]] = OrderedDict()
        self._facts: OrderedDict[str, Facts] = OrderedDict()
        self.threads = asyncio.Semaphore(AT_ONCE)

    async def published(self, model: Model) -> dict[str, PublishedBranch]:
        """By name, as in the manifest that anyone may download; empty when the version has none that can be read."""
        reference = next((file.blob for file in model.files if file.kind == "manifest"), None)
        if reference is None:
            return {}
        kept = self._manifests.get(reference.sha256)
        if kept is None:
            try:
                manifest = await self._blobs.get_model(reference.key, PublishedManifest)
            except (BlobMissing, ValidationError) as error:
                log.error("manifest-unreadable", version=model.version, error=str(error)[:300])
                return {}
            kept = {branch.name: branch for branch in manifest.branches}
            self._manifests[reference.sha256] = kept
            if len(self._manifests) > MANIFESTS_KEPT:
                self._manifests.popitem(last=False)
        return kept

    async def candidates(self, model: Model) -> list[Candidate]:
        """Branches whose elements are public, in the order of the model."""
        published = await self.published(model)
        found = []
        for one in model.branches:
            branch = published.get(one.branch.name)
            if branch is not None and branch.elements and not one.branch.member.credit.private:
                found.append(Candidate(branch, await self._facts_of(one), one.branch.member.withdrawn))
        return found

    async def _facts_of(self, one: ModelBranch) -> Facts:
        if one.branch.member.withdrawn:
            return Facts()  # nothing of it is shown any more
        reference: BlobRef = one.branch.member.manifest
        kept = self._facts.get(reference.sha256)
        if kept is None:
            try:
                manifest = await self._blobs.get_model(reference.key, DatasetManifest)
            except (BlobMissing, ValidationError) as error:
                log.warning("dataset-manifest-unreadable", branch=one.branch.name, error=str(error)[:300])
                return Facts()
            async with self.threads:
                kept = await asyncio.to_thread(facts_of, manifest)
            self._facts[reference.sha256] = kept
            if len(self._facts) > FACTS_KEPT:
                self._facts.popitem(last=False)
        return kept

"""Use case of growth: a candidate is judged by the policy, and published or withheld.

Three steps, so that no transaction stays open while files are copied: `open` (fence), `examine` (judge, copy the
files of what will be published to their final places), `decide` (fence again, and all rows and events at once).
A crash between the last two leaves copies that the repeated submission finds again, byte for byte.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from contracts import keys
from contracts.artifacts import ModelManifest
from contracts.base import BlobRef, DatasetRef
from contracts.events import DatasetReceiptIssued, ModelAliased, ModelFile, ModelWithheld, TrainingFinished
from contracts.standard import StandardDataset, StandardScore
from kit.blobs import BlobMissing, Blobs
from kit.logs import get_logger
from kit.queries import Connection
from pydantic import ValidationError

from registry import ports
from registry.domain.costs import round_cost
from registry.domain.policy import GrowthPolicy, OnStandard, Verdict, judge
from registry.domain.publication import (
    check_candidate,
    contributors,
    final_files,
    final_manifest,
    model_branches,
    model_marked,
    model_published,
    published_manifest,
)
from registry.domain.receipts import receipts
from registry.domain.rounds import (
    DEEPMD,
    LATEST,
    AliasMoveKind,
    Branch,
    DatasetState,
    Decision,
    InvalidRequest,
    Model,
    NotStored,
    Round,
    RoundState,
    Usage,
    Version,
    settled,
    stale,
)
from registry.domain.signing import Signer
from registry.domain.standard import candidate_errors, next_standard, on_standard, parent_errors, scored
from registry.domain.standard_table import published_standard
from registry.rounds.announcing import announce
from registry.rounds.inquiry_steps import ended_with_model, ended_without_model
from registry.rounds.scoring import Scorings
from registry.rounds.service import known_round, with_datasets

log = get_logger(__name__)

MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.json.sig"
STANDARD_FILE = "standard.json"


@dataclass(frozen=True, slots=True)
class Submission:
    """A round whose worker hands in a candidate."""

    round: Round
    branches: tuple[Branch, ...]
    version: str
    """The number that the candidate gets if it is published. No other round is open, so nobody else takes it."""
    standard: StandardDataset | None
    """The current one. Only a publication makes another."""
    standard_content: BlobRef | None
    """Where that lies."""
    usages: Mapping[int, Usage] = field(default_factory=dict)
    """What its attempts used, by fence, as far as their workers told."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The standard dataset once the candidate is published, and what is known on it by then."""

    standard: StandardDataset
    on: OnStandard
    score: StandardScore | None
    content: BlobRef | None = None
    """Where it lies; none while the candidate is not published and it is not the current one."""
    new: bool = False
    """The candidate makes it."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A judged candidate. `model` is none when the policy withholds it."""

    submission: Submission
    manifest: ModelManifest
    verdict: Verdict
    model: Model | None
    standing: Standing | None
    """None when no branch gives frames to a standard dataset."""


class Growth:
    """Decides on candidates."""

    def __init__(self, store: ports.Models, blobs: Blobs, policy: GrowthPolicy, signer: Signer) -> None:
        self._store = store
        self._blobs = blobs
        self._policy = policy
        self._scorings = Scorings(store, policy)
        self._signer = signer

    async def open(self, conn: Connection, round_id: UUID, fence: int) -> Submission | Decision:
        """Check the fence and renew the lease. A submission that was decided gets the same decision again."""
        held = await self._store.hold(conn, round_id, fence, self._policy.lease_ttl_seconds)
        if held is None:
            return await self._earlier_decision(conn, round_id, fence)
        version = Version.after(await self._store.newest_version(conn))
        newest = await self._store.newest_standard(conn)
        branches = await self._store.branches(conn, round_id)
        standard, content = (newest.standard, newest.content) if newest else (None, None)
        usages = await self._store.usages(conn, round_id)
        return Submission(held, branches, str(version), standard, content, usages)

    async def examine(self, submission: Submission, reference: BlobRef) -> Examined:
        """Judge the candidate; when it passes, put its files where published models live.

        Raises InvalidRequest when the manifest is not one of this round, NotStored when an object is missing.
        """
        manifest = await self._manifest(reference)
        check_candidate(manifest, submission.round, submission.branches)
        cost = round_cost(submission.round.fence, submission.usages, manifest.cost)
        manifest = manifest.model_copy(update={"cost": cost, "seed": submission.round.seed})
        old = [branch.name for branch in submission.branches if not branch.is_new]
        new = [branch.name for branch in submission.branches if branch.is_new]
        standing = self._standing(submission, manifest)
        # Thousands of draws of thousands of frames: heartbeats must be answered meanwhile.
        on = standing.on if standing else None
        verdict = await asyncio.to_thread(judge, manifest, old, new, self._policy, on)
        model = None
        if verdict.passed and verdict.standard_score is not None:
            if standing is not None and standing.new:
                standing = replace(standing, content=await self._put_standard(standing.standard))
            model = await self._place(submission, manifest, verdict, verdict.standard_score, standing)
        return Examined(submission, manifest, verdict, model, standing)

    def _standing(self, submission: Submission, manifest: ModelManifest) -> Standing | None:
        policy = self._policy
        standard = next_standard(
            submission.standard,
            manifest,
            submission.branches,
            submission.version,
            policy.seed,
            policy.standard_frames_per_branch,
        )
        if standard is None:
            return None
        on = on_standard(manifest, standard)
        if submission.standard is not None:
            # Frames of old branches are those of the current one.
            on = replace(on, number=submission.standard.number)
        errors = candidate_errors(on.manifest)
        known = {one.dataset: errors[one.branch] for one in standard.branches if one.branch in errors}
        new = standard is not submission.standard
        content = None if new else submission.standard_content
        return Standing(standard, on, scored(standard, known), content, new)

    async def decide(self, conn: Connection, examined: Examined) -> Decision:
        """Publish or withhold. The fence is checked in the same transaction."""
        round_ = examined.submission.round
        held = await self._store.hold(conn, round_.round_id, round_.fence, self._policy.lease_ttl_seconds)
        if held is None:
            return await self._earlier_decision(conn, round_.round_id, round_.fence)
        # First, so that they are there when a contributor's page hears of the round's end.
        await self._issue_receipts(conn, held, examined)
        held_out = tuple(branch.held_out for branch in examined.manifest.branches)
        finished = TrainingFinished(
            round_id=held.round_id,
            attempt=held.fence,
            branches=with_datasets(examined.submission.branches, held_out),
            wall_seconds=examined.manifest.wall_seconds,
        )
        await announce(conn, held, finished)
        if examined.model is None:
            return await self._withhold(conn, held, examined.verdict)
        return await self._publish(conn, held, examined.model, examined)

    async def _issue_receipts(self, conn: Connection, round_: Round, examined: Examined) -> None:
        """In the transaction of the decision: there is no decision without receipts, and no receipt without one."""
        version = examined.model.version if examined.model else None
        issued = examined.model.published_at if examined.model else datetime.now(UTC)
        branches, rules = examined.submission.branches, examined.verdict.rules
        for receipt in receipts(examined.manifest, branches, rules, version, issued):
            signed = self._signer.receipt(receipt)
            await self._store.add_receipt(conn, signed)
            ref = DatasetRef(dataset_id=receipt.dataset_id, version=receipt.dataset_version)
            await announce(conn, round_, DatasetReceiptIssued(dataset=ref, signed=signed))

    async def _publish(self, conn: Connection, round_: Round, model: Model, examined: Examined) -> Decision:
        await self._store.add_model(conn, model)
        if examined.standing is not None:
            await self._score(conn, model, examined.standing)
        await self._store.end_round(conn, round_, RoundState.PUBLISHED, rules=model.rules, model_version=model.version)
        await self._store.set_new_datasets(conn, round_.round_id, DatasetState.PUBLISHED)
        reason = f"published by round {round_.round_id}"
        await self._store.move_alias(conn, LATEST, model.version, AliasMoveKind.PUBLICATION, reason)
        await ended_with_model(self._store, conn, round_)
        score = examined.standing.score if examined.standing else None
        aliased = ModelAliased(alias=LATEST, version=model.version, previous=model.parent_version, reason=reason)
        await announce(conn, round_, model_published(model, examined.manifest, score), aliased)
        kept = await self._store.model(conn, model.version)
        if kept is not None and kept.withdrawn_ancestral_datasets:
            # It grew from what withdrawn data had trained, though it holds none of it.
            await announce(conn, round_, model_marked(kept))
        log.info("model-published", version=model.version, parent=model.parent_version)
        return Decision(True, model.version)

    async def _score(self, conn: Connection, model: Model, standing: Standing) -> None:
        """The round measured its candidate and its parent on the standard frames; others may have to be."""
        standard, measured = standing.standard, standing.on.manifest
        if standing.new and standing.content is not None:
            await self._scorings.release(conn, standard, standing.content)
        await self._scorings.measured(conn, model.version, standard, candidate_errors(measured))
        if model.parent_version is not None:
            await self._store.add_standard_errors(conn, model.parent_version, standard, parent_errors(measured))
        if standing.new:
            await self._scorings.rescore(conn, standard)

    async def _withhold(self, conn: Connection, round_: Round, verdict: Verdict) -> Decision:
        reason = " ".join(rule.sentence for rule in verdict.rules if not rule.passed)
        await self._store.end_round(conn, round_, RoundState.WITHHELD, reason=reason, rules=verdict.rules)
        await ended_without_model(self._store, conn, round_, DatasetState.WITHHELD, reason)
        withheld = ModelWithheld(round_id=round_.round_id, parent=round_.parent_version, rules=verdict.rules)
        await announce(conn, round_, withheld)
        log.info("model-withheld", round=str(round_.round_id), reason=reason)
        return Decision(False, None)

    async def _earlier_decision(self, conn: Connection, round_id: UUID, fence: int) -> Decision:
        """The answer to a repeated submission. Raises StaleFence when this fence's candidate got none."""
        round_ = await known_round(self._store, conn, round_id)
        decision = settled(round_, fence)
        if decision is None:
            raise stale(round_, fence)
        return decision

    async def _manifest(self, reference: BlobRef) -> ModelManifest:
        try:
            data = await self._blobs.get_bytes(reference.key)
        except BlobMissing as error:
            raise NotStored(f"manifest {reference.key!r} is not in storage; store it, then submit") from error
        if (hashlib.sha256(data).hexdigest(), len(data)) != (reference.sha256, reference.size):
            raise NotStored(f"manifest {reference.key!r} has other bytes than its SHA-256 and size say")
        try:
            return ModelManifest.model_validate_json(data)
        except ValidationError as error:
            raise InvalidRequest(f"{reference.key!r} is not a ModelManifest: {error}") from error

    async def _place(
        self,
        submission: Submission,
        manifest: ModelManifest,
        verdict: Verdict,
        standard_score: float,
        standing: Standing | None,
    ) -> Model:
        """Copy the candidate's files to their final places and write both manifests."""
        version = submission.version
        files = final_files(manifest, version)
        for file in files:
            await self._copy(file.source, file.target)
        final = final_manifest(manifest, files, standing.content if standing else None)
        branches = model_branches(manifest, submission.branches)
        full = await self._put(version, "manifest-full.json", final.model_dump_json(indent=1))
        offered = [file.public for file in files if file.public is not None]
        score = None
        if standing is not None:
            score = standing.score
            told = published_standard(standing.standard, submission.branches, manifest).model_dump_json(indent=1)
            table = await self._put(version, STANDARD_FILE, told)
            offered.append(ModelFile(name=STANDARD_FILE, blob=table, kind="standard"))
        readable = published_manifest(manifest, version, branches, verdict.rules, standard_score, offered, score)
        text = readable.model_dump_json(indent=1)
        public = await self._put(version, MANIFEST_FILE, text)
        vouched = self._signer.file(MANIFEST_FILE, text.encode()).model_dump_json(indent=1)
        signature = await self._put(version, SIGNATURE_FILE, vouched)
        return Model(
            version=version,
            parent_version=submission.round.parent_version,
            round_id=submission.round.round_id,
            preset=submission.round.preset,
            manifest=full,
            files=(
                *offered,
                ModelFile(name=MANIFEST_FILE, blob=public, kind="manifest"),
                ModelFile(name=SIGNATURE_FILE, blob=signature, kind="signature"),
            ),
            rules=verdict.rules,
            checks=manifest.checks,
            standard_score=standard_score,
            contributors=contributors(submission.branches),
            branches=branches,
            aliases=(LATEST,),
            published_at=datetime.now(UTC),
            deepmd_version=manifest.versions.get(DEEPMD),
        )

    async def _copy(self, source: BlobRef, target: BlobRef) -> None:
        """Copy and verify what arrived: what is published must be what was verified by the trainer."""
        try:
            await self._blobs.copy(source, target.key)
            size, sha256 = await self._blobs.size(target.key), await self._blobs.sha256(target.key)
        except (BlobMissing, FileNotFoundError) as error:
            raise NotStored(f"file {source.key!r} is not in storage; store it, then submit") from error
        if (sha256, size) != (target.sha256, target.size):
            await self._blobs.delete(target.key)
            raise NotStored(f"file {source.key!r} has other bytes than its SHA-256 and size say")

    async def _put_standard(self, standard: StandardDataset) -> BlobRef:
        data = standard.model_dump_json(indent=1).encode()
        key = keys.standard_dataset(standard.number, hashlib.sha256(data).hexdigest())
        return await self._blobs.put_bytes(key, data)

    async def _put(self, version: str, name: str, text: str) -> BlobRef:
        data = text.encode()
        return await self._blobs.put_bytes(keys.model_file(version, hashlib.sha256(data).hexdigest(), name), data)

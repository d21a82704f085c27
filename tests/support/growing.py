"""Rounds of growth without a platform: planned, trained, verified and judged by the platform's own code.

Datasets are stored as ingest stores them, a lease becomes a work folder by the trainer's own preparation, engine and
verification are its programs, and the registry's planning and policy decide. Left out: database, broker, gRPC.
"""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid5

import reference_model
from contracts.artifacts import Cost, DatasetManifest, Hardware, ModelManifest
from contracts.base import BlobRef, Credit, DatasetRef, LevelOfTheory
from frames.frame import Frame
from frames.hashing import frame_hash
from frames.split import split
from kit.blobs import Blobs
from registry.domain.planning import plan_round
from registry.domain.policy import GrowthPolicy, Verdict, judge
from registry.domain.rounds import Branch, Member, RoundPlan, Version
from trainer.cache import Cache
from trainer.domain import Lease, LeasedBranch
from trainer.preparation import Preparation
from trainer.process import ENGINE, VERIFY, Child
from trainer.submission import Ran, store_candidate
from trainer.work import Failed, Message, Progress, Verified

NAMESPACE = UUID("2f0f3c1e-63a8-4a2b-9b59-3a3c0a1f6f42")
PRESETS = Path(__file__).parents[2] / "deploy" / "presets"
NOWHERE = Ran(
    Hardware(cpu=None, cpu_cores=None, memory_bytes=None), Cost(attempts=1, attempts_told=0, core_hours=0, gpu_hours=0)
)
NOT_ASKED = Verified(passed=True, sentence="Not asked here.", numbers={})


@dataclass(frozen=True)
class Contribution:
    """A dataset as its contributor brings it."""

    title: str
    frames: tuple[Frame, ...]
    theory: LevelOfTheory

    @property
    def parts(self) -> tuple[list[Frame], list[Frame]]:
        """(train, held-out): the platform's own split."""
        train, held_out = split([frame_hash(frame) for frame in self.frames])
        return [self.frames[index] for index in train], [self.frames[index] for index in held_out]


@dataclass(frozen=True)
class Grown:
    """What a round led to. `version` is none when the policy withheld it."""

    plan: RoundPlan
    manifest: ModelManifest
    verdict: Verdict
    version: str | None
    curve: tuple[Progress, ...]
    seconds: float


@dataclass
class Growing:
    """A line of models. `verify`: ask the checks of the files too; without, they count as passed."""

    folder: Path
    policy: GrowthPolicy
    presets: Path = PRESETS
    verify: bool = True
    threads: int = 1
    parent: Grown | None = None
    published: list[Grown] = field(default_factory=list)
    _manifests: dict[DatasetRef, DatasetManifest] = field(default_factory=dict)
    _files: dict[str, BlobRef] = field(default_factory=dict)
    _arrivals: int = 0

    def __post_init__(self) -> None:
        self.blobs = Blobs((self.folder / "blobs").as_uri())
        self._preparation = Preparation(Cache(self.folder / "cache", self.blobs, 1 << 40), self.presets)

    async def round(self, *contributions: Contribution) -> Grown:
        """Grow the newest published model on these datasets, beside all that it knows."""
        waiting = [await self._joined(one) for one in contributions]
        plan = plan_round(
            uuid5(NAMESPACE, f"round {self._arrivals}"),
            self.parent.version if self.parent else None,
            self.parent.plan.branches if self.parent else (),
            waiting,
            self.policy,
            lambda: "0" * 8,
        )
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            grown = await self._trained(plan, Path(name))
        if grown.version is not None:
            self.parent = grown
            self.published.append(grown)
        return grown

    async def _joined(self, contribution: Contribution) -> Member:
        self._arrivals += 1
        train, held_out = contribution.parts
        ref = DatasetRef(dataset_id=uuid5(NAMESPACE, contribution.title), version=1)
        folder = self.folder / "datasets"
        folder.mkdir(exist_ok=True)
        described, reference = await reference_model.store_frames(
            self.blobs, folder, contribution.title, ref, train, held_out, contribution.theory
        )
        self._manifests[ref] = described
        return Member(
            ref=ref,
            credit=Credit(title=contribution.title, authors=("bench",), licence="CC-BY-4.0", private=False),
            arrival=self._arrivals,
            manifest=reference,
            metric_report=reference,
            train_frames=len(train),
            nearest_branch=None,
            energy_shift_ev={},
            traceparent=None,
        )

    async def _trained(self, plan: RoundPlan, folder: Path) -> Grown:
        lease = self._lease(plan)
        manifests = await self._preparation.prepare(lease, folder)
        curve = [one for one in await messages(ENGINE, folder, self.threads) if isinstance(one, Progress)]
        verified = NOT_ASKED
        if self.verify:
            (verified,) = [one for one in await messages(VERIFY, folder, self.threads) if isinstance(one, Verified)]
        reference = await store_candidate(self.blobs, lease, folder, manifests, verified, NOWHERE)
        manifest = await self.blobs.get_model(reference.key, ModelManifest)
        old, new = names(plan.branches, new=False), names(plan.branches, new=True)
        verdict = judge(manifest, old, new, self.policy)
        version = str(Version.after(self.published[-1].version if self.published else None)) if verdict.passed else None
        if version is not None:
            self._files[version] = reference
        return Grown(plan, manifest, verdict, version, tuple(curve), manifest.wall_seconds)

    def _lease(self, plan: RoundPlan) -> Lease:
        return Lease(
            round_id=plan.round_id,
            fence=1,
            attempt=1,
            ttl_seconds=30,
            preset=plan.preset,
            total_steps=plan.total_steps,
            seed=plan.seed,
            parent_manifest=self._files[plan.parent_version] if plan.parent_version else None,
            parent_version=plan.parent_version,
            branches=tuple(leased(branch) for branch in plan.branches),
            left_out_branches=(),
            resume_from=None,
            traceparent=None,
        )


def leased(branch: Branch) -> LeasedBranch:
    """Without the metric's report: none of these datasets has frames that fail."""
    member = branch.member
    return LeasedBranch(branch.name, member.ref, member.manifest, None, branch.is_new, None, {}, branch.weight)


def names(branches: Iterable[Branch], *, new: bool) -> list[str]:
    return [branch.name for branch in branches if branch.is_new is new]


async def messages(module: str, folder: Path, threads: int = 1) -> list[Message]:
    """All that one of the trainer's programs says of a work folder. Raises RuntimeError when it fails."""
    child = await Child.start(module, threads)
    heard: list[Message] = []
    try:
        async for message in child.work(folder):
            if isinstance(message, Failed):
                raise RuntimeError(f"{message.rule}: {message.reason}")
            heard.append(message)
    finally:
        await child.kill()
    if not heard:
        raise child.failure()
    return heard


def shares(contributions: Sequence[Contribution]) -> str:
    """Frames for training and held out, in words."""
    return ", ".join(f"{one.title} {len(one.parts[0])}+{len(one.parts[1])}" for one in contributions)

"""From a lease to a work folder: every input fetched by reference and verified."""

import json
from pathlib import Path

from contracts.artifacts import DatasetManifest, MetricReport, ModelManifest
from contracts.base import BlobRef
from contracts.standard import StandardDataset
from frames.store import DATA_FILE
from kit.blobs import BlobCorrupt, BlobMissing
from pydantic import ValidationError

from trainer.cache import Cache
from trainer.child import AttemptFailed
from trainer.domain import Lease, LeasedBranch
from trainer.preset import PresetError, load_preset
from trainer.work import WORK_FILE, Work, WorkBranch

PARENT_FILE = Path("parent.pt")
RESUME_FILE = Path("resume.pt")
_LARGEST_SEED = 2**31


class Preparation:
    """Fetches what a round needs."""

    def __init__(self, cache: Cache, presets: Path) -> None:
        self._cache = cache
        self._presets = presets

    async def prepare(self, lease: Lease, folder: Path) -> dict[str, DatasetManifest]:
        """Write `work.json` and all that it names into `folder`; returns each branch's dataset manifest.

        Raises AttemptFailed ('data-unreadable', 'preset-unknown').
        """
        try:
            preset = load_preset(self._presets, lease.preset)
            manifests = {branch.name: await self._manifest(branch.manifest) for branch in lease.branches}
            branches = [await self._branch(branch, manifests[branch.name], folder) for branch in lease.branches]
            software: dict[str, str] = {}
            if lease.parent_manifest is not None:
                parent = ModelManifest.model_validate_json(await self._cache.read(lease.parent_manifest))
                await self._cache.place(parent.checkpoint, folder / PARENT_FILE)
                software = parent.versions
            if lease.resume_from is not None:
                await self._cache.place(lease.resume_from.blob, folder / RESUME_FILE)
            work = Work(
                preset=preset,
                total_steps=lease.total_steps,
                # Another attempt at the same steps draws other batches: what went wrong need not go wrong again.
                seed=(lease.seed + lease.attempt - 1) % _LARGEST_SEED,
                parent=PARENT_FILE if lease.parent_manifest else None,
                parent_version=lease.parent_version,
                parent_software=software,
                resume_from=RESUME_FILE if lease.resume_from else None,
                learning_rate_factor=lease.learning_rate_factor,
                branches=tuple(branches),
                left_out_branches=lease.left_out_branches,
                standard_frames=await self._standard_frames(lease),
            )
        except PresetError as error:
            raise AttemptFailed("preset-unknown", str(error), retryable=False) from error
        except (BlobMissing, BlobCorrupt) as error:
            raise AttemptFailed("data-unreadable", f"object storage: {error}", retryable=True) from error
        except (ValidationError, json.JSONDecodeError) as error:
            raise AttemptFailed(
                "data-unreadable", f"a file of this round is malformed: {error}", retryable=False
            ) from error
        (folder / WORK_FILE).write_text(work.model_dump_json())
        return manifests

    async def _manifest(self, ref: BlobRef) -> DatasetManifest:
        return DatasetManifest.model_validate_json(await self._cache.read(ref))

    async def _branch(self, branch: LeasedBranch, manifest: DatasetManifest, folder: Path) -> WorkBranch:
        if manifest.train is None:
            reason = (
                f"the dataset of branch {branch.name} has no training frames: all are held out; it needs more frames"
            )
            raise AttemptFailed("data-unreadable", reason, retryable=False)
        place = Path("data", branch.name)
        await self._cache.place(manifest.train, folder / place / "train.lmdb" / DATA_FILE)
        await self._cache.place(manifest.held_out, folder / place / "held-out.lmdb" / DATA_FILE)
        failed = await failed_frames(self._cache, branch.metric_report)
        return WorkBranch(
            name=branch.name,
            train=place / "train.lmdb",
            held_out=place / "held-out.lmdb",
            left_out_train=failed["train"],
            left_out_held_out=failed["held-out"],
            test_frames=branch.test_frames,
            has_virial=manifest.has_virial,
            elements=manifest.elements,
            is_new=branch.is_new,
            nearest=branch.nearest,
            energy_shift_ev=branch.energy_shift_ev,
            weight=branch.weight,
        )

    async def _standard_frames(self, lease: Lease) -> tuple[str, ...]:
        if lease.standard is None:
            return ()
        standard = StandardDataset.model_validate_json(await self._cache.read(lease.standard))
        return tuple(sorted({frame for branch in standard.branches for frame in branch.frames}))


async def failed_frames(cache: Cache, metric_report: BlobRef | None) -> dict[str, tuple[int, ...]]:
    """Indices of the frames that the metric failed, by split."""
    found: dict[str, list[int]] = {"train": [], "held-out": []}
    if metric_report is not None:
        report = MetricReport.model_validate_json(await cache.read(metric_report))
        for verdict in report.verdicts:
            if verdict.verdict == "failed":
                found[verdict.split].append(verdict.index)
    return {split: tuple(indices) for split, indices in found.items()}

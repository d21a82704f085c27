"""The tables of the standard dataset. Every method runs inside its caller's transaction."""

from collections.abc import Mapping, Sequence

from contracts.base import BlobRef, DatasetRef
from contracts.standard import StandardBranch, StandardDataset, StandardScore
from frames.hashing import HASH_BYTES
from kit.queries import Connection, Row
from psycopg.types.json import Jsonb

from registry.domain.rounds import Member
from registry.domain.scores import Coverage, Released, Scoring
from registry.domain.standard import StandardError, frames_sha256
from registry.stores.operators import OperatorStore
from registry.stores.rows import json_of, member_of


class StandardStore(OperatorStore):
    """Rows in, frozen domain values out."""

    async def standard_number(self, conn: Connection) -> int:
        """Of the newest version; 0 before there is one."""
        row = await self._queries.one(conn, "newest_standard")
        return 0 if row is None else int(row["number"])

    async def newest_standard(self, conn: Connection) -> Released | None:
        row = await self._queries.one(conn, "newest_standard")
        return None if row is None else await self._released(conn, row)

    async def standards(self, conn: Connection) -> list[Released]:
        """Newest first."""
        return [await self._released(conn, row) for row in await self._queries.all(conn, "standards")]

    async def _released(self, conn: Connection, row: Row) -> Released:
        branches = await self._queries.all(conn, "standard_branches", number=row["number"])
        standard = StandardDataset(
            number=row["number"],
            model_version=row["model_version"],
            seed=row["seed"],
            frames_per_branch=row["frames_per_branch"],
            branches=tuple(_branch_of(one) for one in branches),
        )
        private = frozenset(one["branch"] for one in branches if one["private"])
        return Released(standard, BlobRef.model_validate(row["content"]), row["released_at"], private)

    async def add_standard(self, conn: Connection, standard: StandardDataset, content: BlobRef) -> None:
        """Store a new version; `content`: where the StandardDataset lies."""
        await self._queries.execute(
            conn,
            "insert_standard",
            number=standard.number,
            model_version=standard.model_version,
            seed=standard.seed,
            frames_per_branch=standard.frames_per_branch,
            content=json_of(content),
        )
        for position, one in enumerate(standard.branches):
            await self._queries.execute(
                conn,
                "insert_standard_branch",
                number=standard.number,
                position=position,
                branch=one.branch,
                dataset_id=one.dataset.dataset_id,
                dataset_version=one.dataset.version,
                frames=b"".join(bytes.fromhex(frame) for frame in one.frames),
                frames_sha256=frames_sha256(one),
                baseline_energy_rmse_mev_per_atom=one.baseline_energy_rmse_mev_per_atom,
                baseline_force_rmse_mev_per_angstrom=one.baseline_force_rmse_mev_per_angstrom,
                baseline_element_energies=None
                if one.baseline_element_energies_ev is None
                else Jsonb(one.baseline_element_energies_ev),
            )

    # Errors and scores

    async def add_standard_errors(
        self, conn: Connection, version: str, standard: StandardDataset, errors: Mapping[str, StandardError]
    ) -> None:
        """`errors`: by the branch's name in the standard dataset."""
        for one in standard.branches:
            if one.branch in errors:
                error = errors[one.branch]
                await self._queries.execute(
                    conn,
                    "insert_standard_error",
                    model_version=version,
                    dataset_id=one.dataset.dataset_id,
                    dataset_version=one.dataset.version,
                    frames_sha256=frames_sha256(one),
                    energy_rmse_mev_per_atom=error.energy_rmse_mev_per_atom,
                    force_rmse_mev_per_angstrom=error.force_rmse_mev_per_angstrom,
                    zero_shot=error.zero_shot,
                )

    async def standard_errors(self, conn: Connection, version: str, number: int) -> dict[DatasetRef, StandardError]:
        """What is known of a model on the branches of a standard dataset."""
        rows = await self._queries.all(conn, "standard_errors", model_version=version, number=number)
        return {
            _ref_of(row): StandardError(
                row["energy_rmse_mev_per_atom"], row["force_rmse_mev_per_angstrom"], row["zero_shot"]
            )
            for row in rows
        }

    async def unscored_models(self, conn: Connection, number: int) -> list[str]:
        """Versions without a score on a standard dataset, newest first."""
        return [row["version"] for row in await self._queries.all(conn, "unscored_models", number=number)]

    async def add_standard_score(self, conn: Connection, version: str, score: StandardScore) -> None:
        await self._queries.execute(
            conn, "insert_standard_score", model_version=version, number=score.standard, score=json_of(score)
        )

    # Scorings

    async def round_waits(self, conn: Connection) -> bool:
        """Whether a round is offered to workers."""
        return await self._queries.one(conn, "round_waits") is not None

    async def queue_scoring(self, conn: Connection, version: str, number: int) -> None:
        """The model waits for a worker; a lease of an older standard dataset is void."""
        await self._queries.execute(conn, "queue_scoring", model_version=version, number=number)

    async def lease_scoring(
        self, conn: Connection, worker: str, ttl_seconds: float, max_attempts: int
    ) -> Scoring | None:
        """Give a model that waits to the worker under a new fence; none while a round waits or growth is paused."""
        row = await self._queries.one(
            conn, "lease_scoring", worker=worker, ttl_seconds=ttl_seconds, max_attempts=max_attempts
        )
        return None if row is None else _scoring_of(row)

    async def hold_scoring(self, conn: Connection, version: str, fence: int, ttl_seconds: float) -> Scoring | None:
        """Renew the lease and lock the row; none when `fence` does not hold it (any more)."""
        row = await self._queries.one(conn, "hold_scoring", model_version=version, fence=fence, ttl_seconds=ttl_seconds)
        return None if row is None else _scoring_of(row)

    async def scoring(self, conn: Connection, version: str) -> Scoring | None:
        row = await self._queries.one(conn, "scoring", model_version=version)
        return None if row is None else _scoring_of(row)

    async def end_scoring(self, conn: Connection, version: str) -> None:
        await self._queries.execute(conn, "end_scoring", model_version=version)

    async def offer_scoring_again(self, conn: Connection, version: str, failures: int, reason: str) -> None:
        await self._queries.execute(
            conn, "offer_scoring_again", model_version=version, failures=failures, reason=reason
        )

    async def coverage(self, conn: Connection) -> list[Coverage]:
        """How far every version is scored on the newest standard dataset, newest version first."""
        return [
            Coverage(
                version=row["version"],
                score=None if row["score"] is None else StandardScore.model_validate(row["score"]),
                leased=row["leased"],
                failures=row["failures"] or 0,
                reason=row["reason"],
            )
            for row in await self._queries.all(conn, "coverage")
        ]

    # Training frames that are test frames

    async def unchecked(self, conn: Connection, number: int) -> list[Member]:
        """Datasets that a round may train on and that were not compared with this standard dataset yet."""
        return [member_of(row) for row in await self._queries.all(conn, "unchecked_datasets", number=number)]

    async def add_overlap(
        self, conn: Connection, ref: DatasetRef, number: int, training_frames: Sequence[int] | None
    ) -> None:
        """`training_frames`: indices of those that are test frames; none: nobody can tell before training."""
        await self._queries.execute(
            conn,
            "insert_overlap",
            dataset_id=ref.dataset_id,
            version=ref.version,
            number=number,
            training_frames=None if training_frames is None else list(training_frames),
        )

    async def overlaps(self, conn: Connection, number: int) -> dict[DatasetRef, tuple[int, ...]]:
        """Of every dataset that was compared: its training frames that are test frames, as far as anybody can tell."""
        rows = await self._queries.all(conn, "overlaps", number=number)
        return {_ref_of(row): tuple(row["training_frames"] or ()) for row in rows}


def _ref_of(row: Row) -> DatasetRef:
    return DatasetRef(dataset_id=row["dataset_id"], version=row["dataset_version"])


def _branch_of(row: Row) -> StandardBranch:
    frames: bytes = row["frames"]
    return StandardBranch(
        branch=row["branch"],
        dataset=_ref_of(row),
        dataset_manifest=BlobRef.model_validate(row["manifest"]),
        metric_report=BlobRef.model_validate(row["metric_report"]),
        frames=tuple(frames[start : start + HASH_BYTES].hex() for start in range(0, len(frames), HASH_BYTES)),
        baseline_energy_rmse_mev_per_atom=row["baseline_energy_rmse_mev_per_atom"],
        baseline_force_rmse_mev_per_angstrom=row["baseline_force_rmse_mev_per_angstrom"],
        baseline_element_energies_ev=row["baseline_element_energies"],
    )


def _scoring_of(row: Row) -> Scoring:
    return Scoring(
        version=row["model_version"],
        standard=row["standard"],
        fence=row["fence"],
        worker=row["worker"],
        failures=row["failures"],
        done=row["done_at"] is not None,
    )

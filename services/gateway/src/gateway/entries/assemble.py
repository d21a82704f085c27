"""Rows and stored events into views. Nothing is decided here but words."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from contracts.base import BlobRef, DatasetRef, RuleResult, SetAside
from contracts.events import ModelPublished
from contracts.standard import StandardScore
from kit.queries import Row

from gateway.domain import round_stage
from gateway.entries import reports
from gateway.entries.waiting import Range
from gateway.stores.projections import round_facts
from gateway.views.datasets import (
    CurvePoint,
    DatasetView,
    DownloadView,
    HeldUp,
    IngestView,
    Message,
    MetricView,
    OverlapView,
    QueuePlace,
    ReadingView,
    ReportSummary,
    RerunView,
    TrainingView,
)
from gateway.views.models import ModelFileView, ModelView, TrainedDatasetView
from gateway.views.queue import PRIVATE_NAME, QueueEntry, QueueRound

REMEDIES = {
    "covered": (
        "There is nothing to put right. Data of a kind that the model predicts badly helps it most: "
        "other compositions, temperatures, pressures, surfaces or defects."
    ),
    "not-sound": "Look at the frames that failed, correct or leave them out, and upload the dataset again.",
    "labels": "Correct the labels, and upload the dataset again.",
    "withheld": "Nothing to do: your dataset stays in line for growth, and the numbers say what the model missed.",
    "failed": "Nothing to do: your dataset is safe. We look into the training on our side.",
    "waits": "Nothing to do: your dataset keeps its place and is trained in another round.",
    "isolated": "Look at the frames with the largest errors, their units and level of theory, then upload it again.",
}


def dataset_url(dataset_id: UUID) -> str:
    return f"/datasets/{dataset_id}"


def api_url(dataset_id: UUID) -> str:
    return f"/api/v1/datasets/{dataset_id}"


@dataclass(frozen=True, slots=True)
class Around:
    """What a dataset's view shows beside its own row. `names`: of the datasets that the reader may see."""

    curve: tuple[CurvePoint, ...] = ()
    queue: QueuePlace | None = None
    reruns: tuple[RerunView, ...] = ()
    names: Mapping[UUID, str] = field(default_factory=dict)
    reader_id: UUID | None = None


def shared_archive(row: Row) -> tuple[BlobRef, str] | None:
    """The archive that everybody who sees the dataset may have, and its name. None before ingest has looked into it.

    What may not be shared (POTCAR files, by their licence) was left out of it; then the original is offered to nobody.
    """
    found = row["validated"] or row["looked_into"]
    if found is None:
        return None
    cleaned = found.get("download")
    if cleaned is None:
        return original_archive(row)
    ref = BlobRef.model_validate(cleaned)
    return ref, cleaned_name(row["filename"], ref.key)


def original_archive(row: Row) -> tuple[BlobRef, str]:
    """As it was uploaded."""
    return BlobRef(key=row["archive_key"], sha256=row["archive_sha256"], size=row["archive_size"]), row["filename"]


def frame_files(row: Row) -> dict[str, BlobRef]:
    """LMDB data files of the frames; none before ingest has read the archive."""
    validated = row["validated"] or {}
    found = (("train.mdb", validated.get("train")), ("held-out.mdb", validated.get("held_out")))
    return {name: BlobRef.model_validate(ref) for name, ref in found if ref is not None}


def cleaned_name(filename: str, key: str) -> str:
    """'run.tar.xz' and '…/shared.zip' → 'run-shared.zip': the object's suffixes tell what it is packed as."""
    packed = "".join(PurePosixPath(key).suffixes)
    plain = filename.removesuffix("".join(PurePosixPath(filename).suffixes[-2:])) or filename
    return f"{plain}-shared{packed or ''.join(PurePosixPath(filename).suffixes[-2:])}"


def _download(row: Row, yours: bool) -> DownloadView | None:
    found = shared_archive(row) or (original_archive(row) if yours else None)
    if found is None or row["withdrawn"]:
        return None
    ref, filename = found
    path = f"{api_url(row['dataset_id'])}/archive?version={row['version']}"
    return DownloadView(
        url=path,
        filename=filename,
        size=ref.size,
        sha256=ref.sha256,
        removed=tuple((row["validated"] or row["looked_into"] or {}).get("removed") or ()),
    )


def _ingest(row: Row, names: Mapping[UUID, str]) -> IngestView | None:
    """Overlaps with datasets that the reader may not see are not told of at all."""
    validated = row["validated"]
    if validated is None:
        return None
    overlaps = []
    for one in validated.get("overlaps") or ():
        dataset_id = UUID(one["dataset"]["dataset_id"])
        if dataset_id in names:
            name, url = names[dataset_id], dataset_url(dataset_id)
            overlaps.append(OverlapView(id=dataset_id, url=url, name=name, frames=one["frames"]))
    return IngestView.model_validate(validated | {"overlaps": overlaps})


def overlapping(rows: Iterable[Row]) -> list[UUID]:
    """The datasets that the rows say they overlap with."""
    found = {
        UUID(one["dataset"]["dataset_id"]) for row in rows for one in (row["validated"] or {}).get("overlaps") or ()
    }
    return sorted(found)


def rerun_view(row: Row) -> RerunView:
    """Of a row of `reruns`."""
    told = row["finished"] or {}
    # Either metric said that it cannot be repeated, and why, or it gave the request up.
    failed = row["failed"] is not None or not told.get("repeated", True)
    state = "failed" if failed else "done" if told else "running"
    facts = {
        "id": row["rerun_id"],
        "run_id": row["run_id"],
        "state": state,
        "requested": row["requested"],
        "finished": row["finished_at"],
        "sentence": told.get("sentence", ""),
    }
    return RerunView.model_validate(told | facts)


def dataset_view(row: Row, beside: Around) -> DatasetView:
    """Of a row of the query `entries`."""
    # What was let go by its round waits for another: the old one's curve and numbers would mislead.
    let_go = (row["released"] or {}).get("outcome") == "waits"
    around = {} if let_go or not (row["round"] or {}).get("queued") else row["round"]
    yours = beside.reader_id is not None and row["owner_id"] == beside.reader_id
    reads = row["state"] == "uploaded" and row["reading"] is not None and not row["held_up"]
    return DatasetView(
        id=row["dataset_id"],
        version=row["version"],
        url=dataset_url(row["dataset_id"]),
        name=row["name"],
        authors=tuple(row["authors"]),
        orcids=row["orcids"],
        licence=row["licence"],
        private=row["private"],
        dpa=row["dpa"],
        region=row["region"],
        made_public=row["made_public"],
        withdrawn=row["withdrawn"],
        newer=_newer(row, yours),
        description=row["description"],
        created=row["created"],
        filename=row["filename"],
        size=row["archive_size"],
        sha256=row["archive_sha256"],
        stage=row["stage"],
        state=row["state"],
        verdict=row["verdict"],
        held_up=HeldUp(reason=row["held_up"]) if row["held_up"] else None,
        message=_message(row, around),
        queue=beside.queue,
        reading=ReadingView.model_validate(row["reading"]) if reads else None,
        declared=row["declared"],
        ingest=_ingest(row, beside.names),
        looked_into=bool(row["validated"] or row["looked_into"]),
        download=_download(row, yours),
        frame_files=tuple(
            DownloadView(
                url=f"{api_url(row['dataset_id'])}/frames/{name}", filename=name, size=ref.size, sha256=ref.sha256
            )
            for name, ref in frame_files(row).items()
        ),
        metric=_metric(row) if row["metric"] else None,
        reruns=beside.reruns,
        training=_training(row, around, beside.curve) if around else None,
        model=around["published"]["version"] if around.get("published") else None,
        growth=_growth(around),
        yours=yours,
    )


def _newer(row: Row, yours: bool) -> int | None:
    latest = row["latest"] if yours else row["latest_public"]
    return latest if latest is not None and latest > row["version"] else None


def brief(view: DatasetView) -> DatasetView:
    """For a list: without what only the dataset's own page shows of the report."""
    if view.metric is None:
        return view
    metric = view.metric.model_copy(update={"report": ReportSummary()})
    return view.model_copy(update={"metric": metric})


def _growth(around: Mapping[str, Any]) -> tuple[RuleResult, ...] | None:
    ending = around.get("published") or around.get("withheld")
    return tuple(RuleResult.model_validate(rule) for rule in ending["rules"]) if ending else None


def _message(row: Row, around: Mapping[str, Any]) -> Message | None:
    match row["state"]:
        case "rejected":
            rejected = row["rejected"]
            return Message(
                rule=rejected["rule"],
                reason=rejected["reason"],
                remedy=rejected["remedy"],
                set_aside=tuple(SetAside.model_validate(one) for one in rejected["set_aside"]),
            )
        case "not-passed":
            outcome, metric = row["verdict"], row["metric"]
            return Message(rule=outcome, reason=_sentence(metric), remedy=remedy_of(outcome, metric))
        case "withheld":
            broken = [rule for rule in around["withheld"]["rules"] if not rule["passed"]]
            return Message(
                rule=broken[0]["rule"] if broken else "withheld",
                reason=" ".join(rule["sentence"] for rule in broken) or "The growth policy did not hold.",
                remedy=REMEDIES["withheld"],
            )
        case "passed" if row["released"]:
            return _released(row["released"], REMEDIES["waits"])
        case "failed" if row["released"]:
            return _released(row["released"], REMEDIES["isolated"])
        case "failed":
            failed = around["failed"]
            return Message(rule=failed["rule"], reason=failed["reason"], remedy=REMEDIES["failed"])
    return None


def remedy_of(outcome: str, metric: Mapping[str, Any]) -> str:
    """Where the labels are wrong as a whole, no frame failed, or few, and looking at those would not help."""
    numbers = metric["sound"]["numbers"]
    few = numbers.get("failed_fraction", 1.0) <= numbers.get("at_most_failed_fraction", 0.0)
    return REMEDIES["labels" if few and outcome == "not-sound" else outcome]


def _released(event: Mapping[str, Any], remedy: str) -> Message:
    return Message(rule=event["rule"], reason=event["reason"], remedy=remedy)


def _sentence(metric: Mapping[str, Any]) -> str:
    """The sentence that decided: soundness when that failed, else novelty."""
    return str(metric["new"]["sentence"] if metric["sound"]["passed"] else metric["sound"]["sentence"])


def _metric(row: Row) -> MetricView:
    metric = row["metric"]
    ref = DatasetRef(dataset_id=row["dataset_id"], version=row["version"])
    return MetricView.model_validate(
        metric
        | {
            "pictures": {name: reports.picture_url(ref, name) for name in sorted(row["pictures"])},
            "tables": {name: reports.table_url(ref, name) for name in sorted(row["tables"] or ())},
            "report_url": reports.report_url(ref),
            "report": row["report"] or {},
            "sentence": _sentence(metric),
        }
    )


def _training(row: Row, around: Mapping[str, Any], curve: tuple[CurvePoint, ...]) -> TrainingView:
    progress = around["progress"] or {}
    stage = round_stage(round_facts(dict(around)))
    after = next(
        (error for error in _final_errors(around) if error["branch"] == row["branch"]),
        {"force_rmse_mev_per_angstrom": None, "energy_rmse_mev_per_atom": None},
    )
    total = around["queued"]["total_steps"]
    done = stage in ("finished", "published", "withheld")
    return TrainingView(
        round_id=row["round_id"],
        branch=row["branch"],
        state=stage,
        attempt=around["attempt"],
        worker=around["worker"],
        step=total if done else progress.get("step", 0),
        total_steps=total,
        eta_seconds=progress.get("eta_seconds") if stage == "training" else None,
        curve=curve,
        force_rmse_after_mev_per_angstrom=after["force_rmse_mev_per_angstrom"],
        energy_rmse_after_mev_per_atom=after["energy_rmse_mev_per_atom"],
        waits_for=_waits_for(around, stage),
    )


def _waits_for(around: Mapping[str, Any], stage: str) -> str | None:
    """What the attempt that waits was held up by; once it has begun that is history."""
    told = around["waits_for"]
    return str(told["reason"]) if told and stage == "waiting" and told["attempt"] > around["attempt"] else None


def _final_errors(around: Mapping[str, Any]) -> list[dict[str, Any]]:
    ending = around["finished"] or around["published"]
    return list(ending["branches"]) if ending else []


def queue_entry(
    row: Mapping[str, Any], reader_id: UUID | None, position: int | None, eta: Range | None = None
) -> QueueEntry:
    """A private contribution of somebody else has no name and no address."""
    mine = reader_id is not None and str(row["owner_id"]) == str(reader_id)
    shown = mine or not row["private"]
    return QueueEntry(
        position=position,
        name=row["name"] if shown else PRIVATE_NAME,
        url=f"/datasets/{row['dataset_id']}" if shown else None,
        state=row["state"],
        since=row["since"],
        held_up=row["held_up"],
        eta_low_seconds=eta.low if eta else None,
        eta_high_seconds=eta.high if eta else None,
    )


def queue_round(row: Row, reader_id: UUID | None) -> QueueRound:
    around = row["round"]
    progress = around["progress"] or {}
    stage = round_stage(round_facts(around))
    planned = around["queued_at"]
    members = [one | {"since": planned} for one in row["datasets"] or ()]
    return QueueRound(
        state=stage,
        parent_version=around["queued"]["parent_version"],
        attempt=around["attempt"],
        worker=around["worker"],
        step=progress.get("step", 0),
        total_steps=around["queued"]["total_steps"],
        eta_seconds=progress.get("eta_seconds") if stage == "training" else None,
        planned=planned,
        started=around["started_at"] if stage == "training" else None,
        datasets=tuple(queue_entry(one, reader_id, number) for number, one in enumerate(members, 1)),
        waits_for=_waits_for(around, stage),
    )


def model_file_url(version: str, name: str) -> str:
    return f"/api/v1/models/{version}/files/{name}"


def model_view(
    row: Row,
    aliases: tuple[str, ...],
    private_ids: set[UUID],
    withdrawn_ids: set[UUID],
    parent_scores: Iterable[Any] = (),
) -> ModelView:
    """Of a row of `model`. `private_ids`: datasets that are private now, whatever the event said; `withdrawn_ids`:
    those that were withdrawn here and whose mark may still be on its way.
    """
    event = ModelPublished.model_validate(row["event"])
    standard = StandardScore.model_validate(row["scores"][0]) if row["scores"] else event.standard
    before = list(map(StandardScore.model_validate, parent_scores))
    withdrawn = set(row["withdrawn_branches"])
    trained = []
    for one in event.datasets:
        shown = one.dataset is not None and one.dataset.dataset_id not in private_ids
        dataset_id = one.dataset.dataset_id if one.dataset is not None and shown else None
        gone = one.branch in withdrawn or (one.dataset is not None and one.dataset.dataset_id in withdrawn_ids)
        trained.append(
            TrainedDatasetView(
                id=dataset_id,
                url=dataset_url(dataset_id) if dataset_id else None,
                name=(one.title if shown else None) or PRIVATE_NAME,
                authors=one.authors if shown else (),
                branch=one.branch,
                weight=one.weight,
                new=one.new,
                energy_rmse_mev_per_atom=one.energy_rmse_mev_per_atom,
                force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
                download=None if gone or dataset_id is None else f"{api_url(dataset_id)}/archive",
                withdrawn=gone,
            )
        )
    return ModelView(
        version=event.version,
        parent=event.parent,
        published=row["published"],
        preset=event.preset,
        datasets=tuple(trained),
        contributors=event.contributors,
        files=tuple(
            ModelFileView(
                name=file.name,
                kind=file.kind,
                branch=file.branch,
                size=file.blob.size,
                sha256=file.blob.sha256,
                url=model_file_url(event.version, file.name),
            )
            for file in event.files
        ),
        branches=event.branches,
        rules=event.rules,
        checks=event.checks,
        standard_score=event.standard_score,
        wall_seconds=event.wall_seconds,
        aliases=aliases,
        standard=standard,
        parent_standard=next((one for one in before if standard and one.standard == standard.standard), None),
        children=tuple(row["children"]),
        retired=row["retired"],
        retired_reason=row["retired_reason"],
        withdrawn_branches=tuple(row["withdrawn_branches"]),
        withdrawn_ancestral_datasets=row["withdrawn_ancestral_datasets"],
        manifest=next((file.blob for file in event.files if file.kind == "manifest"), None),
        seed=event.seed,
        steps=event.steps,
        versions=event.versions,
        hardware=event.hardware,
        cost=event.cost,
    )

"""Every event by its type."""

from contracts.envelope import Attributes, Event, MalformedEvent
from contracts.events.dataset import (
    DatasetLookedInto,
    DatasetMadePublic,
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetMetricStarted,
    DatasetPublished,
    DatasetReading,
    DatasetReceiptIssued,
    DatasetRejected,
    DatasetShared,
    DatasetUploaded,
    DatasetValidated,
    DatasetWithdrawn,
    MetricRerunFinished,
    MetricRerunRequested,
    NumberCompared,
)
from contracts.events.model import (
    ModelAliased,
    ModelFile,
    ModelMarked,
    ModelPublished,
    ModelRetired,
    ModelWithheld,
    TrainedDataset,
)
from contracts.events.prediction import (
    PredictionFinished,
    PredictionRefused,
    PredictionRequested,
    PredictionStructureRead,
)
from contracts.events.standard import ModelRescored, StandardReleased
from contracts.events.training import (
    TrainingFailed,
    TrainingFinished,
    TrainingHeldUp,
    TrainingProgress,
    TrainingQueued,
    TrainingReleased,
    TrainingStarted,
)

EVENTS: tuple[type[Event], ...] = (
    DatasetUploaded,
    DatasetPublished,
    DatasetMadePublic,
    DatasetWithdrawn,
    DatasetReading,
    DatasetValidated,
    DatasetRejected,
    DatasetMetricStarted,
    DatasetMetricPassed,
    DatasetMetricNotPassed,
    MetricRerunRequested,
    MetricRerunFinished,
    TrainingQueued,
    TrainingHeldUp,
    TrainingStarted,
    TrainingProgress,
    TrainingFinished,
    TrainingFailed,
    TrainingReleased,
    ModelPublished,
    ModelWithheld,
    ModelRetired,
    ModelAliased,
    StandardReleased,
    ModelRescored,
    ModelMarked,
    DatasetReceiptIssued,
    PredictionRequested,
    PredictionStructureRead,
    PredictionRefused,
    PredictionFinished,
    DatasetShared,
    DatasetLookedInto,
)
BY_TYPE: dict[str, type[Event]] = {event.ce_type(): event for event in EVENTS}


def parse(attributes: Attributes, body: bytes) -> Event:
    """The event that these attributes announce. Raises MalformedEvent."""
    kind = BY_TYPE.get(attributes.type)
    if kind is None:
        raise MalformedEvent(f"unknown event type {attributes.type!r}")
    try:
        return kind.model_validate_json(body)
    except ValueError as error:
        raise MalformedEvent(f"body of {attributes.type} is not valid: {error}") from error


__all__ = [
    "BY_TYPE",
    "EVENTS",
    "DatasetLookedInto",
    "DatasetMadePublic",
    "DatasetMetricNotPassed",
    "DatasetMetricPassed",
    "DatasetMetricStarted",
    "DatasetPublished",
    "DatasetReading",
    "DatasetReceiptIssued",
    "DatasetRejected",
    "DatasetShared",
    "DatasetUploaded",
    "DatasetValidated",
    "DatasetWithdrawn",
    "MetricRerunFinished",
    "MetricRerunRequested",
    "ModelAliased",
    "ModelFile",
    "ModelMarked",
    "ModelPublished",
    "ModelRescored",
    "ModelRetired",
    "ModelWithheld",
    "NumberCompared",
    "PredictionFinished",
    "PredictionRefused",
    "PredictionRequested",
    "PredictionStructureRead",
    "StandardReleased",
    "TrainedDataset",
    "TrainingFailed",
    "TrainingFinished",
    "TrainingHeldUp",
    "TrainingProgress",
    "TrainingQueued",
    "TrainingReleased",
    "TrainingStarted",
    "parse",
]

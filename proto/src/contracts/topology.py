"""Who says what and who listens: the one table from which streams, consumers and permissions are made."""

from dataclasses import dataclass

from contracts.envelope import Event
from contracts.events import (
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
    ModelAliased,
    ModelMarked,
    ModelPublished,
    ModelRescored,
    ModelRetired,
    ModelWithheld,
    PredictionFinished,
    PredictionRefused,
    PredictionRequested,
    PredictionStructureRead,
    StandardReleased,
    TrainingFailed,
    TrainingFinished,
    TrainingHeldUp,
    TrainingProgress,
    TrainingQueued,
    TrainingReleased,
    TrainingStarted,
)

EVENT_STREAM = "POTLUCK"
EVENT_SUBJECTS = ("potluck.>",)
DEAD_LETTER_STREAM = "DEAD"
DEAD_LETTER_PREFIX = "dead."
# In the stream of dead letters: "handle that event once more", the number of a message of the event stream.
AGAIN_PREFIX = "again."
MAY_SAY_AGAIN = ("gateway",)

# What everybody may hear: no event here holds anything of a private dataset but that one contributed.
PUBLIC_SUBJECTS = ("potluck.model.>", "potluck.dataset.published")


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable pull consumer: every replica of `service` shares it."""

    service: str
    durable: str
    filter_subject: str
    stream: str = EVENT_STREAM
    ack_wait_seconds: float = 15.0


EMITS: dict[str, tuple[type[Event], ...]] = {
    "gateway": (
        DatasetUploaded,
        DatasetShared,
        DatasetPublished,
        DatasetMadePublic,
        DatasetWithdrawn,
        MetricRerunRequested,
        PredictionRequested,
    ),
    "ingest": (
        DatasetReading,
        DatasetValidated,
        DatasetRejected,
        DatasetLookedInto,
        PredictionStructureRead,
        PredictionRefused,
    ),
    "metric": (
        DatasetMetricStarted,
        DatasetMetricPassed,
        DatasetMetricNotPassed,
        MetricRerunFinished,
        PredictionFinished,
    ),
    "registry": (
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
        StandardReleased,
        ModelRescored,
        ModelMarked,
        DatasetReceiptIssued,
        ModelAliased,
    ),
    "trainer": (),  # speaks to the registry alone; see docs/decisions
}

_OF_EVENTS: tuple[Consumer, ...] = (
    Consumer("ingest", "ingest-dataset-uploaded", DatasetUploaded.nats_subject),
    # From the beginning of the log: datasets that were read before their frames were kept are caught up on.
    Consumer("ingest", "ingest-known-frames", DatasetUploaded.nats_subject),
    Consumer("ingest", "ingest-dataset-shared", DatasetShared.nats_subject),
    Consumer("ingest", "ingest-metric-passed", DatasetMetricPassed.nats_subject),
    Consumer("ingest", "ingest-metric-not-passed", DatasetMetricNotPassed.nats_subject),
    Consumer("ingest", "ingest-standard-released", StandardReleased.nats_subject),
    Consumer("ingest", "ingest-dataset-made-public", DatasetMadePublic.nats_subject),
    Consumer("ingest", "ingest-dataset-withdrawn", DatasetWithdrawn.nats_subject),
    Consumer("ingest", "ingest-prediction-requested", PredictionRequested.nats_subject),
    Consumer("metric", "metric-dataset-validated", DatasetValidated.nats_subject),
    Consumer("metric", "metric-rerun-requested", MetricRerunRequested.nats_subject),
    Consumer("metric", "metric-prediction-structure-read", PredictionStructureRead.nats_subject),
    Consumer("registry", "registry-dataset-metric-passed", DatasetMetricPassed.nats_subject),
    Consumer("registry", "registry-dataset-made-public", DatasetMadePublic.nats_subject),
    Consumer("registry", "registry-dataset-withdrawn", DatasetWithdrawn.nats_subject),
    Consumer("gateway", "gateway-events", "potluck.>"),
)

CONSUMERS: tuple[Consumer, ...] = (
    *_OF_EVENTS,
    Consumer("gateway", "gateway-dead-letters", f"{DEAD_LETTER_PREFIX}>", stream=DEAD_LETTER_STREAM),
    *(
        Consumer(one.service, f"{one.durable}-again", f"{AGAIN_PREFIX}{one.durable}", stream=DEAD_LETTER_STREAM)
        for one in _OF_EVENTS
    ),
)


def consumer(durable: str) -> Consumer:
    """The consumer of that name. Raises KeyError."""
    return {one.durable: one for one in CONSUMERS}[durable]


def is_public(subject: str) -> bool:
    """Whether events on that subject may be heard outside."""
    return any(
        subject.startswith(one.removesuffix(">")) if one.endswith(">") else subject == one for one in PUBLIC_SUBJECTS
    )

"""Who says what and who listens: the one table from which streams, consumers and permissions are made."""

from dataclasses import dataclass

from contracts.envelope import Event
from contracts.events import (
    DatasetMetricNotPassed,
    DatasetMetricPassed,
    DatasetMetricStarted,
    DatasetReading,
    DatasetReceiptIssued,
    DatasetRejected,
    DatasetUploaded,
    DatasetValidated,
    MetricRerunFinished,
    MetricRerunRequested,
    ModelMarked,
    ModelPublished,
    ModelRescored,
    ModelRetired,
    ModelWithheld,
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


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable pull consumer: every replica of `service` shares it."""

    service: str
    durable: str
    filter_subject: str
    stream: str = EVENT_STREAM
    ack_wait_seconds: float = 15.0


EMITS: dict[str, tuple[type[Event], ...]] = {
    "gateway": (DatasetUploaded, MetricRerunRequested),
    "ingest": (DatasetReading, DatasetValidated, DatasetRejected),
    "metric": (DatasetMetricStarted, DatasetMetricPassed, DatasetMetricNotPassed, MetricRerunFinished),
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
    ),
    "trainer": (),  # speaks to the registry alone; see docs/decisions
}

CONSUMERS: tuple[Consumer, ...] = (
    Consumer("ingest", "ingest-dataset-uploaded", DatasetUploaded.nats_subject),
    # From the beginning of the log: datasets that were read before their frames were kept are caught up on.
    Consumer("ingest", "ingest-known-frames", DatasetUploaded.nats_subject),
    Consumer("ingest", "ingest-metric-passed", DatasetMetricPassed.nats_subject),
    Consumer("ingest", "ingest-metric-not-passed", DatasetMetricNotPassed.nats_subject),
    Consumer("ingest", "ingest-standard-released", StandardReleased.nats_subject),
    Consumer("metric", "metric-dataset-validated", DatasetValidated.nats_subject),
    Consumer("metric", "metric-rerun-requested", MetricRerunRequested.nats_subject),
    Consumer("registry", "registry-dataset-metric-passed", DatasetMetricPassed.nats_subject),
    Consumer("gateway", "gateway-events", "potluck.>"),
    Consumer("gateway", "gateway-dead-letters", f"{DEAD_LETTER_PREFIX}>", stream=DEAD_LETTER_STREAM),
)


def consumer(durable: str) -> Consumer:
    """The consumer of that name. Raises KeyError."""
    return {one.durable: one for one in CONSUMERS}[durable]

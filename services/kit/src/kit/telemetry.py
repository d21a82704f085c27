"""OpenTelemetry: one trace from the upload's HTTP request to the published model.

Nothing leaves the machine unless OTEL_EXPORTER_OTLP_ENDPOINT is set; `traces_file` keeps spans in a file.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

MAX_FILE_BYTES = 64 << 20
_propagator = TraceContextTextMapPropagator()


class FileExporter(SpanExporter):
    """Appends spans as JSON lines; one older file is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._path.exists() and self._path.stat().st_size > MAX_FILE_BYTES:
            self._path.replace(self._path.with_suffix(".1.jsonl"))
        lines = "".join(f"{span.to_json(indent=None)}\n" for span in spans)
        # One write with O_APPEND: several processes may share the file.
        descriptor = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o640)
        try:
            os.write(descriptor, lines.encode())
        finally:
            os.close(descriptor)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is held open between writes."""


def configure(service: str, traces_file: Path | None) -> TracerProvider:
    """Set the process's tracer provider. Call once, and `shutdown()` it to flush."""
    provider = TracerProvider(resource=Resource.create({"service.name": service, "process.pid": os.getpid()}))
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        # Imported here because the exporter costs 100 ms and most installations have no collector.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    elif traces_file is not None:
        provider.add_span_processor(BatchSpanProcessor(FileExporter(traces_file), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    return provider


def current_traceparent() -> str | None:
    """W3C `traceparent` of the current span, to store beside what will continue it."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def remote_parent(traceparent: str | None) -> Iterator[None]:
    """Spans started inside continue the trace of `traceparent`."""
    carrier = {"traceparent": traceparent} if traceparent else {}
    token = context.attach(_propagator.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)

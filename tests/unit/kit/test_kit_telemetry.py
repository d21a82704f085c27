"""A trace goes on from a stored `traceparent`."""

import json
from pathlib import Path

from kit.telemetry import FileExporter, current_traceparent, remote_parent
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


def test_a_stored_parent_is_continued(tmp_path: Path) -> None:
    file = tmp_path / "traces" / "spans.jsonl"
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileExporter(file)))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("upload"):
        stored = current_traceparent()
    with remote_parent(stored), tracer.start_as_current_span("train"):
        pass
    spans = {span["name"]: span for span in map(json.loads, file.read_text().splitlines())}
    assert spans["train"]["context"]["trace_id"] == spans["upload"]["context"]["trace_id"]
    assert spans["train"]["parent_id"] == spans["upload"]["context"]["span_id"]


def test_without_a_span_there_is_nothing_to_store() -> None:
    assert current_traceparent() is None
    with remote_parent(None):
        assert current_traceparent() is None

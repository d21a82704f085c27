"""Metric reports: what is kept of one for pages, and the whole of it as anyone who sees the dataset may read it."""

import json
from collections import Counter
from typing import Any

from contracts.artifacts import FrameVerdict, MetricReport
from contracts.base import DatasetRef

from gateway.stores.projections import ReportFacts
from gateway.views.datasets import ReportSummary

FRAMES_SHOWN = 25
# Where things lie in our storage is nobody's business, and those objects are not the reader's to have.
INTERNAL = ("dataset_manifest", "model_manifest")
_GRAVITY = {"failed": 0, "suspect": 1}


def picture_url(ref: DatasetRef, name: str) -> str:
    return f"/api/v1/datasets/{ref.dataset_id}/pictures/{name}?version={ref.version}"


def table_url(ref: DatasetRef, name: str) -> str:
    return f"/api/v1/datasets/{ref.dataset_id}/tables/{name}?version={ref.version}"


def report_url(ref: DatasetRef) -> str:
    return f"/api/v1/datasets/{ref.dataset_id}/metric?version={ref.version}"


def facts_of(report: MetricReport) -> ReportFacts:
    """A report may judge 100,000 frames: pages show the worst few, the tables have them all."""
    summary = ReportSummary(
        frames_judged=report.frames_judged,
        threshold_ev_per_angstrom=report.threshold_ev_per_angstrom,
        checks=report.checks,
        branches=report.branches,
        verdicts=dict(Counter(one.verdict for one in report.verdicts)),
        frames=worst(report.verdicts),
        new_element_pairs=report.new_element_pairs,
        novelty=report.novelty,
        learning_gain=report.learning_gain,
        seed=report.seed,
        device=report.device,
    )
    return ReportFacts(
        pictures={name: ref.model_dump(mode="json") for name, ref in report.pictures.items()},
        tables={name: ref.model_dump(mode="json") for name, ref in report.tables.items()},
        summary=summary.model_dump(mode="json"),
    )


def worst(verdicts: tuple[FrameVerdict, ...]) -> tuple[FrameVerdict, ...]:
    """Failed frames first, then suspect ones, each in their order."""
    bad = [one for one in verdicts if one.verdict in _GRAVITY]
    return tuple(sorted(bad, key=lambda one: _GRAVITY[one.verdict])[:FRAMES_SHOWN])


def readable(stored: bytes, ref: DatasetRef) -> bytes:
    """The stored report with addresses instead of places in storage."""
    report: dict[str, Any] = json.loads(stored)
    for member in INTERNAL:
        report.pop(member, None)
    for member, url in (("pictures", picture_url), ("tables", table_url)):
        report[member] = {
            name: {"url": url(ref, name), "sha256": blob["sha256"], "size": blob["size"]}
            for name, blob in report.get(member, {}).items()
        }
    return json.dumps(report, ensure_ascii=False).encode()

"""What happened to a dataset, from the facts of its read tables; its versions."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from kit.queries import Row

from gateway.entries import assemble
from gateway.views.datasets import DatasetView
from gateway.views.past import Happening, VersionView


def version_view(row: Row) -> VersionView:
    """Of a row of the query `versions`."""
    return VersionView(
        version=row["version"],
        url=f"{assemble.dataset_url(row['dataset_id'])}?version={row['version']}",
        created=row["created"],
        private=row["private"],
        size=row["archive_size"],
        stage=row["stage"],
        state=row["state"],
        verdict=row["verdict"],
        frames=row["frames"],
    )


def activity(row: Row, view: DatasetView, models: Sequence[Row]) -> tuple[Happening, ...]:
    """Newest first. `row`: of the query `entries`; `models`: versions that trained on it, with their time."""
    found = [Happening(at=at, what=what, detail=detail) for at, what, detail in _facts(row, view, models) if at]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True))


def _facts(row: Row, view: DatasetView, models: Sequence[Row]) -> Iterator[tuple[datetime | None, Any, str]]:
    yield view.created, "uploaded", ""
    if row["validated"] is not None:
        yield row["validated_at"], "read", str(row["validated"]["frames"])
    if row["rejected"] is not None:
        yield row["last_event"], "rejected", ""
    yield row["metric_started_at"], "checking", ""
    if row["metric"] is not None:
        yield row["metric_at"], row["metric"]["outcome"], ""
    if row["queued_at"] is not None:
        yield row["queued_at"], "queued", ""
    for model in models:
        yield model["published"], "trained", model["version"]
    yield view.made_public, "made-public", ""
    yield view.withdrawn, "withdrawn", ""

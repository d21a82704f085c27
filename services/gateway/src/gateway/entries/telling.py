"""What watchers of a dataset are told: a row of its log, and a NOTIFY."""

import json
from collections.abc import Iterable
from typing import Any

from contracts.base import DatasetRef
from kit.queries import Connection

from gateway.entries.datasets import views_of
from gateway.store import Store
from gateway.views.datasets import DatasetView

ALWAYS = frozenset({"stage", "state", "verdict", "held_up", "message", "model", "reading"})


async def tell(
    store: Store,
    connection: Connection,
    ref: DatasetRef,
    sections: Iterable[str] = (),
    point_step: int | None = None,
) -> bool:
    """Log the dataset's members as they are now. False for an entry that this installation does not have."""
    if ref not in await store.entries.rows(connection, [ref]):
        return False
    # As a stranger would see it: everybody who watches reads the same log.
    (view,) = await views_of(store, connection, [ref])
    await store.projections.append_log(connection, ref, json.dumps(change(view, sections, point_step)))
    await store.projections.notify(connection, str(ref))
    return True


def change(view: DatasetView, sections: Iterable[str], point_step: int | None) -> dict[str, Any]:
    """Members of the dataset's JSON that replace what a watcher has; `point` joins its curve by step."""
    data = view.model_dump(mode="json", include={*ALWAYS, *sections})
    if view.training is not None and data.get("training"):
        curve = data["training"].pop("curve")
        if point_step is None:
            # After a resumption points may have gone: the whole curve again.
            data["training"]["curve"] = curve
        else:
            data["point"] = next((point for point in curve if point["step"] == point_step), None)
    return data

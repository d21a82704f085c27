"""A dataset kept up to date from the server's stream: a snapshot, then members that replace what was there."""

import json
from collections.abc import Mapping
from typing import Any

from potluck.decode import decode
from potluck.errors import UnexpectedAnswer
from potluck.resources import Dataset
from potluck.sse import ServerEvent


class LiveDataset:
    """`known`: the dataset's JSON as last seen."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = dict(known)

    @property
    def now(self) -> Dataset:
        return decode(Dataset, self._known, "dataset")

    def take(self, event: ServerEvent) -> None:
        """Applies one event; kinds that a newer server added change nothing. Raises UnexpectedAnswer."""
        if event.event not in ("snapshot", "update"):
            return
        try:
            told = json.loads(event.data)
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise UnexpectedAnswer("the live stream holds something else than JSON objects", where=event.event)
        if event.event == "snapshot":
            self._known = told
        else:
            self._update(told)

    def _update(self, told: dict[str, Any]) -> None:
        point = told.pop("point", None)
        before = self._known.get("training") or {}
        self._known |= told
        training = self._known.get("training")
        if training is None:
            return
        # An update leaves the curve out when a single point says what is new.
        curve = training["curve"] if "curve" in training else before.get("curve", [])
        if point is not None:
            curve = sorted(
                [*(one for one in curve if one["step"] != point["step"]), point], key=lambda one: one["step"]
            )
        self._known["training"] = training | {"curve": curve}

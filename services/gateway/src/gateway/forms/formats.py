"""The formats that ingest can read, as it wrote them down when it started."""

import time

from contracts import keys
from contracts.artifacts import FormatCatalog
from kit.blobs import BlobMissing, Blobs

from gateway.forms.drafts import DETECT
from gateway.problems import Problem

FRESH_SECONDS = 30.0


class Formats:
    """Read from storage, and again when the copy is no longer fresh."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._catalog: FormatCatalog | None = None
        self._read_at = 0.0

    async def catalog(self) -> FormatCatalog:
        """Raises Problem 503 when ingest has never started."""
        if self._catalog is None or time.monotonic() - self._read_at > FRESH_SECONDS:
            try:
                self._catalog = await self._blobs.get_model(keys.FORMAT_CATALOG, FormatCatalog)
            except BlobMissing:
                raise Problem(
                    503,
                    "formats-not-ready",
                    "Not quite ready",
                    "The list of formats is not there yet: the service that reads archives is starting.",
                    remedy="Try again in a minute.",
                    headers={"retry-after": "10"},
                ) from None
            self._read_at = time.monotonic()
        return self._catalog

    async def by_name(self) -> dict[str, str]:
        """Every name and alias → dpdata's name. Empty while the list is not there: 'detect' still works."""
        try:
            catalog = await self.catalog()
        except Problem:
            return {}
        known = {alias: one.name for one in catalog.formats for alias in one.aliases}
        return known | {one.name: one.name for one in catalog.formats if one.name != DETECT}

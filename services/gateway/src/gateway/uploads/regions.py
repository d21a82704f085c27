"""Where archives lie: the storage that all services share, and a store for each region."""

from dataclasses import dataclass

from contracts.base import BlobRef
from kit.blobs import BlobMissing, Blobs
from kit.logs import get_logger

from gateway.problems import invalid_field
from gateway.settings import GatewaySettings

log = get_logger(__name__)

HOME = "home"
UPLOADS_PATH = "/api/v1/uploads"
PROBE_PATH = "/api/v1/regions/probe"


@dataclass(frozen=True, slots=True)
class Region:
    """`address`: scheme and host of its gateway, none for this one. `apart`: a store of its own."""

    id: str
    title: str
    address: str | None
    store: Blobs
    apart: bool
    here: bool
    """This process takes its uploads."""

    @property
    def probe_url(self) -> str:
        return f"{self.address or ''}{PROBE_PATH}"


class Regions:
    """Of settings. An archive lies in its region's store, and a copy where the other services read it: its mirror."""

    def __init__(self, settings: GatewaySettings, home: Blobs) -> None:
        self._home = home
        told = settings.regions
        own = settings.region or (told[0].id if told else HOME)
        found = [
            Region(
                id=one.id,
                title=one.title,
                address=None if one.id == own else one.upload_url,
                store=home if one.store_url == settings.blobs_url else Blobs(one.store_url),
                apart=one.store_url != settings.blobs_url,
                here=one.id == own,
            )
            for one in told
        ]
        self.all = tuple(found) or (Region(HOME, "Potluck", None, home, apart=False, here=True),)
        self._known = {one.id: one for one in self.all}
        self.own = self._known[own]

    @property
    def default(self) -> Region:
        """Where no script measured and nobody chose."""
        return self.all[0]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Other origins that our pages talk to."""
        return tuple(dict.fromkeys(one.address for one in self.all if one.address))

    def chosen(self, region_id: str | None) -> Region:
        """Raises Problem 422 for one that there is not."""
        if not region_id:
            return self.default
        if region_id not in self._known:
            raise invalid_field(
                "region", "There is no such region.", f"Choose one of {', '.join(self._known)}, or leave it out."
            )
        return self._known[region_id]

    def of(self, region_id: str | None) -> Region:
        """The region that an upload or entry remembers; one that is no more is the default, whose bytes have a copy."""
        return self._known.get(region_id or "", self.default)

    async def holding(self, blob: BlobRef, region_id: str | None) -> Blobs:
        """The store to read from: the region's when it has the object whole, else its mirror."""
        region = self.of(region_id)
        if region.apart:
            try:
                if await region.store.size(blob.key) == blob.size:
                    return region.store
            except BlobMissing:
                pass  # e.g. a copy from which something was left out lies in the mirror alone
            except Exception as error:  # whatever keeps a far store from answering, the mirror serves
                log.warning("region-store-failed", region=region.id, key=blob.key, error=repr(error))
        return self._home

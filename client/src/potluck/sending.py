"""Sending an archive, as one upload or in parts side by side, whatever a run before this one began."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from potluck.parallel import ParallelSender, cut
from potluck.pending import Archive, Part, PendingUploads
from potluck.transport import Transport
from potluck.tus import Endpoint, FileHash, PartSender, Report


@dataclass(frozen=True, slots=True)
class SentArchive:
    """An archive that the server holds completely."""

    upload_id: str
    sha256: str


class Sender:
    """Sends one archive, so that this program may be stopped and started again.

    `report(sent, total)` is called in bytes as they leave.
    """

    def __init__(
        self,
        transport: Transport,
        pending: PendingUploads,
        archive: Archive,
        report: Report,
        region: str | None = None,
        parallel: int = 1,
    ) -> None:
        self._transport = transport
        self._pending = pending
        self._archive = archive
        self._report = report
        self._metadata = {"filename": archive.path.name} | ({"region": region} if region else {})
        self._parallel = parallel

    def send(self) -> SentArchive:
        """In as many parts as it was begun with, here or in another process. Raises Problem, Unreachable, Corrupt,
        LocalFileError."""
        found = self._pending.find(self._transport.server, self._archive)
        spans = () if found else cut(self._transport, self._archive.size, self._parallel)
        if len(found or spans) > 1:
            several = ParallelSender(self._transport, self._pending, self._archive, self._report, self._metadata)
            upload, sha256 = several.send(found, spans, self._parallel)
        else:
            upload, sha256 = self._as_one(found[0].upload if found else None)
        self._archive.unchanged()
        return SentArchive(urlsplit(upload).path.rstrip("/").rsplit("/", 1)[-1], sha256)

    def _as_one(self, upload: str | None) -> tuple[str, str]:
        """Its address and SHA-256."""
        endpoint, size, digest = Endpoint(self._transport), self._archive.size, FileHash(self._archive)
        offset = endpoint.offset(upload, size) if upload else None
        if upload is None or offset is None:
            upload, offset = endpoint.create(size, self._metadata), 0
        part = Part(upload, 0, size)
        self._pending.remember(self._transport.server, self._archive, [part])
        sender = PartSender(
            self._transport, self._archive, part, lambda sent: self._report(sent, size), taken=digest.extend
        )
        sender.send(offset)
        self._archive.unchanged()
        digest.read_to(size)
        return upload, digest.hexdigest()

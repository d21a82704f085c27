"""One archive by several connections: parts are uploads of their own (tus: concatenation), which the server joins.

For lines on which one connection is slow. The SHA-256 is that of the whole, read from the file beside the sending.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from uuid import uuid4

from potluck import stopping
from potluck.errors import PotluckError, Problem, UnexpectedAnswer
from potluck.pending import Archive, Part, PendingUploads
from potluck.transport import Transport
from potluck.tus import TUS, Endpoint, FileHash, PartSender, Report

PART_BYTES = 32 << 20
"""Smaller parts would win less than they cost."""
JOIN_LOOK_SECONDS = 1.0
Span = tuple[int, int]


def cut(transport: Transport, size: int, connections: int) -> tuple[Span, ...]:
    """(start, size) of each part; none where one connection is enough, or the server knows no parts."""
    count = min(connections, size // PART_BYTES)
    if count < 2:
        return ()
    try:
        able = transport.request("OPTIONS", "uploads", headers=TUS).headers
    except Problem:
        return ()
    # What is too large is told by the answer to a whole upload, before anything is sent.
    if "concatenation" not in able.get("Tus-Extension", "").split(",") or size > int(able.get("Tus-Max-Size", size)):
        return ()
    edges = [size * number // count for number in range(count + 1)]
    return tuple((start, end - start) for start, end in pairwise(edges))


class ParallelSender:
    """Sends one archive in parts side by side; each goes on where the server has it."""

    def __init__(
        self,
        transport: Transport,
        pending: PendingUploads,
        archive: Archive,
        report: Report,
        metadata: Mapping[str, str],
    ) -> None:
        self._transport = transport
        self._endpoint = Endpoint(transport)
        self._pending = pending
        self._archive = archive
        self._report = report
        self._metadata = metadata
        self._digest = FileHash(archive)
        self._lock = threading.Lock()
        self._sent: dict[int, int] = {}

    def send(self, found: Sequence[Part], spans: Sequence[Span], at_once: int) -> tuple[str, str]:
        """Address and SHA-256 of the joined upload. `found`: parts of an earlier run; `spans`: of a new one."""
        parts = list(found) or self._begin(spans)
        if not self._is_joined(parts):
            parts, offsets = self._standing(parts)
            senders = [
                lambda part=part, offset=offset: self._sender(part).send(offset)
                for part, offset in zip(parts, offsets, strict=True)
            ]
            for part, offset in zip(parts, offsets, strict=True):
                self._sent[part.start] = offset
            stopping.side_by_side([self._hash, *senders], at_once + 1)
            self._archive.unchanged()
            self._join(parts)
        self._hash()
        self._wait(parts[0].upload)
        return parts[0].upload, self._digest.hexdigest()

    def _begin(self, spans: Sequence[Span]) -> list[Part]:
        parts: list[Part] = []
        try:
            for number, (start, size) in enumerate(spans, 1):
                parts.append(Part(self._new(number, len(spans), size), start, size))
        except PotluckError:
            for one in parts:
                self._give_up(one)
            raise
        self._pending.remember(self._transport.server, self._archive, parts)
        return parts

    def _new(self, number: int, count: int, size: int) -> str:
        metadata = {**self._metadata, "part": f"{number}/{count}"}
        return self._endpoint.create(size, metadata, {"Upload-Concat": "partial"})

    def _give_up(self, part: Part) -> None:
        try:
            self._transport.request("DELETE", part.upload, headers=TUS)
        except PotluckError:
            return  # it expires by itself

    def _is_joined(self, parts: Sequence[Part]) -> bool:
        """By a run that ended before it could publish."""
        headers = self._endpoint.head(parts[0].upload)
        return headers is not None and headers.get("Upload-Concat", "").startswith("final;")

    def _standing(self, parts: Sequence[Part]) -> tuple[list[Part], list[int]]:
        """The parts, begun anew where the server has lost one, and what it holds of each."""
        now, offsets = list(parts), []
        for place, one in enumerate(parts):
            offset = self._endpoint.offset(one.upload, one.size)
            if offset is None:
                now[place] = replace(one, upload=self._new(place + 1, len(parts), one.size))
            offsets.append(offset or 0)
        if now != list(parts):
            self._pending.remember(self._transport.server, self._archive, now)
        return now, offsets

    def _sender(self, part: Part) -> PartSender:
        return PartSender(self._transport, self._archive, part, lambda sent: self._tell(part.start, sent))

    def _tell(self, start: int, sent: int) -> None:
        with self._lock:
            self._sent[start] = sent
            self._report(sum(self._sent.values()), self._archive.size)

    def _hash(self) -> None:
        self._digest.read_to(self._archive.size)

    def _join(self, parts: Sequence[Part]) -> None:
        headers = TUS | {"Upload-Concat": "final;" + " ".join(one.upload for one in parts)}
        # Joining what is joined is harmless: it may be asked again.
        self._transport.request("POST", "uploads", headers=headers, idempotency_key=uuid4().hex)

    def _wait(self, upload: str) -> None:
        """Until the server has put the parts together: it tells no offset before."""
        patience = self._transport.new_patience()
        while (headers := self._endpoint.head(upload)) is None or "Upload-Offset" not in headers:
            if headers is None:
                raise UnexpectedAnswer(
                    "the server no longer knows this upload",
                    where=str(self._archive.path),
                    remedy="Run the same command again: it starts a new one.",
                )
            patience.progressed()
            patience.wait(JOIN_LOOK_SECONDS)
        self._report(self._archive.size, self._archive.size)

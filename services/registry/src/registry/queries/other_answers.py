"""Answers that are made anew each time: rounds, which branch for a structure, signed addresses, changes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from contracts.registry.v1 import registry_pb2 as registry
from google.protobuf.message import Message
from kit.blobs import Blobs
from kit.db import Database
from kit.signed_urls import signed_url
from pydantic import SecretStr

from registry.domain.refusals import InvalidField, NotOffered, UnknownResource
from registry.domain.resolving import Asked, Ranked, asked_of_elements, asked_of_structure, atoms_of, rank
from registry.queries import wire
from registry.queries.answers import Answers, View, listed
from registry.queries.branch_facts import BranchFacts
from registry.queries.pages import LARGEST_PAGE, before_of, numbered, size_of
from registry.queries.watching import Watcher
from registry.store import Store

DEFAULT_RANKED = 10
READ_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Downloads:
    """How addresses of files are signed. `site`, `secret`: by us, for the gateway there; none: by the store itself."""

    site: str | None
    secret: SecretStr | None
    seconds: int
    most_seconds: int


class OtherAnswers:
    """Beside `Answers`."""

    def __init__(
        self,
        answers: Answers,
        database: Database,
        store: Store,
        facts: BranchFacts,
        blobs: Blobs,
        downloads: Downloads,
    ) -> None:
        self._answers = answers
        self._database = database
        self._store = store
        self._facts = facts
        self._blobs = blobs
        self._downloads = downloads
        self.answers: dict[str, tuple[type[Message], Callable[[Any], Awaitable[Message]]]] = {
            "ListRounds": (registry.ListRoundsRequest, self.list_rounds),
            "Resolve": (registry.ResolveRequest, self.resolve),
            "SignDownloads": (registry.SignDownloadsRequest, self.sign_downloads),
        }

    async def list_rounds(self, request: registry.ListRoundsRequest) -> Message:
        size = size_of(request.page_size)
        before = before_of(request.page_token, "ListRounds")
        async with self._database.transaction() as conn:
            rounds = await self._store.rounds(conn, before, size + 1)
        shown = rounds[:size]
        after = numbered("ListRounds", shown[-1].round.sequence) if len(rounds) > size else ""
        return registry.ListRoundsResponse(rounds=[wire.to_round(one) for one in shown], next_page_token=after)

    # Resolve

    async def resolve(self, request: registry.ResolveRequest) -> Message:
        asked = await self._asked(request)

        async def ask(view: View) -> Message:
            model = await view.model(request.version_or_alias or "latest")
            candidates = await self._facts.candidates(model)
            ranked = rank(candidates, asked)
            published = await self._facts.published(model)
            known = {one.branch.name: one for one in model.branches}
            shown = ranked[: min(request.max_branches or DEFAULT_RANKED, LARGEST_PAGE)]
            out = all(one.reasons for one in ranked)
            return registry.ResolveResponse(
                version=model.version,
                branches=[wire.to_ranked(one, wire.to_branch(known[one.name], published)) for one in shown],
                out_of_domain=out,
                reasons=_why_all(ranked, model.version) if out else (),
                private_branches=len(model.branches) - len(candidates),
                elements=asked.elements,
            )

        _, message = await self._answers.at_one_revision(ask)
        found: Message = message
        return found

    async def _asked(self, request: registry.ResolveRequest) -> Asked:
        kind = request.WhichOneof("asked")
        if kind is None:
            raise InvalidField("asked", "nothing was asked for: send elements, or a structure")
        if kind == "elements":
            return asked_of_elements(request.elements.symbols, request.elements.numbers)
        one = request.structure
        # Atoms are looked at on a thread: 100,000 of them take seconds, and others are to be answered meanwhile.
        async with self._facts.threads:
            return await asyncio.to_thread(_structure, one)

    # Downloads

    async def sign_downloads(self, request: registry.SignDownloadsRequest) -> Message:
        seconds = self._seconds(request)

        async def ask(view: View) -> Message:
            model = await view.model(request.version_or_alias)
            files = {file.name: file for file in model.files}
            for name in request.names:
                if name not in files:
                    text = f"version {model.version} has no file {name[:100]!r}; it has {listed(files)}"
                    raise UnknownResource("file", name[:100], text)
            expires = int(time.time()) + seconds
            response = registry.SignDownloadsResponse(version=model.version)
            for name in dict.fromkeys(request.names) or files:
                blob = files[name].blob
                one = response.downloads.add(name=name, sha256=blob.sha256, size=blob.size)
                one.url = await self._signed(blob.key, expires, seconds)
                one.expires.FromSeconds(expires)
            return response

        _, message = await self._answers.at_one_revision(ask)
        found: Message = message
        return found

    def _seconds(self, request: registry.SignDownloadsRequest) -> int:
        if not request.HasField("lifetime"):
            return self._downloads.seconds
        seconds, most = request.lifetime.seconds, self._downloads.most_seconds
        if not 1 <= seconds <= most:
            raise InvalidField("lifetime", f"lifetime is {seconds} s; an address works from 1 s to {most} s")
        return seconds

    async def _signed(self, key: str, expires: int, seconds: int) -> str:
        if self._downloads.site is not None and self._downloads.secret is not None:
            return signed_url(self._downloads.site, key, expires, self._downloads.secret)
        url = await self._blobs.presigned(key, seconds)
        if url is None:
            raise NotOffered(
                "this registry signs no addresses: its operator sets download_url and download_secret, or a store that "
                "signs by itself; until then files are at the site, on the page of the version"
            )
        return url

    # Watch

    async def watched(self, request: registry.WatchRequest, watcher: Watcher) -> AsyncIterator[registry.WatchResponse]:
        """What happened after the position, then what happens; ends when the registry stops or the reader lags."""
        now = (await self._answers.catalogue.current()).index.revision
        position = 0 if request.from_start else request.after_position or now
        if position > now:
            raise InvalidField(
                "after_position", f"after_position is {position}, and the newest is {now}: it is of another registry"
            )
        while position < now and not watcher.ended:
            async with self._database.transaction() as conn:
                missed = await self._store.changes(conn, position, READ_AT_ONCE)
            for change in missed:
                yield wire.to_change(change)
                position = change.position
            if len(missed) < READ_AT_ONCE:
                break
        position = max(position, now)
        yield registry.WatchResponse(position=position, kind=registry.CHANGE_KIND_CURRENT)
        while (news := await watcher.next()) is not None:
            if news.position > position:
                yield wire.to_change(news)
                position = news.position


def _structure(one: registry.Structure) -> Asked:
    positions = np.fromiter(one.positions, dtype=np.float64, count=len(one.positions))
    cell = np.fromiter(one.cell, dtype=np.float64, count=len(one.cell))
    return asked_of_structure(*atoms_of(one.symbols, one.numbers, positions, cell))


def _why_all(ranked: list[Ranked], version: str) -> list[registry.DomainReason]:
    if ranked:
        return [wire.to_reason(reason) for reason in ranked[0].reasons]
    return [registry.DomainReason(sentence=f"No branch of version {version} has public elements.")]

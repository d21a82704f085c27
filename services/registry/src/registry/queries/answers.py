"""Questions of anyone, answered: messages in, messages out. What a caller got wrong is a RegistryError.

Answers that depend on one revision of the catalogue alone are kept (`Answers.encoded`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from contracts.registry.v1 import registry_pb2 as registry
from google.protobuf.message import Message

from registry.domain.refusals import InvalidField, TookTooLong, UnknownResource
from registry.domain.rounds import Model
from registry.queries import wire
from registry.queries.branch_facts import BranchFacts
from registry.queries.catalogue import Catalogue, Moved, Snapshot
from registry.queries.masks import keep, tree_of
from registry.queries.pages import LARGEST_PAGE, Place, before_of, numbered, page, place_of, size_of
from registry.queries.together import Together
from registry.store import Store
from registry.stores.queries import Index

Made = TypeVar("Made")

TRIES = 20
NAMED = 10
"""Names that an error lists."""


@dataclass(frozen=True, slots=True)
class View:
    """The catalogue at one revision, and a way to read of it what is not in memory."""

    index: Index
    read: Callable[[Sequence[str]], Awaitable[list[Model]]]
    connection: Callable[[], AbstractAsyncContextManager[Any]]

    def version(self, asked: str) -> str:
        """The version that a number or an alias names. Raises InvalidField, UnknownResource."""
        if not asked:
            raise InvalidField(
                "version_or_alias", "version_or_alias is empty; ask for a version like '1.0' or for 'latest'"
            )
        alias = self.index.aliases.get(asked)
        version = asked if alias is None else alias.version
        if version not in self.index.versions:
            raise UnknownResource("model", asked[:100], f"there is no model {asked[:100]!r}; {self._models()}")
        return version

    async def model(self, asked: str) -> Model:
        return (await self.read([self.version(asked)]))[0]

    def _models(self) -> str:
        if not self.index.versions:
            return "nothing was published yet"
        versions, aliases = listed(self.index.versions), listed(self.index.aliases)
        return f"there are {versions}" + (f", and the aliases {aliases}" if aliases else "")


def listed(names: Sequence[str] | dict[str, Any]) -> str:
    first = list(names)[:NAMED]
    more = len(names) - len(first)
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")


Answer = Callable[[View, Any], Awaitable[Message]]


class Answers:
    """One for all listeners of a process."""

    def __init__(self, catalogue: Catalogue, store: Store, facts: BranchFacts) -> None:
        self.catalogue = catalogue
        self._store = store
        self._facts = facts
        self._together: tuple[Snapshot, Together[Model]] | None = None
        self.answers: dict[str, tuple[type[Message], Answer]] = {
            "GetModel": (registry.GetModelRequest, self.get_model),
            "ListModels": (registry.ListModelsRequest, self.list_models),
            "GetLineage": (registry.GetLineageRequest, self.get_lineage),
            "ListAliasMoves": (registry.ListAliasMovesRequest, self.list_alias_moves),
            "GetBranch": (registry.GetBranchRequest, self.get_branch),
            "ListBranches": (registry.ListBranchesRequest, self.list_branches),
            "GetAlias": (registry.GetAliasRequest, self.get_alias),
            "ListAliases": (registry.ListAliasesRequest, self.list_aliases),
            "ListScores": (registry.ListScoresRequest, self.list_scores),
            "ListContributors": (registry.ListContributorsRequest, self.list_contributors),
        }

    def kept(self, method: str, request: bytes) -> bytes | None:
        """The answer that was given to the same question of the newest revision, if it is known to be the newest."""
        snapshot = self.catalogue.believed()
        return None if snapshot is None else snapshot.kept(method, request)

    async def encoded(self, method: str, request: bytes, parsed: Message, *, trusting: bool) -> bytes:
        """The answer to a question of `answers`, and keep it. `trusting`: of what was the newest a moment ago."""
        answer = self.answers[method][1]
        snapshot, message = await self.at_one_revision(lambda view: answer(view, parsed), trusting=trusting)
        data: bytes = message.SerializeToString()
        snapshot.keep(method, request, data)
        return data

    async def at_one_revision(
        self, ask: Callable[[View], Awaitable[Any]], *, trusting: bool = False
    ) -> tuple[Snapshot, Any]:
        """What `ask` answers of the newest revision; asked again when that changes meanwhile."""
        for attempt in range(TRIES):
            believed = self.catalogue.believed() if trusting and attempt == 0 else None
            snapshot = believed or await self.catalogue.current()
            try:
                return snapshot, await ask(self._view(snapshot))
            except Moved:
                continue
        raise TookTooLong("the registry's catalogue changes faster than it can be read; try again")

    def _view(self, snapshot: Snapshot) -> View:
        async def several(versions: Sequence[str]) -> list[Model]:
            async with self.catalogue.reading(snapshot) as conn:
                return await self._store.described(conn, snapshot.index, versions)

        if self._together is None or self._together[0] is not snapshot:
            self._together = (snapshot, Together(several))
        together = self._together[1]

        async def read(versions: Sequence[str]) -> list[Model]:
            return [await together.one(versions[0])] if len(versions) == 1 else await several(versions)

        return View(snapshot.index, read, lambda: self.catalogue.reading(snapshot))

    # Models

    async def get_model(self, view: View, request: registry.GetModelRequest) -> Message:
        tree = tree_of(request.read_mask, registry.Model.DESCRIPTOR)
        message = wire.to_model(await view.model(request.version_or_alias))
        keep(message, tree)
        return registry.GetModelResponse(model=message)

    async def list_models(self, view: View, request: registry.ListModelsRequest) -> Message:
        tree = tree_of(request.read_mask, registry.Model.DESCRIPTOR)
        start = place_of(request.page_token, "ListModels") or Place("ListModels")
        versions, token = page(list(view.index.versions), size_of(request.page_size), start, str)
        models = [wire.to_model(model) for model in await view.read(versions)]
        for one in models:
            keep(one, tree)
        return registry.ListModelsResponse(models=models, next_page_token=token)

    async def get_lineage(self, view: View, request: registry.GetLineageRequest) -> Message:
        tree = tree_of(request.read_mask, registry.Model.DESCRIPTOR)
        start = self._start(view, "GetLineage", request.version_or_alias, request.page_token)
        line, version = [], view.index.versions.get(start.version)
        while version is not None:
            line.append(version.version)
            version = view.index.versions.get(version.parent or "")
        versions, token = page(line, size_of(request.page_size, LARGEST_PAGE), start, str)
        models = [wire.to_model(model) for model in await view.read(versions)]
        for one in models:
            keep(one, tree)
        return registry.GetLineageResponse(models=models, next_page_token=token)

    # Branches, contributors

    async def get_branch(self, view: View, request: registry.GetBranchRequest) -> Message:
        tree = tree_of(request.read_mask, registry.Branch.DESCRIPTOR)
        model = await view.model(request.version_or_alias)
        if not request.branch:
            raise InvalidField("branch", "branch is empty; ListBranches names those of the version")
        found = next((one for one in model.branches if one.branch.name == request.branch), None)
        if found is None:
            name, there = request.branch[:100], listed([one.branch.name for one in model.branches])
            text = f"version {model.version} has no branch {name!r}; it has {there}"
            raise UnknownResource("branch", name, text)
        message = wire.to_branch(found, await self._facts.published(model))
        keep(message, tree)
        return registry.GetBranchResponse(branch=message, version=model.version)

    async def list_branches(self, view: View, request: registry.ListBranchesRequest) -> Message:
        tree = tree_of(request.read_mask, registry.Branch.DESCRIPTOR)
        start = self._start(view, "ListBranches", request.version_or_alias, request.page_token)
        (model,) = await view.read([start.version])
        shown, token = page(model.branches, size_of(request.page_size), start, lambda one: one.branch.name)
        published = await self._facts.published(model)
        branches = [wire.to_branch(one, published) for one in shown]
        for message in branches:
            keep(message, tree)
        return registry.ListBranchesResponse(branches=branches, next_page_token=token, version=model.version)

    async def list_contributors(self, view: View, request: registry.ListContributorsRequest) -> Message:
        start = self._start(view, "ListContributors", request.version_or_alias, request.page_token)
        (model,) = await view.read([start.version])
        shown, token = page(wire.to_contributors(model), size_of(request.page_size), start, lambda one: one.name)
        return registry.ListContributorsResponse(
            contributors=shown,
            next_page_token=token,
            version=model.version,
            private_datasets=sum(one.branch.member.credit.private for one in model.branches),
        )

    # Aliases, scores

    async def get_alias(self, view: View, request: registry.GetAliasRequest) -> Message:
        if not request.alias:
            raise InvalidField("alias", "alias is empty; ask for 'latest' or 'stable'")
        alias = view.index.aliases.get(request.alias)
        if alias is None:
            name, there = request.alias[:100], listed(view.index.aliases)
            text = f"there is no alias {name!r}; " + (f"there are {there}" if there else "nothing was published yet")
            raise UnknownResource("alias", name, text)
        return registry.GetAliasResponse(alias=wire.to_alias(alias))

    async def list_aliases(self, view: View, request: registry.ListAliasesRequest) -> Message:
        start = place_of(request.page_token, "ListAliases") or Place("ListAliases")
        aliases = list(view.index.aliases.values())
        shown, token = page(aliases, size_of(request.page_size), start, lambda one: one.name)
        return registry.ListAliasesResponse(aliases=[wire.to_alias(one) for one in shown], next_page_token=token)

    async def list_alias_moves(self, view: View, request: registry.ListAliasMovesRequest) -> Message:
        if not request.alias:
            raise InvalidField("alias", "alias is empty; ask for 'latest' or 'stable'")
        before = before_of(request.page_token, "ListAliasMoves", request.alias)
        size = size_of(request.page_size)
        async with view.connection() as conn:
            moves = await self._store.alias_moves(conn, request.alias, before, size + 1)
        shown = moves[:size]
        token = numbered("ListAliasMoves", shown[-1].sequence, request.alias) if len(moves) > size else ""
        return registry.ListAliasMovesResponse(
            moves=[wire.to_alias_move(move) for move in shown], next_page_token=token
        )

    async def list_scores(self, view: View, request: registry.ListScoresRequest) -> Message:
        tree = tree_of(request.read_mask, registry.StandardScore.DESCRIPTOR)
        if request.version_or_alias:
            start = self._start(view, "ListScores", request.version_or_alias, request.page_token)
            (model,) = await view.read([start.version])
            shown, token = page(model.scores, size_of(request.page_size), start, lambda one: str(one.standard))
            told = [(model.version, one) for one in shown]
        else:
            start = place_of(request.page_token, "ListScores") or Place("ListScores")
            scored = [version for version in view.index.versions if version in view.index.scored]
            versions, token = page(scored, size_of(request.page_size), start, str)
            told = [(model.version, model.scores[0]) for model in await view.read(versions)]
        scores = [registry.VersionScore(version=version, score=wire.to_score(score)) for version, score in told]
        for one in scores:
            keep(one.score, tree)
        return registry.ListScoresResponse(
            scores=scores, next_page_token=token, current_standard=view.index.current_standard
        )

    def _start(self, view: View, method: str, asked: str, token: str) -> Place:
        """Where a page of a version's list begins; all pages are of the version that the first one was of."""
        start = place_of(token, method, asked)
        if start is None:
            return Place(method, asked, view.version(asked))
        if start.version not in view.index.versions:
            raise InvalidField("page_token", f"page_token {token[:100]!r} is not one that this service gave")
        return start


async def within(seconds: float, answer: Awaitable[Made]) -> Made:
    """Raises TookTooLong."""
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as error:
        raise TookTooLong(f"the answer takes longer than {seconds:g} s, the longest that one may; try again") from error

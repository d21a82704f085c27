"""What answers queries, wired: one catalogue for both listeners."""

from dataclasses import dataclass

from kit.blobs import Blobs
from kit.callers import Callers
from kit.db import Database

from registry.queries.answers import Answers
from registry.queries.branch_facts import BranchFacts
from registry.queries.catalogue import Catalogue
from registry.queries.other_answers import Downloads, OtherAnswers
from registry.queries.rpc import Limits, QueryServicer
from registry.queries.watching import Watchers
from registry.settings import RegistrySettings
from registry.store import Store


@dataclass(frozen=True, slots=True)
class Querying:
    """Of one process."""

    catalogue: Catalogue
    watchers: Watchers
    answers: Answers
    others: OtherAnswers
    seconds: float

    @classmethod
    def built(cls, settings: RegistrySettings, database: Database, blobs: Blobs, store: Store) -> "Querying":
        watchers = Watchers(settings.max_watchers)
        catalogue = Catalogue(database, store, watchers, settings.kept_answers_bytes)
        facts = BranchFacts(blobs)
        answers = Answers(catalogue, store, facts)
        downloads = Downloads(
            settings.download_url, settings.download_secret, settings.download_seconds, settings.download_most_seconds
        )
        others = OtherAnswers(answers, database, store, facts, blobs, downloads)
        return cls(catalogue, watchers, answers, others, settings.query_seconds)

    def internal(self) -> QueryServicer:
        """For services of the platform, which act on what they read: always of the newest revision."""
        return QueryServicer(self.answers, self.others, self.watchers, Limits(self.seconds, trusting=False))

    def public(self, callers: Callers) -> QueryServicer:
        """For strangers: from memory where that is a moment old at most."""
        limits = Limits(self.seconds, trusting=True)
        return QueryServicer(self.answers, self.others, self.watchers, limits, callers)

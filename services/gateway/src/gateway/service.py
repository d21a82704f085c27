"""What the API and the pages share: `request.app.state.gateway`.

Pages ask `gateway.identity.reader(request)` (or `signed_in`) who asks, call a use case below with that person, and
render the view that comes back. Every use case raises `gateway.problems.Problem` for what a person can put right.
"""

from dataclasses import dataclass

from kit.blobs import Blobs
from kit.db import Database

from gateway.accounts import Accounts
from gateway.datasets import Datasets
from gateway.feed import Feed
from gateway.formats import Formats
from gateway.identities import Identities
from gateway.models import Models
from gateway.receipts import Receipts
from gateway.reruns import Reruns
from gateway.resets import Resets
from gateway.settings import GatewaySettings
from gateway.spool import Spool
from gateway.standard import Standards
from gateway.store import Store
from gateway.tokens import Tokens
from gateway.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Gateway:
    """Every use case of the gateway."""

    settings: GatewaySettings
    blobs: Blobs
    accounts: Accounts
    tokens: Tokens
    identities: Identities
    resets: Resets
    uploads: Uploads
    formats: Formats
    datasets: Datasets
    reruns: Reruns
    models: Models
    standards: Standards
    receipts: Receipts
    feed: Feed

    @classmethod
    def built(cls, settings: GatewaySettings, database: Database, blobs: Blobs, store: Store) -> "Gateway":
        spool = Spool(settings.incoming, settings.takeover_seconds)
        uploads = Uploads(database, store, blobs, spool, settings)
        formats = Formats(blobs)
        accounts = Accounts(database, store, settings)
        return cls(
            settings=settings,
            blobs=blobs,
            accounts=accounts,
            tokens=Tokens(database, store, accounts),
            identities=Identities(database, store, accounts, settings),
            resets=Resets(database, store, accounts, settings),
            uploads=uploads,
            formats=formats,
            datasets=Datasets(database, store, blobs, uploads, formats, settings),
            reruns=Reruns(database, store, settings),
            models=Models(database, store),
            standards=Standards(database, store),
            receipts=Receipts(database, store, blobs),
            feed=Feed(database, store, settings),
        )

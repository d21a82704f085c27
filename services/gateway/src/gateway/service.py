"""What the API and the pages share: `request.app.state.gateway`.

Pages ask `gateway.identity.reader(request)` (or `signed_in`) who asks, call a use case below with that person, and
render the view that comes back. Every use case raises `gateway.problems.Problem` for what a person can put right.
"""

from dataclasses import dataclass

from kit.blobs import Blobs
from kit.db import Database

from gateway.accounts import Accounts
from gateway.agreements import Agreements
from gateway.catalogue import Catalogue
from gateway.coverage import Coverage
from gateway.datasets import Datasets
from gateway.feed import Feed
from gateway.formats import Formats
from gateway.identities import Identities
from gateway.joining import Joining
from gateway.models import Models
from gateway.operators import Operators, Publish
from gateway.predictions import Predictions
from gateway.programs import Programs
from gateway.publishing import Publishing
from gateway.receipts import Receipts
from gateway.regions import Regions
from gateway.repeats import Repeats
from gateway.reruns import Reruns
from gateway.resets import Resets
from gateway.settings import GatewaySettings
from gateway.spool import Spool
from gateway.standard import Standards
from gateway.steering import Steering
from gateway.store import Store
from gateway.tokens import Tokens
from gateway.uploads import Uploads
from gateway.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Gateway:
    """Every use case of the gateway."""

    settings: GatewaySettings
    blobs: Blobs
    accounts: Accounts
    tokens: Tokens
    programs: Programs
    repeats: Repeats
    identities: Identities
    resets: Resets
    uploads: Uploads
    joining: Joining
    formats: Formats
    datasets: Datasets
    publishing: Publishing
    regions: Regions
    agreements: Agreements
    reruns: Reruns
    models: Models
    predictions: Predictions
    catalogue: Catalogue
    coverage: Coverage
    standards: Standards
    receipts: Receipts
    feed: Feed
    steering: Steering
    operators: Operators
    webhooks: Webhooks

    @classmethod
    def built(
        cls, settings: GatewaySettings, database: Database, blobs: Blobs, store: Store, publish: Publish
    ) -> "Gateway":
        """`publish`: of JetStream."""
        spool = Spool(settings.incoming, settings.takeover_seconds)
        regions = Regions(settings, blobs)
        agreements = Agreements(settings.agreement, settings.agreements_folder)
        uploads = Uploads(database, store, blobs, spool, regions, settings)
        joining = Joining(database, store, uploads, regions)
        formats = Formats(blobs)
        steering = Steering(settings)
        accounts = Accounts(database, store, settings)
        publishing = Publishing(database, store, blobs, uploads, joining, formats, regions, agreements, settings)
        models = Models(database, store, blobs)
        return cls(
            settings=settings,
            blobs=blobs,
            accounts=accounts,
            tokens=Tokens(database, store, accounts),
            programs=Programs(database, store, accounts),
            repeats=Repeats(database, store),
            identities=Identities(database, store, accounts, settings),
            resets=Resets(database, store, accounts, settings),
            uploads=uploads,
            joining=joining,
            formats=formats,
            datasets=Datasets(database, store, blobs, settings),
            publishing=publishing,
            regions=regions,
            agreements=agreements,
            reruns=Reruns(database, store, settings),
            models=models,
            predictions=Predictions(database, store, blobs, models, settings),
            catalogue=Catalogue(database, store, settings),
            coverage=Coverage(database, store),
            standards=Standards(database, store),
            receipts=Receipts(database, store, blobs),
            feed=Feed(database, store, settings),
            steering=steering,
            operators=Operators(database, store, blobs, steering, publish, publishing),
            webhooks=Webhooks(database, store, settings),
        )

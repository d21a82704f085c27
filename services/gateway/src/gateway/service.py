"""What the API and the pages share: `request.app.state.gateway`.

Pages ask `gateway.people.identity.reader(request)` (or `signed_in`) who asks, call a use case below with that
person, and render the view that comes back. Every use case raises `gateway.problems.Problem` for what a person can
put right.
"""

from dataclasses import dataclass

from kit.blobs import Blobs
from kit.db import Database

from gateway.entries.datasets import Datasets
from gateway.entries.publishing import Publishing
from gateway.entries.reruns import Reruns
from gateway.forms.agreements import Agreements
from gateway.forms.formats import Formats
from gateway.live.feed import Feed
from gateway.models.coverage import Coverage
from gateway.models.models import Models
from gateway.models.predictions import Predictions
from gateway.models.receipts import Receipts
from gateway.models.standard import Standards
from gateway.operators.operators import Operators, Publish
from gateway.operators.steering import Steering
from gateway.people.accounts import Accounts
from gateway.people.identities import Identities
from gateway.people.programs import Programs
from gateway.people.resets import Resets
from gateway.people.tokens import Tokens
from gateway.repeats import Repeats
from gateway.search.catalogue import Catalogue
from gateway.settings import GatewaySettings
from gateway.store import Store
from gateway.uploads.joining import Joining
from gateway.uploads.regions import Regions
from gateway.uploads.spool import Spool
from gateway.uploads.uploads import Uploads
from gateway.webhooks.webhooks import Webhooks


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

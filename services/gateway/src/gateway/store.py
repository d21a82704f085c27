"""The gateway's schema. What is in `stores` alone runs SQL; rows go out as dicts or domain types.

Transactions belong to the caller.
"""

from kit.queries import Queries

from gateway.stores.catalogue import Catalogue, Versions
from gateway.stores.entries import Entries, Receipts
from gateway.stores.operators import Operating
from gateway.stores.people import Identities, Letters, People
from gateway.stores.predictions import Predictions
from gateway.stores.projections import Projections
from gateway.stores.rebuild import Rebuilding
from gateway.stores.repeats import ProgramSignIns, Repeats
from gateway.stores.reruns import Reruns
from gateway.stores.uploads import Uploads
from gateway.stores.webhooks import WebhookTables


class Store:
    """Everything that the gateway keeps, by room."""

    def __init__(self) -> None:
        queries = Queries.load("gateway")
        self.people = People(queries)
        self.identities = Identities(queries)
        self.letters = Letters(queries)
        self.uploads = Uploads(queries)
        self.entries = Entries(queries)
        self.projections = Projections(queries)
        self.reruns = Reruns(queries)
        self.predictions = Predictions(queries)
        self.catalogue = Catalogue(queries)
        self.versions = Versions(queries)
        self.operating = Operating(queries)
        self.receipts = Receipts(queries)
        self.rebuilding = Rebuilding(queries)
        self.repeats = Repeats(queries)
        self.program_sign_ins = ProgramSignIns(queries)
        self.webhooks = WebhookTables(queries)

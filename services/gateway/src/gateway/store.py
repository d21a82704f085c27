"""The gateway's schema. Files named …_store.py alone run SQL; rows go out as dicts or domain types.

Transactions belong to the caller.
"""

from kit.queries import Queries

from gateway.catalogue_store import Catalogue, Versions
from gateway.entry_store import Entries, Receipts
from gateway.operator_store import Operating
from gateway.people_store import Identities, Letters, People
from gateway.prediction_store import Predictions
from gateway.projection_store import Projections
from gateway.rebuild_store import Rebuilding
from gateway.repeat_store import ProgramSignIns, Repeats
from gateway.rerun_store import Reruns
from gateway.upload_store import Uploads


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

"""The SDK: one object for one account on one server."""

from potluck.datasets import Datasets
from potluck.models import Models
from potluck.people import People


class Client(People, Datasets, Models):
    """Contribute datasets, follow them, take the model home.

    Args:
        server: address of the platform; default: POTLUCK_SERVER, config.toml, the last `potluck login`, the local one.
        token: an API token; default: POTLUCK_TOKEN, or the stored one of that server.
        patience_seconds: how long a broken connection is tried again without any progress; default: 120.

    Every method raises PotluckError: Problem (refused), Unreachable, NotSignedIn, LocalFileError, Corrupt. It may be
    used from several threads at once; `AsyncClient` has the same methods to await.
    """

"""Potluck for Python: contribute DFT datasets to the DPA model, follow them, take the model home.

    from potluck import Client
    with Client("http://127.0.0.1:8000", token="…") as client:
        dataset = client.upload("sic.tar.xz", name="SiC", authors=["…"], format="qe/pw/scf", licence="CC-BY-4.0")
        for state in client.follow(dataset.id):
            print(state.stage, state.verdict)

`AsyncClient` has the same methods to await. The reference is docs/sdk.md.
Names load when they are first used: `import potluck` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from potluck.asynchronous import AsyncClient
    from potluck.client import Client
    from potluck.errors import PotluckError, Problem
    from potluck.resources import Dataset, Model

__all__ = ["AsyncClient", "Client", "Dataset", "Model", "PotluckError", "Problem"]

_HOMES = {
    "AsyncClient": "potluck.asynchronous",
    "Client": "potluck.client",
    "Dataset": "potluck.resources",
    "Model": "potluck.resources",
    "PotluckError": "potluck.errors",
    "Problem": "potluck.errors",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'potluck' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)

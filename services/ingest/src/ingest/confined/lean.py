"""dpdata, to be imported from here: without the plugins whose formats we have readers of our own for.

dpdata imports its plugins along with itself, and cp2kdata's brings matplotlib, SciPy and ASE: five sixths of the second
that a parser would take to start.
"""

from importlib import metadata
from typing import Any

_GROUP = "dpdata.plugins"
# Names of entry points, which are those of the formats.
SPARED = frozenset({"cp2kdata/e_f", "cp2kdata/md"})


def load_spared() -> None:
    """For who asks dpdata for all its formats."""
    for plugin in metadata.entry_points(group=_GROUP):
        if plugin.name in SPARED:
            plugin.load()


def _imported() -> Any:
    """dpdata asks the metadata of what is installed for its plugins."""
    everything = metadata.entry_points

    def others(**wanted: Any) -> Any:
        found: Any = everything(**wanted)
        return [one for one in found if one.name not in SPARED] if wanted.get("group") == _GROUP else found

    metadata.entry_points = others
    try:
        import dpdata
    finally:
        metadata.entry_points = everything
    return dpdata


dpdata = _imported()

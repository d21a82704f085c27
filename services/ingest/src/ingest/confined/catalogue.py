"""The formats that dpdata and its plugins can load labeled data from, asked of dpdata itself."""

import inspect
import json
from collections import defaultdict
from importlib.metadata import version
from typing import IO, Any

from ingest.confined.known import FORMATS
from ingest.confined.lean import dpdata, load_spared

# Here: the walls of a child are not up yet.
load_spared()
Format = dpdata.format.Format


def write(arguments: dict[str, Any], _inputs: list[IO[bytes]], outputs: list[IO[bytes]]) -> None:
    """Task of a confined child; output: the catalogue as JSON."""
    catalogue = {
        "versions": {name: version(name) for name in ("dpdata", "cp2kdata", "numpy")},
        "formats": formats(),
        "walls": arguments["walls"],
    }
    outputs[0].write(json.dumps(catalogue).encode())


def formats() -> list[dict[str, Any]]:
    """Labeled formats; names that share a reader are one format with aliases."""
    names: dict[type, list[str]] = defaultdict(list)
    for name, reader in sorted(Format.get_formats().items()):
        labeled = _own(reader, "from_labeled_system")
        if (labeled or _own(reader, "from_multi_systems")) and not _wants_objects(reader):
            names[reader].append(name)
    return sorted((_describe(reader, known) for reader, known in names.items()), key=lambda one: str(one["name"]))


def _describe(reader: type, names: list[str]) -> dict[str, Any]:
    # The name that is known best: one of ours, else the most specific.
    name = next((name for name in names if name in FORMATS), max(names, key=lambda name: (name.count("/"), name)))
    spec = FORMATS.get(name)
    return {
        "name": name,
        "title": spec.title if spec else _title(reader, name),
        "reads": spec.reads if spec else "file",
        "names": list(spec.names) if spec else [],
        "example": spec.example if spec else "",
        "aliases": [alias for alias in names if alias != name],
        # One file or folder with many systems, or only readable that way.
        "multi": _own(reader, "from_multi_systems")
        and (name.startswith("deepmd/") or not _own(reader, "from_labeled_system")),
    }


def _title(reader: type, name: str) -> str:
    """The first sentence of the reader's own description: a parent's describes every format."""
    summary = inspect.cleandoc(vars(reader).get("__doc__") or name).split("\n", 1)[0].rstrip(".")
    return summary if len(summary) <= 100 else name


def _own(reader: type, method: str) -> bool:
    return getattr(reader, method, None) is not getattr(Format, method)


def _wants_objects(reader: type) -> bool:
    """Formats that take Python objects, not paths."""
    method = "from_labeled_system" if _own(reader, "from_labeled_system") else "from_multi_systems"
    parameters = list(inspect.signature(getattr(reader, method)).parameters)
    return len(parameters) > 1 and parameters[1] in ("atoms", "structure", "mol", "entry")

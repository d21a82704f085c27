"""The level of theory as far as a calculation's own files tell: code, functional, cutoff, k-points, basis.

Cutoffs in eV. What a file does not say is left out; nothing is guessed.
"""

import os
from pathlib import Path

from ingest.confined.known import FORMATS
from ingest.confined.programs.spec import Theory

_HEAD = 1 << 18


def of(format_name: str, paths: list[Path]) -> Theory:
    """Level of theory of one calculation; empty for formats that nothing is known about."""
    spec = FORMATS.get(format_name)
    if spec is None:
        return {}
    return spec.theory("\n".join(_head(text) for path in paths for text in spec.texts(path)))


def _head(path: Path) -> str:
    # As text from the start it takes four times as long.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, _HEAD).decode("utf-8", "replace")
    finally:
        os.close(descriptor)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def merged(theories: list[Theory]) -> Theory:
    """One level of theory for the whole dataset: a field that differs lists its values, most frequent first."""
    result: Theory = {}
    for name in dict.fromkeys(name for theory in theories for name in theory):
        values = [theory[name] for theory in theories if name in theory]
        ranked = sorted(dict.fromkeys(values), key=lambda value: (-values.count(value), str(value)))
        if len(ranked) == 1:
            result[name] = ranked[0]
        elif name != "cutoff_ev":
            shown = "; ".join(str(value) for value in ranked[:3])
            result[name] = f"several: {shown}{'; …' if len(ranked) > 3 else ''}"
    return result

"""Pairs of elements that occur together in a frame: 'C-Si', and 'Si-Si' where a frame has two Si."""

import re
from collections.abc import Iterable

from contracts.artifacts import DatasetManifest

from frames.frame import ATOMIC_NUMBERS, formula

_TERM = re.compile(r"([A-Z][a-z]?)(\d*)")


def pairs_of_formula(composition: str) -> frozenset[str]:
    """Of a formula as `frames.frame.formula` writes it. An element alone in its frame pairs with its own images."""
    counts = {symbol: int(count or 1) for symbol, count in _TERM.findall(composition)}
    symbols = sorted(counts, key=ATOMIC_NUMBERS.__getitem__)
    alike = (f"{one}-{one}" for one in symbols if counts[one] > 1 or len(symbols) == 1)
    apart = (f"{one}-{other}" for k, one in enumerate(symbols) for other in symbols[k + 1 :])
    return frozenset((*alike, *apart))


def pairs_of_formulas(compositions: Iterable[str]) -> frozenset[str]:
    return frozenset(pair for one in compositions for pair in pairs_of_formula(one))


def pairs_of_manifest(manifest: DatasetManifest) -> frozenset[str]:
    """As ingest told them; a manifest from before it did lists at least its commonest compositions."""
    return frozenset(manifest.element_pairs) or pairs_of_formulas(one.formula for one in manifest.compositions)


def pairs_of_elements(elements: Iterable[str]) -> frozenset[str]:
    """Every pair that these elements can make."""
    numbers = [ATOMIC_NUMBERS[one] for one in elements]
    return pairs_of_formula(formula([*numbers, *numbers]))


def in_order(pairs: Iterable[str]) -> tuple[str, ...]:
    """By atomic number of the first, then of the second element."""
    return tuple(sorted(pairs, key=lambda pair: [ATOMIC_NUMBERS[one] for one in pair.split("-")]))

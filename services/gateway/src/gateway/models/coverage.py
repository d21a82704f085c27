"""What the newest version knows of the periodic table, and what data would help it most.

Rules over read tables: of each public dataset that trained it, its elements, its pairs of elements (those that occur
together in a frame), its frames and the version's held-out force error on it. What the model can do for an element
is its smallest such error. Private contributions are not counted: their elements are nobody's business.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from contracts.base import DatasetRef, Frozen
from contracts.events import ModelPublished
from kit.db import Database
from kit.queries import Row

from gateway.search.elements import SYMBOLS
from gateway.store import Store

WANTED = 8
# Levels of a cell on the periodic table: force error in meV/Å.
GOOD, FAIR, POOR = 60.0, 150.0, 400.0


@dataclass(frozen=True, slots=True)
class Trained:
    """A public dataset that trained the version."""

    elements: tuple[str, ...]
    pairs: tuple[str, ...]
    frames: int
    force_rmse_mev_per_angstrom: float


class ElementCoverage(Frozen):
    """An element on the table. `level`: 0 no data, then 1 (large error) to 4 (small error)."""

    symbol: str
    datasets: int
    frames: int
    force_rmse_mev_per_angstrom: float | None
    level: int


class Wanted(Frozen):
    """An element or a pair, and the smallest force error of all branches that have it; none: there is no data."""

    name: str
    elements: tuple[str, ...]
    force_rmse_mev_per_angstrom: float | None


class CoverageView(Frozen):
    """Of one version. `frames` of several datasets may repeat one another."""

    version: str
    elements: tuple[ElementCoverage, ...]
    known: int
    private_contributions: int
    wanted_elements: tuple[Wanted, ...]
    wanted_pairs: tuple[Wanted, ...]
    missing_pairs: tuple[Wanted, ...]


class Coverage:
    """What everybody may see."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def of(self, version: str) -> CoverageView | None:
        """None when there is no such version."""
        async with self._database.transaction() as connection:
            await self._store.entries.read_consistently(connection)
            rows = await self._store.versions.find(connection, [version])
            if not rows:
                return None
            event = ModelPublished.model_validate(rows[0]["event"])
            refs = [one.dataset for one in event.datasets if one.dataset is not None]
            facts = await self._store.catalogue.trained_facts(connection, refs)
        trained = _trained(event, facts)
        return coverage(version, trained, len(event.datasets) - len(trained))


def _trained(event: ModelPublished, facts: Mapping[DatasetRef, Row]) -> list[Trained]:
    return [
        Trained(
            elements=tuple(facts[one.dataset]["elements"]),
            pairs=tuple(facts[one.dataset]["pairs"]),
            frames=facts[one.dataset]["frames"],
            force_rmse_mev_per_angstrom=one.force_rmse_mev_per_angstrom,
        )
        for one in event.datasets
        if one.dataset is not None and one.dataset in facts
    ]


def coverage(version: str, trained: Sequence[Trained], private: int) -> CoverageView:
    """The view of these datasets."""
    datasets = Counter(symbol for one in trained for symbol in set(one.elements))
    frames: Counter[str] = Counter()
    for one in trained:
        frames.update(dict.fromkeys(set(one.elements), one.frames))
    best = _smallest((symbol, one) for one in trained for symbol in one.elements)
    best_pairs = _smallest((pair, one) for one in trained for pair in one.pairs)
    known = [symbol for symbol in SYMBOLS if symbol in datasets]
    return CoverageView(
        version=version,
        elements=tuple(
            ElementCoverage(
                symbol=symbol,
                datasets=datasets[symbol],
                frames=frames[symbol],
                force_rmse_mev_per_angstrom=best.get(symbol),
                level=_level(best.get(symbol)),
            )
            for symbol in SYMBOLS
        ),
        known=len(known),
        private_contributions=private,
        wanted_elements=_largest(best, lambda name: (name,)),
        wanted_pairs=_largest(best_pairs, lambda name: tuple(name.split("-"))),
        missing_pairs=_missing(known, frames, best_pairs) if best_pairs else (),
    )


def _smallest(found: Iterable[tuple[str, Trained]]) -> dict[str, float]:
    best: dict[str, float] = {}
    for name, one in found:
        best[name] = min(best.get(name, one.force_rmse_mev_per_angstrom), one.force_rmse_mev_per_angstrom)
    return best


def _largest(best: Mapping[str, float], elements_of: Callable[[str], tuple[str, ...]]) -> tuple[Wanted, ...]:
    """What has the largest errors first; nothing that is good already."""
    worst = sorted((name for name in best if best[name] > GOOD), key=lambda name: (-best[name], name))
    return tuple(
        Wanted(name=name, elements=elements_of(name), force_rmse_mev_per_angstrom=best[name]) for name in worst[:WANTED]
    )


def _missing(known: Sequence[str], frames: Mapping[str, int], pairs: Mapping[str, float]) -> tuple[Wanted, ...]:
    """Pairs of known elements that no frame has together, those of frequent elements first."""
    none = [(one, other) for one, other in combinations(known, 2) if f"{one}-{other}" not in pairs]
    none.sort(key=lambda pair: (-min(frames[pair[0]], frames[pair[1]]), pair))
    return tuple(
        Wanted(name=f"{one}-{other}", elements=(one, other), force_rmse_mev_per_angstrom=None)
        for one, other in none[:WANTED]
    )


def _level(force_rmse: float | None) -> int:
    if force_rmse is None:
        return 0
    return 4 if force_rmse <= GOOD else 3 if force_rmse <= FAIR else 2 if force_rmse <= POOR else 1

"""Which branch of a version for which elements: pure rules over what is published of its branches."""

from collections.abc import Collection, Sequence

from contracts.artifacts import PublishedBranch, PublishedManifest
from contracts.base import Frozen, LevelOfTheory

from gateway.search.elements import SYMBOLS


class BranchView(Frozen):
    """A branch as a structure of the chosen elements would meet it.

    `in_domain`: its dataset has every chosen element; then the expected error is that on its held-out frames, which
    are like its training frames. Otherwise nobody knows: `missing` says which elements it has never seen.
    """

    name: str
    elements: tuple[str, ...]
    level_of_theory: LevelOfTheory | None
    energy_rmse_mev_per_atom: float
    force_rmse_mev_per_angstrom: float
    threshold_ev_per_angstrom: float | None
    missing: tuple[str, ...]
    in_domain: bool
    withdrawn: bool


class Choice(Frozen):
    """Branches whose elements are public, the best for the chosen elements first; how many others there are."""

    chosen: tuple[str, ...]
    branches: tuple[BranchView, ...]
    private_branches: int

    @property
    def best(self) -> BranchView | None:
        """None when no branch has all the chosen elements."""
        first = self.branches[0] if self.branches else None
        return first if first is not None and first.in_domain and self.chosen else None


def choose(manifest: PublishedManifest, chosen: Sequence[str], withdrawn: Collection[str] = ()) -> Choice:
    """With nothing chosen, every branch by its force error."""
    open_ones = [branch for branch in manifest.branches if branch.elements]
    seen = [_view(branch, chosen, branch.name in withdrawn) for branch in open_ones]
    seen.sort(key=lambda one: (len(one.missing), one.withdrawn, one.force_rmse_mev_per_angstrom, one.name))
    return Choice(chosen=tuple(chosen), branches=tuple(seen), private_branches=len(manifest.branches) - len(open_ones))


def known_elements(manifest: PublishedManifest) -> tuple[str, ...]:
    """Of public branches, by atomic number."""
    found = {symbol for branch in manifest.branches for symbol in branch.elements}
    return tuple(symbol for symbol in SYMBOLS if symbol in found)


def _view(branch: PublishedBranch, chosen: Sequence[str], withdrawn: bool) -> BranchView:
    missing = tuple(symbol for symbol in chosen if symbol not in branch.elements)
    return BranchView(
        name=branch.name,
        elements=branch.elements,
        level_of_theory=branch.level_of_theory,
        energy_rmse_mev_per_atom=branch.energy_rmse_mev_per_atom,
        force_rmse_mev_per_angstrom=branch.force_rmse_mev_per_angstrom,
        threshold_ev_per_angstrom=branch.threshold_ev_per_angstrom,
        missing=missing,
        in_domain=not missing,
        withdrawn=withdrawn,
    )

"""Rules of the pages of versions: which branch for which elements, what data is wanted, drawings, snippets."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from contracts.artifacts import PublishedBranch, PublishedManifest
from gateway.models.branches import choose, known_elements
from gateway.models.coverage import Trained, coverage
from gateway.pages.history_chart import Value, history_chart
from gateway.pages.snippets import example_branch


def branch(name: str, elements: tuple[str, ...], force: float) -> PublishedBranch:
    return PublishedBranch(
        name=name,
        dataset=None,
        title=None,
        authors=(),
        licence=None,
        elements=elements,
        level_of_theory=None,
        weight=0.5,
        new=False,
        energy_rmse_mev_per_atom=force / 10,
        force_rmse_mev_per_angstrom=force,
    )


MANIFEST = PublishedManifest(
    version="1.1",
    parent_version=None,
    round_id=uuid4(),
    preset="laptop",
    branches=(
        branch("si", ("Si",), 50),
        branch("sic", ("C", "Si"), 120),
        branch("better-sic", ("C", "Si"), 80),
        branch("secret", (), 10),
    ),
    contributors=(),
    rules=(),
    standard_score=0.2,
    steps=1,
    wall_seconds=1,
    versions={},
)


def test_the_best_branch_has_all_elements_and_the_smallest_error() -> None:
    choice = choose(MANIFEST, ("C", "Si"))
    assert [one.name for one in choice.branches] == ["better-sic", "sic", "si"]
    assert choice.best is not None
    assert choice.best.name == "better-sic"
    assert choice.branches[-1].missing == ("C",)
    assert not choice.branches[-1].in_domain
    assert choice.private_branches == 1


def test_a_withdrawn_branch_comes_after_the_others() -> None:
    choice = choose(MANIFEST, ("C",), withdrawn=["better-sic"])
    assert choice.best is not None
    assert choice.best.name == "sic"


def test_no_branch_is_best_when_none_has_seen_the_elements_or_none_was_chosen() -> None:
    assert choose(MANIFEST, ("Fe",)).best is None
    assert choose(MANIFEST, ()).best is None
    assert known_elements(MANIFEST) == ("C", "Si")


def test_wanted_are_the_largest_errors_and_pairs_that_nobody_has() -> None:
    found = coverage(
        "1.1",
        [
            Trained(("C", "Si"), ("C-C", "C-Si", "Si-Si"), 100, 500.0),
            Trained(("Si",), ("Si-Si",), 50, 40.0),
            Trained(("Fe",), ("Fe-Fe",), 10, 90.0),
        ],
        private=2,
    )
    cells = {one.symbol: one for one in found.elements}
    assert (cells["Si"].datasets, cells["Si"].frames, cells["Si"].level) == (2, 150, 4)
    assert (cells["C"].force_rmse_mev_per_angstrom, cells["C"].level) == (500.0, 1)
    assert (cells["Fe"].level, cells["U"].level, cells["U"].force_rmse_mev_per_angstrom) == (3, 0, None)
    assert [one.name for one in found.wanted_elements] == ["C", "Fe"]
    assert [one.name for one in found.wanted_pairs] == ["C-C", "C-Si", "Fe-Fe"]
    assert [one.name for one in found.missing_pairs] == ["C-Fe", "Si-Fe"]
    assert (found.known, found.private_contributions) == (3, 2)


def test_without_word_of_pairs_none_is_said_to_be_missing() -> None:
    assert coverage("1.0", [Trained(("C", "Fe"), (), 1, 10.0)], 0).missing_pairs == ()


def test_a_chart_of_hundreds_of_versions_has_few_labels_and_one_point() -> None:
    drawn = history_chart([Value(f"1.{number}", 500.0 - number, True) for number in range(300)], "meV/Å")
    assert drawn is not None
    assert len(drawn.line.split()) == 300
    assert len(drawn.points) == 1
    assert len(drawn.x_ticks) <= 8
    assert drawn.x_ticks[0][1] == "1.299"


@pytest.mark.parametrize("values", [[0.0], [120.0], [120.0, 60.0]])
def test_a_chart_of_few_versions_lies_within_its_frame(values: list[float]) -> None:
    drawn = history_chart([Value(f"1.{place}", value, place > 0) for place, value in enumerate(values)], "meV/Å")
    assert drawn is not None
    assert all(drawn.left <= point.x <= drawn.right and 0 < point.y < drawn.height for point in drawn.points)
    assert history_chart([], "meV/Å") is None


def test_examples_show_the_new_branch_that_readers_may_know() -> None:
    def trained(branch: str, *, new: bool = False, public: bool = True, withdrawn: bool = False) -> SimpleNamespace:
        return SimpleNamespace(branch=branch, new=new, url="/datasets/x" if public else None, withdrawn=withdrawn)

    def shown(*datasets: SimpleNamespace) -> str:
        model: Any = SimpleNamespace(datasets=datasets, branches=(SimpleNamespace(branch="first"),))
        return example_branch(model)

    assert shown(trained("old"), trained("new", new=True)) == "new"
    assert shown(trained("old"), trained("hidden", new=True, public=False), trained("new", new=True)) == "new"
    assert shown(trained("hidden", new=True, public=False), trained("old")) == "old"
    assert shown(trained("gone", new=True, withdrawn=True), trained("hidden", public=False)) == "hidden"
    assert shown() == "first"

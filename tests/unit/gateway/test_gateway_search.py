"""What people look for becomes one tsquery; whatever they type is text."""

import pytest
from gateway.search.elements import PLACES, SYMBOLS
from gateway.search.search import Criteria, read_criteria, reduced_formula


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("SiC", "C1Si1"),
        ("Si4C4", "C1Si1"),
        ("C4Si4", "C1Si1"),
        ("H2O", "H2O1"),
        ("OH2", "H2O1"),
        ("Si", "Si1"),
        ("Si0", None),
        ("water", None),
        ("Xx2", None),
        ("Si-C", None),
        ("", None),
    ],
)
def test_a_formula_is_known_whatever_its_order_and_cell(text: str, formula: str | None) -> None:
    assert reduced_formula(text) == formula


@pytest.mark.parametrize(
    ("criteria", "tsquery"),
    [
        (Criteria(), None),
        (Criteria(text="perovskite"), "'perovskite':*"),
        (Criteria(text="ab 2000"), "'ab' & '2000':*"),
        (Criteria(text="Si"), "('si' | 'element:Si')"),
        (Criteria(text="SiC,"), "('sic':* | 'formula:C1Si1')"),
        (Criteria(text="碳化硅"), "('碳' <-> '化' <-> '硅')"),
        (Criteria(text="qe/pw"), "'qe' & 'pw'"),
        (Criteria(elements=("C", "Si"), stage="train"), "'element:C' & 'element:Si' & 'stage:train'"),
        (Criteria(functional="PBE", coverage="new"), "'functional:pbe' & 'verdict:passed'"),
        (Criteria(licence="x' | '"), "'licence:x'' | '''"),
        (Criteria(text="!!! ()"), None),
    ],
)
def test_criteria_become_a_tsquery(criteria: Criteria, tsquery: str | None) -> None:
    assert criteria.tsquery() == tsquery


def test_what_is_not_understood_is_left_out_and_named() -> None:
    asked = read_criteria(
        [("q", "  a\x00b "), ("element", "si"), ("element", "Zz"), ("sort", "best"), ("stage", "train"), ("page", "3")]
    )
    assert asked.criteria == Criteria(text="ab", elements=("Si",), stage="train")
    assert asked.ignored == ("element", "sort")


def test_every_element_has_its_place_on_the_table() -> None:
    assert len(SYMBOLS) == len(set(PLACES.values())) == 118
    assert {symbol: PLACES[symbol] for symbol in ("H", "He", "Zn", "La", "Lu", "Hf", "Og")} == {
        "H": (1, 1),
        "He": (1, 18),
        "Zn": (4, 12),
        "La": (8, 3),
        "Lu": (6, 3),
        "Hf": (6, 4),
        "Og": (7, 18),
    }


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        (Criteria(), "newest"),
        (Criteria(text="carbide"), "relevance"),
        (Criteria(text="!!!"), "newest"),
        (Criteria(elements=("Si",)), "newest"),
        (Criteria(sort="relevance"), "newest"),
        (Criteria(text="carbide", sort="newest"), "newest"),
        (Criteria(text="carbide", sort="relevance"), "relevance"),
        (Criteria(sort="size"), "size"),
    ],
)
def test_words_are_sorted_by_relevance_and_all_else_is_not(criteria: Criteria, order: str) -> None:
    assert criteria.order == order


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (
            "Carbide",
            [
                (32, "'carbide':A"),
                (16, "'carbide':*A"),
                (4, "'carbide':B"),
                (2, "'carbide':*B"),
                (1, "'carbide':C"),
            ],
        ),
        ("Si", [(32, "'si':A"), (8, "'element:Si'"), (4, "'si':B"), (1, "'si':C")]),
        ("硅相", [(32, "'硅':A <-> '相':A"), (4, "'硅':B <-> '相':B"), (1, "'硅':C <-> '相':C")]),
    ],
)
def test_a_words_best_place_outweighs_all_lesser_ones(text: str, steps: list[tuple[int, str]]) -> None:
    assert Criteria(text=text).ranking() == steps
    points = [one for one, _ in steps]
    assert all(one > sum(points[at + 1 :]) for at, one in enumerate(points))


def test_the_relevance_of_any_search_leaves_room_for_the_time_below_it() -> None:
    """Both are one bigint: see catalogue_store."""
    longest = Criteria(text=" ".join(["SiC2碳a碳"] * 20))
    assert 0 < sum(points for points, _ in longest.ranking()) < (1 << 63) // 10**16

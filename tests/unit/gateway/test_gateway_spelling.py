"""Which known word was meant."""

import pytest
from gateway.search.search import terms
from gateway.search.spelling import may_be_misspelt, mistakes, nearest_first


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ("perovskite", "perovskite", 0),
        ("perovksite", "perovskite", 1),
        ("perovskit", "perovskite", 1),
        ("perovskitte", "perovskite", 1),
        ("perowskite", "perovskite", 1),
        ("peorvksite", "perovskite", 2),
        ("abc", "", 3),
        ("", "abc", 3),
        ("phonon", "proton", 2),
    ],
)
def test_mistakes_are_counted(one: str, other: str, count: int) -> None:
    assert mistakes(one, other) == mistakes(other, one) == count


def test_the_nearest_comes_first_and_long_words_may_have_two_mistakes() -> None:
    assert nearest_first("grapene", ["grapes", "graphene", "grapene"]) == [(1, "graphene")]
    assert nearest_first("zirconai", ["zirconyl", "zirconia", "circonai"]) == [
        (1, "zirconia"),
        (1, "circonai"),
        (2, "zirconyl"),
    ]


@pytest.mark.parametrize(
    ("word", "may_be"),
    [
        ("perovksite", True),
        ("Wassre", True),
        ("zhen", False),
        ("LiMnCo", False),
        ("Si64O128", False),
        ("silicon2", False),
        ("碳化硅相变", False),
        ("two-parts", False),
        ("a" * 25, False),
    ],
)
def test_what_may_be_misspelt(word: str, may_be: bool) -> None:
    (term,) = terms(word)
    assert may_be_misspelt(term, word) is may_be

"""Datasets whose verdict is known beforehand, through the metric's own path with a real model: docs/verdicts.md."""

import asyncio

import pytest
from case_list import CASES
from known_cases import Case
from verdicts import DOCUMENT, Found, document, judge_cases, table

AT_LEAST = 0.95


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Found]:
    judged = asyncio.run(judge_cases(CASES, tmp_path_factory.mktemp("cases")))
    return {one.case.name: one for one in judged}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", [case for case in CASES if not case.miss], ids=lambda case: case.name)
def test_the_verdict_is_right_and_says_why(case: Case, found: dict[str, Found]) -> None:
    one = found[case.name]
    assert one.right, f"{one.outcome}, against it {one.rules}, {one.failed_frames} frames failed: {one.sound} {one.new}"


def test_at_least_so_many_come_out_as_they_should(found: dict[str, Found]) -> None:
    assert len(found) >= 45
    assert sum(one.right for one in found.values()) >= AT_LEAST * len(found)


def test_the_table_in_the_documentation_is_what_comes_out(found: dict[str, Found]) -> None:
    ordered = [found[case.name] for case in CASES]
    assert table(DOCUMENT.read_text()) == table(document(ordered))
    assert len(table(DOCUMENT.read_text())) == len(CASES)

"""The order in which workers take tests, and which stay together."""

from itertools import chain
from pathlib import Path

import pytest
from distribution import ORDER, TOGETHER, place, scope

ROOT = Path(__file__).resolve().parents[2]


def test_every_folder_that_is_named_is_there() -> None:
    """One that was renamed would come last, and a worker would be left alone with it."""
    for beginning in (*ORDER, *chain(*TOGETHER)):
        assert (ROOT / beginning).is_file() or list((ROOT / beginning).rglob("test_*.py")), beginning


def test_what_takes_long_comes_before_what_does_not() -> None:
    tests = ("tests/unit/a.py::b", "tests/integration/kit/a.py::b", "tests/browser/a.py::b", "tests/system/z.py::b")
    assert sorted(tests, key=place) == list(reversed(tests))


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("tests/system/test_demo.py::test_x[a::b]", "tests/system/"),
        ("tests/system/test_trying.py::test_x", "tests/system/test_chaos.py"),
        ("tests/browser/site/test_site_map.py::test_x", "tests/browser/"),
        ("tests/unit/kit/test_kit_tls.py::TestOf::test_x", "tests/unit/kit/test_kit_tls.py"),
    ],
)
def test_a_worker_gets_a_file_or_a_folder_whole(nodeid: str, expected: str) -> None:
    assert scope(nodeid) == expected

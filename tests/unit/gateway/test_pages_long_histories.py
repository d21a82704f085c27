"""A dataset trains every version from its first one on: its page stays readable with hundreds of them."""

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from gateway.pages.site import Site
from gateway.views.past import Happening

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("count", "folded"), [(1, 0), (4, 0), (5, 2), (300, 297)])
def test_activity_shows_the_newest_two_versions_and_the_first(count: int, folded: int) -> None:
    template: Any = Site()._environments["en"].get_template("_dataset.html").module
    trained = [
        Happening(at=BEGAN + timedelta(days=number), what="trained", detail=f"1.{number}")
        for number in range(count, 0, -1)
    ]
    past = SimpleNamespace(activity=(*trained, Happening(at=BEGAN, what="uploaded")))
    html = str(template.activity(SimpleNamespace(private=False), past))
    assert [int(number) for number in re.findall(r"/models/1\.(\d+)", html)] == list(range(count, 0, -1))
    inside = html.partition("<details")[2].partition("</details>")[0]
    assert inside.count("/models/") == folded
    assert (f"and {folded} more" in html) is (folded > 0)
    assert html.count("<li>") == count + 1 - folded + (folded > 0)

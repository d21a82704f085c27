"""How test files are shared out among the workers of `pytest -n`: what takes long comes first, short files fill up."""

import pytest
from xdist.scheduler import LoadFileScheduling

# Beginnings of paths, longest folders first. What is not named comes last, in the order of collection.
ORDER = tuple(
    f"tests/{folder}/"
    for folder in (
        "system",
        *("integration/trainer", "integration/metric", "integration/ingest", "browser", "integration/client"),
        *("integration/onemachine", "integration/dpa", "integration/registry", "integration/gateway", "integration"),
    )
)
# Each group goes to one worker. Whole installations at once slow each other down, but the chaos waits more than it
# works; the others share what takes a session long to make: a trained model, a parser's caches, a gateway with its
# browser.
TOGETHER = (
    tuple(f"tests/system/test_{name}.py" for name in ("chaos", "leases", "trying")),
    *((f"tests/{folder}/",) for folder in ("system", "integration/metric", "integration/ingest", "browser")),
)


def place(nodeid: str) -> int:
    """The smaller, the earlier."""
    return next((number for number, beginning in enumerate(ORDER) if nodeid.startswith(beginning)), len(ORDER))


def scope(nodeid: str) -> str:
    """Tests of one scope run on one worker, one after the other."""
    file = nodeid.partition("::")[0]
    return next((group[0] for group in TOGETHER if file.startswith(group)), file)


class LongestFirst(LoadFileScheduling):  # type: ignore[misc]
    """By scope, in the order of collection."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        # Else those with the most tests would come first: a story that takes minutes is one test.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)

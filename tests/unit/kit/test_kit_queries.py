"""Named queries: found by name, refused when two share one."""

import pytest
from kit.queries import Queries

TEXT = """
-- name: one_row
-- A description.
select 1 as value

-- name: two_rows
select 1 union select 2
"""


async def test_a_query_that_is_not_there_is_named() -> None:
    queries = Queries(TEXT, "test/queries.sql")

    class Connection:
        async def execute(self, query: object, parameters: object) -> object:
            raise AssertionError("must not be reached")

    with pytest.raises(LookupError, match=r"test/queries.sql has no query named 'three'"):
        await queries.one(Connection(), "three")  # type: ignore[arg-type]


def test_two_queries_may_not_share_a_name() -> None:
    with pytest.raises(ValueError, match="share a name"):
        Queries(TEXT + "\n-- name: one_row\nselect 3", "test/queries.sql")


@pytest.mark.parametrize("service", ["gateway", "ingest", "metric", "registry"])
def test_every_service_can_read_its_queries(service: str) -> None:
    """Two that came to share a name would stop the service at its start."""
    Queries.load(service)

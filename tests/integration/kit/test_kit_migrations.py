"""Migrations: run once, in order, by several starters at once; and the committed schema is what they make.

`UPDATE_SCHEMA=1 python -m pytest tests/integration/kit/test_kit_migrations.py` rewrites services/<name>/schema.sql.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import kit.migrations
import psycopg
import pytest
from kit.migrations import MigrationChanged, migrate
from onemachine.postgres import binaries
from onemachine.provision import SCHEMAS
from psycopg.conninfo import conninfo_to_dict, make_conninfo

Environment = Callable[[str], dict[str, str]]
SERVICES = Path(__file__).resolve().parents[3] / "services"


@pytest.fixture
def database_template() -> str:
    """Empty schemas: the tests here fill them."""
    return "template1"


def dump(dsn: str, schema: str) -> str:
    """The schema as pg_dump writes it, without what changes from run to run."""
    options = conninfo_to_dict(dsn)
    password = str(options.pop("password"))
    written = subprocess.run(
        [str(binaries() / "pg_dump"), "--schema-only", "--no-owner", "--no-privileges", "-n", schema,
         "-d", make_conninfo("", **options)],
        env={"PGPASSWORD": password},
        check=True,
        capture_output=True,
        text=True,
    ).stdout  # fmt: skip
    noise = ("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict")
    lines = [line for line in written.splitlines() if line and not line.startswith(noise)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("service", SCHEMAS)
async def test_the_committed_schema_is_what_the_migrations_make(service: str, service_env: Environment) -> None:
    dsn = service_env(service)[f"POTLUCK_{service.upper()}_DATABASE_DSN"]
    # Three starters at once: the advisory lock lets each migration run exactly once.
    applied = await asyncio.gather(*(asyncio.to_thread(migrate, dsn, service) for _ in range(3)))
    names = [name for one in applied for name in one]
    assert len(names) == len(set(names)) == len(kit.migrations.scripts(service)) >= 2
    committed = SERVICES / service / "schema.sql"
    made = dump(dsn, service)
    if os.environ.get("UPDATE_SCHEMA"):
        committed.write_text(made)
    assert made == committed.read_text(), "a migration changed the schema: run with UPDATE_SCHEMA=1 and review the diff"


def test_a_migration_that_was_edited_after_it_ran_is_refused(service_env: Environment) -> None:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    migrate(dsn, "kit")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update schema_migration set sha256 = 'another'")
    with pytest.raises(MigrationChanged, match="0001_outbox_inbox"):
        migrate(dsn, "kit")


def test_a_migration_that_fails_leaves_nothing(service_env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = service_env("ingest")["POTLUCK_INGEST_DATABASE_DSN"]
    broken = [("x/0001.sql", b"create table half (id int); select 1/0")]
    monkeypatch.setattr(kit.migrations, "scripts", lambda _package: broken)
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(dsn, "x")
    with psycopg.connect(dsn) as connection:
        found = connection.execute("select to_regclass('half')").fetchone()
    assert found == (None,)

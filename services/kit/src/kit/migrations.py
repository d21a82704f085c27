"""Forward-only migrations in plain SQL: numbered files, one transaction each, content pinned by hash."""

import hashlib
from importlib.resources import files

import psycopg


class MigrationChanged(RuntimeError):
    """A migration that has run was edited afterwards. Write a new one instead."""


def scripts(package: str) -> list[tuple[str, bytes]]:
    """(name, SQL) of `<package>/migrations/NNNN_*.sql`, in order; kit's own come first."""
    found = []
    for owner in ("kit", package) if package != "kit" else ("kit",):
        folder = files(owner).joinpath("migrations")
        if folder.is_dir():
            names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
            found += [(f"{owner}/{name}", folder.joinpath(name).read_bytes()) for name in names]
    return found


def migrate(dsn: str, package: str) -> list[str]:
    """Apply what is missing and return its names. Safe when several replicas start at once, and after SIGKILL."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        # A session lock: freed when this session ends, however it ends.
        connection.execute("select pg_advisory_lock(hashtext('migrate:' || current_schema()))")
        connection.execute(
            "create table if not exists schema_migration ("
            " name text primary key, sha256 text not null, applied timestamptz not null default now())"
        )
        have: dict[str, str] = dict(connection.execute("select name, sha256 from schema_migration").fetchall())
        applied = []
        for name, script in scripts(package):
            digest = hashlib.sha256(script).hexdigest()
            if name in have:
                if have[name] != digest:
                    raise MigrationChanged(f"{name} was edited after it ran; put the change in a new migration")
                continue
            with connection.transaction():
                connection.execute(script)
                connection.execute("insert into schema_migration (name, sha256) values (%s, %s)", (name, digest))
            applied.append(name)
        return applied

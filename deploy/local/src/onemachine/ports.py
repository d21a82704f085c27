"""TCP ports of one installation: chosen once, remembered, chosen again only when another program took one."""

import errno
import json
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from onemachine.errors import CannotStart, PortInUse
from onemachine.process import free_port


def is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that only lingers is free
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        return True


def holder(port: int) -> str | None:
    """Who listens on that port, as far as we may know: 'nginx (pid 123)'."""
    for process in psutil.process_iter():
        with suppress(psutil.AccessDenied, psutil.NoSuchProcess):
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN and (port,) == connection.laddr[1:2]:
                    return f"{process.name()} (pid {process.pid})"
    return None


def require_free(host: str, port: int) -> None:
    """Raises CannotStart with what to do about it."""
    try:
        if is_free(host, port):
            return
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {host}:{port}: {error.strerror}. Choose another port (PORT=8080) or host (--host)"
        ) from error
    who = holder(port) or "another program"
    other = 8080 if port != 8080 else 8090
    raise PortInUse(
        f"port {port} of {host} is taken by {who}. Choose another one: `make up PORT={other}`"
        f" (or `python -m onemachine up --port {other}`), or let one be found: --free-ports"
    )


class Ports:
    """Named ports of the loopback, kept in a JSON file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def known(self, name: str) -> int:
        """The port of that name, where its program may listen by now. Raises KeyError before it was chosen."""
        return self._ports[name]

    def get(self, name: str) -> int:
        """The port of that name. Call before the program that listens there starts."""
        port = self._ports.get(name)
        if port is None or not is_free("127.0.0.1", port):
            taken = set(self._ports.values())
            port = next(found for found in iter(free_port, None) if found not in taken)
            self._ports[name] = port
            draft = self._file.with_suffix(".new")
            draft.write_text(json.dumps(self._ports, indent=2) + "\n")
            draft.rename(self._file)
        return port

"""A large body from the connection itself: few wake-ups, no copies.

What parses the protocol takes at most 64 KiB at a time, whatever is there, and copies it twice: on a fast line that
costs three times the processor time of curl.
"""

import socket
import ssl
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpcore
import httpx

READ_BYTES = 256 << 10
WAKE_SECONDS = 0.1


def rest_of(stream: Any, left: int, timeout_seconds: float) -> Iterator[bytes]:
    """The next `left` bytes of an httpcore stream. Raises httpx.TransportError when they do not come."""
    begun, got = time.monotonic(), 0
    while got < left:
        _wake_at(stream, worth_waking(got, time.monotonic() - begun, left - got))
        try:
            piece = stream.read(min(READ_BYTES, left - got), timeout_seconds)
        except (httpcore.NetworkError, httpcore.TimeoutException) as error:
            raise httpx.ReadError(str(error) or "no data in time") from error
        if not piece:
            raise httpx.RemoteProtocolError("the connection was closed before the whole body had come")
        got += len(piece)
        yield piece


def worth_waking(got: int, seconds: float, left: int) -> int:
    """Bytes to wait for: what comes in a tenth of a second at the speed so far, so never long on a slow line."""
    at_this_speed = int(got / seconds * WAKE_SECONDS) if seconds > 0 else 1
    return min(max(1, at_this_speed), READ_BYTES, left)


def _wake_at(stream: Any, count: int) -> None:
    """Not for every packet. Of TLS there may be less on the line than that while a whole record is held."""
    connection = stream.get_extra_info("socket")
    if sys.platform == "linux" and isinstance(connection, socket.socket) and not isinstance(connection, ssl.SSLSocket):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

"""HTTP with the manners of a good client: a token, safe retries, and errors in words."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from potluck import stopping
from potluck.errors import PotluckError, Problem, UnexpectedAnswer, Unreachable
from potluck.retry import RETRIED_STATUS, Patience, retry_after
from potluck.wire import rest_of

API = "/api/v1/"
PROBE_SECONDS = 3.0
DIRECT_BYTES = 4 << 20
# Said by the server when a creating request with the same key is being answered: its answer comes soon.
UNDER_WAY = ":request-under-way"
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class Transport:
    """One server, one account.

    A request is tried again after a lost connection or a 5xx only when that cannot do harm: idempotent methods, and
    POST with an idempotency key. Raises Problem (the server refused), Unreachable, UnexpectedAnswer.
    """

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        new_patience: Callable[[], Patience],
        http: httpx.BaseTransport | None = None,
    ) -> None:
        self.server = server.rstrip("/")
        self.new_patience = new_patience
        self._token = token
        self._http = httpx.Client(
            transport=http,
            timeout=httpx.Timeout(60.0, connect=10.0),
            headers={"User-Agent": "potluck-client", "Accept": "application/json"},
        )

    lost = httpx.TransportError
    """What a connection that ended or was never made raises."""

    def close(self) -> None:
        self._http.close()

    def url(self, address: str) -> str:
        """An address of the API ('datasets/…'), a path on this server, or a whole URL."""
        if address.startswith(("http://", "https://", "/")):
            return urljoin(self.server + "/", address)
        return self.server + API + address

    def json(self, method: str, address: str, **options: Any) -> Any:
        """The parsed JSON of the answer. Options as in `request`."""
        response = self.request(method, address, **options)
        try:
            return response.json()
        except ValueError:
            raise UnexpectedAnswer(
                "the answer is not JSON",
                where=f"{method} {response.request.url}",
                remedy="Check that the address is that of a Potluck server.",
            ) from None

    def request(
        self,
        method: str,
        address: str,
        *,
        body: object | None = None,
        params: Mapping[str, str | int] | list[tuple[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> httpx.Response:
        """One answer below 400, after as many tries as patience allows."""
        sent = dict(headers or {})
        if idempotency_key:
            sent["Idempotency-Key"] = idempotency_key
        repeatable = method in _IDEMPOTENT or idempotency_key is not None
        patience = self.new_patience()
        while True:
            request = self._build(method, address, headers=sent, json=body, params=params)
            try:
                response = self._http.send(request)
            except httpx.TransportError as error:
                # A connection that was never made has carried nothing: trying again is safe for every method.
                safe = repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                if safe and patience.wait():
                    continue
                raise self.unreachable(error) from error
            if repeatable and _may_be_repeated(response) and patience.wait(retry_after(response)):
                continue
            return self.checked(response)

    def send_once(
        self, method: str, address: str, *, headers: Mapping[str, str], content: Iterable[bytes]
    ) -> httpx.Response:
        """One try, whatever comes back; raises httpx.TransportError. For uploads, which know how to go on."""
        return self._http.send(self._build(method, address, headers=headers, content=content))

    @contextmanager
    def stream(
        self,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        read_timeout_seconds: float = 60.0,
    ) -> Iterator[httpx.Response]:
        """A GET whose body is read piece by piece; one try, raises httpx.TransportError while reading."""
        request = self._build("GET", address, headers=headers)
        request.extensions["timeout"]["read"] = read_timeout_seconds
        response = self._http.send(request, stream=True, follow_redirects=True)
        try:
            yield response
        finally:
            response.close()

    def body(self, response: httpx.Response) -> Iterator[bytes]:
        """The raw bytes of a streamed answer, in pieces. Raises httpx.TransportError when they end too soon.

        Of a large plain body all but the first piece comes from the connection itself (`wire`).
        """
        pieces, stream = response.iter_raw(), response.extensions.get("network_stream")
        size = int(response.headers.get("Content-Length", 0))
        if stream is None or size < DIRECT_BYTES or "Transfer-Encoding" in response.headers or not _is_http_1(response):
            yield from pieces
            return
        # It is all that was read beyond the head: nothing of the body is held back after it.
        first = next(pieces, b"")
        yield first
        yield from rest_of(stream, size - len(first), response.request.extensions["timeout"]["read"])

    def broken(self, what: str) -> httpx.TransportError:
        """A connection that ended too soon, to be made again."""
        return httpx.RemoteProtocolError(what)

    def seconds_to(self, address: str) -> float | None:
        """How long an address takes to answer on a warm connection; None when it does not."""
        took = None
        for _ in range(2):
            begun = time.perf_counter()
            try:
                self._http.get(self.url(address), timeout=PROBE_SECONDS)
            except httpx.HTTPError:
                return None
            took = time.perf_counter() - begun
        return took

    def checked(self, response: httpx.Response) -> httpx.Response:
        """The same response when it is below 400. Raises Problem."""
        if response.status_code < 400:
            return response
        raise problem(response)

    def unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"the server does not answer: {_in_words(error)}",
            where=self.server,
            remedy="Check the address (--server) and your connection, then run the same command again: "
            "it continues where it stopped.",
        )

    def _build(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        **content: Any,
    ) -> httpx.Request:
        stopping.check()
        url = self.url(address)
        sent = dict(headers or {})
        # The token belongs to this server alone: an address elsewhere never sees it.
        if self._token and "Authorization" not in sent and urlsplit(url).netloc == urlsplit(self.server).netloc:
            sent["Authorization"] = f"Bearer {self._token}"
        try:
            return self._http.build_request(method, url, headers=sent, **content)
        except httpx.InvalidURL as error:
            raise PotluckError(
                f"{url!r} is not an address",
                where="--server",
                remedy="Write it as http://host:port or https://host",
            ) from error


def _is_http_1(response: httpx.Response) -> bool:
    return response.http_version in ("HTTP/1.0", "HTTP/1.1")


def _may_be_repeated(response: httpx.Response) -> bool:
    """Whether the server is busy, or still at the same request: 409 otherwise is an answer."""
    if response.status_code in RETRIED_STATUS:
        return True
    return response.status_code == 409 and problem(response).kind.endswith(UNDER_WAY)


def problem(response: httpx.Response) -> Problem:
    """The refusal in the server's words, or in ours where it gave none."""
    where = f"{response.request.method} {response.request.url.path}"
    try:
        told = json.loads(response.read())
    except ValueError:
        told = None
    if not isinstance(told, dict):
        told = {}
    remedy = str(told.get("remedy") or "")
    if response.status_code == 401 and str(told.get("type", "")).endswith(":wrong-token"):
        remedy = "The token was revoked, has expired, or is of another server. Sign in again: potluck login"
    elif response.status_code == 401 and not remedy:
        remedy = "Sign in: potluck login"
    if response.status_code == 503 and (seconds := retry_after(response)):
        remedy = f"{remedy} It asks for {seconds:.0f} s of patience.".strip()
    return Problem(
        status=response.status_code,
        kind=str(told.get("type") or "about:blank"),
        title=str(told.get("title") or f"the server answered {response.status_code} {response.reason_phrase}"),
        detail=str(told.get("detail") or ""),
        field=str(told.get("field") or ""),
        remedy=remedy,
        where=where,
        location=response.headers.get("Location", ""),
    )


def _in_words(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__

"""HTTP with the manners of a good client: a token, safe retries, and errors in words."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from potluck.errors import PotluckError, Problem, UnexpectedAnswer, Unreachable
from potluck.retry import RETRIED_STATUS, Patience, retry_after

API = "/api/v1/"
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
        params: Mapping[str, str | int] | None = None,
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
            if response.status_code in RETRIED_STATUS and repeatable and patience.wait(retry_after(response)):
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
        url = self.url(address)
        sent = dict(headers or {})
        # The token belongs to this server alone: an address elsewhere never sees it.
        if self._token and urlsplit(url).netloc == urlsplit(self.server).netloc:
            sent["Authorization"] = f"Bearer {self._token}"
        try:
            return self._http.build_request(method, url, headers=sent, **content)
        except httpx.InvalidURL as error:
            raise PotluckError(
                f"{url!r} is not an address",
                where="--server",
                remedy="Write it as http://host:port or https://host",
            ) from error


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
    if response.status_code == 401 and not remedy:
        remedy = "Sign in: potluck login"
    return Problem(
        status=response.status_code,
        kind=str(told.get("type") or "about:blank"),
        title=str(told.get("title") or f"the server answered {response.status_code} {response.reason_phrase}"),
        detail=str(told.get("detail") or ""),
        field=str(told.get("field") or ""),
        remedy=remedy,
        where=where,
    )


def _in_words(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__

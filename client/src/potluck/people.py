"""Accounts, tokens, signing in by the browser."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

from potluck.base import Base, listed
from potluck.decode import decode
from potluck.errors import NotSignedIn, Problem, UnexpectedAnswer
from potluck.resources import Account, Token

SCOPES = ("read", "contribute")
DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSignIn:
    """A sign-in that waits for a word in the browser: open `url_with_code`, compare `code`, approve."""

    secret: str
    code: str
    url: str
    url_with_code: str
    expires_seconds: float
    interval_seconds: float


class People(Base):
    """Who is signed in, and how."""

    def sign_up(self, email: str, name: str, password: str) -> None:
        """Creates an account."""
        body = {"email": email, "name": name, "password": password}
        self._transport.json("POST", "accounts", body=body, idempotency_key=uuid4().hex)

    def new_token(
        self, email: str, password: str, name: str, *, scopes: Sequence[str] | None = None, days: int | None = None
    ) -> str:
        """An API token for the account; the server shows it this once. Without `scopes` it may do everything.

        When its answer was lost on the way the token is revoked and another one made.
        """
        body: dict[str, object] = {"email": email, "password": password, "name": name}
        body |= {"scopes": list(scopes)} if scopes else {}
        body |= {"expires_days": days} if days else {}
        lost = ""
        try:
            answer = self._transport.json("POST", "tokens", body=body, idempotency_key=uuid4().hex)
        except Problem as problem:
            if not problem.kind.endswith(":shown-once"):
                raise
            lost = problem.location
            answer = self._transport.json("POST", "tokens", body=body, idempotency_key=uuid4().hex)
        token = str(answer["token"])
        if lost:
            # A token without the scope 'account' may not; what nobody has seen does no harm.
            with suppress(Problem):
                self._transport.request("DELETE", lost, headers={"Authorization": f"Bearer {token}"})
        return token

    def begin_browser_sign_in(
        self, name: str, *, scopes: Sequence[str] = SCOPES, days: int | None = DAYS
    ) -> BrowserSignIn:
        """Asks the server for a code that the user approves on a page of the site. `days`: None for no end."""
        body = {"name": name, "scopes": list(scopes), "expires_days": days}
        begun = decode(BrowserSignIn, self._transport.json("POST", "sign-ins", body=body))
        for url in (begun.url, begun.url_with_code):
            # The address is opened in a browser that is signed in: only the site's own, and no other scheme.
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
                raise UnexpectedAnswer("the server names a page that is no web address", where=url[:200])
        return begun

    def wait_for_browser(self, begun: BrowserSignIn) -> str:
        """The token, when the user has approved. Raises NotSignedIn when they deny it or do not come."""
        until = self._clock() + begun.expires_seconds
        while self._clock() < until:
            self._sleep(begun.interval_seconds)
            try:
                answer = self._transport.json("POST", "sign-ins/token", body={"secret": begun.secret})
                return str(answer["token"])
            except Problem as problem:
                if problem.status in (428, 429):
                    continue
                if problem.status in (403, 410):
                    raise NotSignedIn(problem.what, where=self.server, remedy=problem.remedy) from problem
                raise
        raise NotSignedIn(
            "nobody approved the sign-in in time", where=begun.url, remedy="Start again: potluck login --browser"
        )

    def me(self) -> Account:
        self._require_token()
        return decode(Account, self._transport.json("GET", "me"))

    def tokens(self) -> tuple[Token, ...]:
        """The account's tokens, without their secrets; the token that asks needs the scope 'account'."""
        self._require_token()
        return decode(tuple[Token, ...], listed(self._transport.json("GET", "tokens"), "tokens"))

    def revoke_token(self, token_id: str) -> None:
        self._require_token()
        self._transport.request("DELETE", f"tokens/{token_id}")

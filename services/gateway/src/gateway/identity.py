"""Who asks: an API token in the Authorization header, else the session cookie."""

from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from gateway.accounts import Accounts
from gateway.domain import Person
from gateway.problems import Problem, sign_in_first

COOKIE = "potluck-session"
SECURE_COOKIE = "__Host-potluck-session"
_KNOWN = "potluck.person"


def accounts_of(request: Request) -> Accounts:
    accounts: Accounts = request.app.state.gateway.accounts
    return accounts


async def reader(request: Request) -> Person | None:
    """The person who asks; None for a stranger. A token that is not valid is an error, not a stranger."""
    if _KNOWN not in request.scope:
        request.scope[_KNOWN] = await _identify(request)
    person: Person | None = request.scope[_KNOWN]
    return person


async def signed_in(request: Request) -> Person:
    """The person who asks. Raises Problem 401 for a stranger."""
    person = await reader(request)
    if person is None:
        raise sign_in_first()
    return person


async def _identify(request: Request) -> Person | None:
    accounts = accounts_of(request)
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        person = await accounts.of_token(secret.strip()) if scheme.lower() == "bearer" else None
        if person is None:
            raise Problem(
                401,
                "wrong-token",
                "This token is not valid",
                "The Authorization header does not hold a token that we know.",
                remedy="Make a new token, or leave the header out.",
                headers={"www-authenticate": 'Bearer realm="potluck", error="invalid_token"'},
            )
        return person
    session = session_secret(request)
    return await accounts.of_session(session) if session else None


def session_secret(request: Request) -> str | None:
    return request.cookies.get(_cookie_name(request))


def set_session(request: Request, response: Response, secret: str) -> None:
    """Signed in from now on. Over HTTPS the cookie is bound to this host and never sent in the clear."""
    settings = request.app.state.gateway.settings
    response.set_cookie(
        _cookie_name(request),
        secret,
        max_age=int(settings.session_days * 86400),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def clear_session(request: Request, response: Response) -> None:
    response.delete_cookie(
        _cookie_name(request), path="/", secure=request.url.scheme == "https", httponly=True, samesite="lax"
    )


def client_address(request: Request) -> str:
    """The address that attempts to sign in are counted under: a whole /64 for IPv6."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    return str(address) if address.version == 4 else ":".join(address.exploded.split(":")[:4])


def _cookie_name(request: Request) -> str:
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE

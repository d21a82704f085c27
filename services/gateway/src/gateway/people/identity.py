"""Who asks: an API token in the Authorization header, else the session cookie."""

from ipaddress import ip_address
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain import Mark, Person
from gateway.forms.account_fields import needed_scope, scope_missing
from gateway.people.accounts import Accounts
from gateway.problems import Problem, sign_in_first

COOKIE = "potluck-session"
FLOW_COOKIE = "potluck-sign-in"
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


async def still(request: Request) -> bool:
    """Whether who asked would still be the same person: asked anew, not remembered."""
    before: Person | None = request.scope.pop(_KNOWN, None)
    now = await reader(request)
    return (before and before.id) == (now and now.id)


async def signed_in(request: Request) -> Person:
    """The person who asks. Raises Problem 401 for a stranger."""
    person = await reader(request)
    if person is None:
        raise sign_in_first()
    return person


async def _identify(request: Request) -> Person | None:
    authorization = request.headers.get("authorization")
    if authorization is not None:
        scheme, _, secret = authorization.partition(" ")
        tokens = request.app.state.gateway.tokens
        known = await tokens.person(secret.strip()) if scheme.lower() == "bearer" else None
        if known is None:
            raise Problem(
                401,
                "wrong-token",
                "This token is not valid",
                "The Authorization header does not hold a token that we know.",
                remedy="Make a new token, or leave the header out.",
                headers={"www-authenticate": 'Bearer realm="potluck", error="invalid_token"'},
            )
        person: Person = known[0]
        needed = needed_scope(request.method, request.url.path)
        if needed not in known[1]:
            raise scope_missing(needed)
        return person
    session = session_secret(request)
    return await accounts_of(request).of_session(session) if session else None


async def session_reader(request: Request, secret: str, dataset_id: UUID) -> tuple[Person | None, Mark | None]:
    """The person who has the session, and what they may see of a dataset, as of one moment. As `reader` afterwards."""
    found = await accounts_of(request).of_session_before(secret, dataset_id)
    request.scope[_KNOWN] = found[0] if found else None
    return found or (None, None)


def session_secret(request: Request) -> str | None:
    return request.cookies.get(_cookie_name(request, COOKIE))


def set_session(request: Request, response: Response, secret: str) -> None:
    """Signed in from now on."""
    _set(request, response, COOKIE, secret, request.app.state.gateway.settings.session_days * 86400)


def clear_session(request: Request, response: Response) -> None:
    _clear(request, response, COOKIE)


def flow_secret(request: Request) -> str | None:
    """Of a sign-in on its way through a provider."""
    return request.cookies.get(_cookie_name(request, FLOW_COOKIE))


def set_flow(request: Request, response: Response, secret: str, seconds: float) -> None:
    _set(request, response, FLOW_COOKIE, secret, seconds)


def clear_flow(request: Request, response: Response) -> None:
    _clear(request, response, FLOW_COOKIE)


def device_of(request: Request) -> str:
    """What the browser calls itself."""
    agent = request.headers.get("user-agent", "")
    return "".join(character for character in agent if character.isprintable())


def client_address(request: Request) -> str:
    """The address that attempts to sign in are counted under: a whole /64 for IPv6."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return "unknown"
    return str(address) if address.version == 4 else ":".join(address.exploded.split(":")[:4])


def _cookie_name(request: Request, name: str) -> str:
    return f"__Host-{name}" if request.url.scheme == "https" else name


def _set(request: Request, response: Response, name: str, secret: str, seconds: float) -> None:
    """Over HTTPS the cookie is bound to this host and never sent in the clear."""
    response.set_cookie(
        _cookie_name(request, name),
        secret,
        max_age=int(seconds),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )


def _clear(request: Request, response: Response, name: str) -> None:
    response.delete_cookie(
        _cookie_name(request, name), path="/", secure=request.url.scheme == "https", httponly=True, samesite="lax"
    )

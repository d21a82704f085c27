"""Pure rules of webhooks: where one may lead, what it may be told, how a delivery is signed, when it is tried again."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from contracts.events import EVENTS
from contracts.topology import is_public

from gateway.problems import FieldError, invalid

TYPES = tuple(event.ce_type() for event in EVENTS if is_public(event.nats_subject))
"""CloudEvents types that may be asked for."""
SECRET_PREFIX = "whsec_"  # noqa: S105  what secrets of Standard Webhooks begin with
SECRET_BYTES = 32
URL_LENGTH = 1000
DELAYS_SECONDS = (5, 60, 300, 1800, 7200, 18000, 36000, 50400)
"""Before each further try: 32 hours in all. One that has failed for a day is disabled before that."""
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for."""

    url: str
    types: tuple[str, ...]


def wanted(fields: Mapping[str, Any], *, anywhere: bool) -> Wanted:
    """`anywhere`: plain HTTP and addresses of this network may be asked for.

    Raises Problem 422 with every wrong field.
    """
    url, types = fields.get("url"), fields.get("types")
    errors = []
    if (wrong := _url_error(url, anywhere=anywhere)) is not None:
        errors.append(wrong)
    if not isinstance(types, list | tuple) or not types or not all(one in TYPES for one in types):
        errors.append(FieldError("types", "Choose at least one kind of event.", "They are those of /api/events."))
    if errors:
        raise invalid(errors)
    chosen = tuple(one for one in TYPES if one in (types or ()))
    return Wanted(str(url).strip(), chosen)


def _url_error(url: Any, *, anywhere: bool) -> FieldError | None:
    text = url.strip() if isinstance(url, str) else ""
    remedy = "Write it as https://example.org/path, without a name or password in it."
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return FieldError("url", "This is not an address.", remedy)
    odd = len(text) > URL_LENGTH or not text.isascii() or not text.isprintable() or " " in text
    if odd or not parts.hostname or port == 0 or parts.username is not None or parts.password is not None:
        return FieldError("url", "This is not an address.", remedy)
    if parts.scheme != "https" and not (anywhere and parts.scheme == "http"):
        return FieldError("url", "Events are sent by HTTPS only.", remedy)
    try:
        literal = ip_address(parts.hostname)
    except ValueError:
        return None
    if not anywhere and not is_public_address(literal):
        return FieldError("url", "This address is not on the public internet.", "Give one that anybody could reach.")
    return None


def is_public_address(address: IPv4Address | IPv6Address) -> bool:
    """Whether it belongs to the public internet: not to this machine, its networks, or anything that leads there."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public_address(inner)
        if address.is_site_local or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: HMAC-SHA256 over id, seconds since 1970 and body, as Standard Webhooks says."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def delay_after(attempts: int) -> float | None:
    """Seconds until the next try when so many have failed; None: no more."""
    return DELAYS_SECONDS[attempts - 1] if attempts <= len(DELAYS_SECONDS) else None

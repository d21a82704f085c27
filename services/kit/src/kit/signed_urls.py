"""Addresses of stored objects that anyone may fetch until they expire: who knows the secret made them."""

import hashlib
import hmac
from urllib.parse import quote, urlencode

from pydantic import SecretStr

PATH = "/api/v1/files/"
"""Where the gateway answers them."""


class SignatureRefused(Exception):
    """The address was changed, made by somebody else, or is too old; the text says which."""


def signed_url(site: str, key: str, expires: int, secret: SecretStr) -> str:
    """`expires`: seconds since 1970."""
    query = urlencode({"expires": expires, "signature": _signature(key, expires, secret)})
    return f"{site.rstrip('/')}{PATH}{quote(key)}?{query}"


def check(key: str, expires: str | None, signature: str | None, secret: SecretStr, now: float) -> None:
    """Raises SignatureRefused."""
    if not expires or not signature:
        raise SignatureRefused("The address has no signature.")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        raise SignatureRefused("The address says no time at which it expires.")
    wanted = _signature(key, int(expires), secret)
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        raise SignatureRefused("The signature does not belong to this address.")
    if now >= int(expires):
        raise SignatureRefused("The address has expired.")


def _signature(key: str, expires: int, secret: SecretStr) -> str:
    return hmac.new(secret.get_secret_value().encode(), f"{key}\n{expires}".encode(), hashlib.sha256).hexdigest()

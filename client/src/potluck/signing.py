"""Ed25519 signatures of a platform: receipts of contributions, manifests of models. cryptography is imported late."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potluck.decode import decode
from potluck.errors import LocalFileError, PotluckError, UnexpectedAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A public key of a platform (base64). One that was replaced stays good for what it signed."""

    key_id: str
    public_key: str
    since: str = ""
    until: str | None = None


class NotGenuine(PotluckError):
    """What was signed is not what is here."""


def canonical(document: object) -> bytes:
    """The bytes of parsed JSON that are signed: keys sorted, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def verify_receipt(document: Mapping[str, Any], keys: Iterable[SigningKey], where: str = "") -> SigningKey:
    """The key that signed this receipt. Raises NotGenuine, UnexpectedAnswer."""
    receipt, signature = document.get("receipt"), document.get("signature")
    if not (isinstance(receipt, Mapping) and isinstance(signature, Mapping)):
        raise UnexpectedAnswer("this is not a receipt: it has no `receipt` and `signature`", where=where)
    return verify(canonical(receipt), signature, keys, where)


def verify(data: bytes, signature: Mapping[str, Any], keys: Iterable[SigningKey], where: str = "") -> SigningKey:
    """The key that signed these bytes. Raises NotGenuine, UnexpectedAnswer."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if signature.get("algorithm") != "Ed25519":
        raise UnexpectedAnswer(f"the signature is {signature.get('algorithm')!r}, not Ed25519", where=where)
    known = {key.key_id: key for key in keys}
    key = known.get(str(signature.get("key_id")))
    if key is None:
        raise NotGenuine(
            f"it is signed with key {signature.get('key_id')}, which is none of the platform's",
            where=where,
            remedy=f"Known keys: {', '.join(known) or 'none'}. Give the platform's own with --key.",
        )
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.public_key, validate=True))
        public.verify(base64.b64decode(str(signature.get("value")), validate=True), data)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise NotGenuine(
            "the signature does not fit: it was changed after it was signed",
            where=where,
            remedy="Fetch it from the platform again.",
        ) from error
    return key


def key_from(text: str) -> tuple[SigningKey, ...]:
    """Keys as somebody gives them: a file like /.well-known/potluck-keys.json, or one public key as base64."""
    path = Path(text)
    if not path.exists():
        return (one_key(text),)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LocalFileError(f"the keys cannot be read: {error}", where=text, remedy="Fetch them again.") from error
    found = content.get("keys") if isinstance(content, dict) else content
    return decode(tuple[SigningKey, ...], found, text)


def one_key(public_key: str) -> SigningKey:
    """Of 32 bytes as base64. Raises LocalFileError."""
    import hashlib

    try:
        raw = base64.b64decode(public_key, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != 32:
        raise LocalFileError(
            "this is neither a file of keys nor a public key",
            where="--key",
            remedy="Give the file of https://…/.well-known/potluck-keys.json, or one key: 44 characters of base64.",
        )
    return SigningKey(key_id=hashlib.sha256(raw).hexdigest()[:16], public_key=public_key)

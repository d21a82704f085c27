"""Pure rules for what people type about themselves: addresses, names, passwords, tokens."""

import hashlib
import re
from typing import Any, get_args

from gateway.forms.unseen import TYPE_ANEW, holds, unseen
from gateway.problems import FieldError, Problem, invalid
from gateway.views.datasets import Scope

PASSWORD_LENGTH = range(8, 1001)
NAME_LENGTH = 100
SCOPES: tuple[Scope, ...] = get_args(Scope)
TOKEN_DAYS = range(1, 3651)

NO_EMAIL = FieldError("email", "This is not an e-mail address.", "Write it as name@example.org, without spaces.")
_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+")


def digest(secret: str) -> bytes:
    """What is stored of the secret of a session, token, link or flow: it is random, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def email_of(value: Any) -> str:
    """As it is stored. Raises Problem 422."""
    address = value.strip().lower() if isinstance(value, str) else ""
    if not _is_email(address):
        raise invalid([NO_EMAIL])
    return address


def name_of(value: Any) -> str:
    """The name under which somebody is credited. Raises Problem 422."""
    error = _name_error(value)
    if error:
        raise invalid([error])
    return str(value).strip()


def password_of(value: Any, email: str, field: str = "password") -> str:
    """A password that may be set. Raises Problem 422."""
    error = _password_error(value, email, field)
    if error:
        raise invalid([error])
    return str(value)


def sign_up_fields(email: Any, name: Any, password: Any) -> tuple[str, str, str]:
    """All three as they are stored. Raises Problem 422 that lists every wrong one."""
    address = email.strip().lower() if isinstance(email, str) else ""
    errors = [
        None if _is_email(address) else NO_EMAIL,
        _name_error(name),
        _password_error(password, address, "password"),
    ]
    wrong = [error for error in errors if error]
    if wrong:
        raise invalid(wrong)
    return address, str(name).strip(), str(password)


def label_of(value: Any) -> str:
    """The name of a token. Raises Problem 422."""
    label = value.strip() if isinstance(value, str) else ""
    if hidden := unseen(label):
        raise invalid([FieldError("name", holds("The name", hidden), TYPE_ANEW)])
    if not label or len(label) > NAME_LENGTH:
        detail = f"A token needs a name of 1 to {NAME_LENGTH} characters."
        raise invalid([FieldError("name", detail, "Name what will use it, e.g. 'laptop'.")])
    return label


def scopes_of(value: Any) -> list[Scope]:
    """What a token may do; without a word of it, everything. Raises Problem 422."""
    if value is None:
        return list(SCOPES)
    asked = value if isinstance(value, list) else []
    if not asked or any(one not in SCOPES for one in asked):
        detail = "This is not what a token may be for."
        raise invalid([FieldError("scopes", detail, f"Choose at least one of: {', '.join(SCOPES)}.")])
    return [scope for scope in SCOPES if scope in asked]


def days_of(value: Any) -> int | None:
    """After how many days a token ends; None for never. Raises Problem 422."""
    if value is None or value == "":
        return None
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or int(text[:9]) not in TOKEN_DAYS:
        detail = "This is not for how long a token may last."
        remedy = f"Give 1 to {TOKEN_DAYS.stop - 1} days, or nothing for a token without an end."
        raise invalid([FieldError("expires_days", detail, remedy)])
    return int(text)


def needed_scope(method: str, path: str) -> Scope:
    """What a token must be for to send such a request.

    Derived here for every route, so that none can forget it: whoever reads needs `read`, whoever writes `contribute`,
    and whatever changes who may act as the person `account`. Having a structure predicted is reading: nothing of
    anybody's changes by it.
    """
    if path.startswith("/api/v1/models/") and path.endswith("/predictions"):
        return "read"
    if path.startswith(("/account", "/device", "/api/v1/tokens", "/api/v1/sessions", "/api/v1/identities")):
        return "account"
    if path.startswith("/api/v1/me") and method not in ("GET", "HEAD"):
        return "account"
    return "read" if method in ("GET", "HEAD", "OPTIONS") else "contribute"


def scope_missing(needed: Scope) -> Problem:
    return Problem(
        403,
        "scope-missing",
        "This token is for less",
        f"The token lacks the scope '{needed}', which this request needs.",
        remedy="Make a token with that scope on your account's page.",
        headers={"www-authenticate": f'Bearer realm="potluck", error="insufficient_scope", scope="{needed}"'},
    )


def _is_email(text: str) -> bool:
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def _name_error(value: Any) -> FieldError | None:
    name = value.strip() if isinstance(value, str) else ""
    if hidden := unseen(name):
        return FieldError("name", holds("The name", hidden), TYPE_ANEW)
    if name and len(name) <= NAME_LENGTH:
        return None
    detail = f"A name has 1 to {NAME_LENGTH} characters."
    return FieldError("name", detail, "Write your name as it should be credited.")


def _password_error(value: Any, email: str, field: str) -> FieldError | None:
    if not isinstance(value, str) or len(value) not in PASSWORD_LENGTH:
        detail = f"A password has {PASSWORD_LENGTH.start} to {PASSWORD_LENGTH.stop - 1} characters."
        return FieldError(field, detail, "Choose a longer one; a sentence is easy to remember.")
    if email and value.strip().lower() == email:
        return FieldError(field, "The password is the e-mail address.", "Choose another one.")
    return None

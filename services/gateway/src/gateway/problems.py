"""Errors that people read (RFC 9457): what happened, where, and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TYPE_PREFIX = "urn:potluck:problem:"


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request."""

    field: str
    detail: str
    remedy: str


class Problem(Exception):
    """An answer that is an error. `rule` is a stable id for programs; the rest is for people."""

    def __init__(
        self,
        status: int,
        rule: str,
        title: str,
        detail: str,
        *,
        remedy: str | None = None,
        field: str | None = None,
        headers: dict[str, str] | None = None,
        errors: Sequence[FieldError] = (),
        numbers: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.rule = rule
        self.title = title
        self.detail = detail
        self.remedy = remedy
        self.field = field
        self.headers = headers or {}
        self.errors = tuple(errors)
        self.numbers = dict(numbers or {})

    def body(self) -> dict[str, Any]:
        """The JSON members; `errors` lists every field that is wrong when more than one is, `numbers` are members."""
        members: dict[str, Any] = {
            "type": f"{TYPE_PREFIX}{self.rule}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field is not None:
            members["field"] = self.field
        if self.remedy is not None:
            members["remedy"] = self.remedy
        if self.errors:
            members["errors"] = [
                {"field": one.field, "detail": one.detail, "remedy": one.remedy} for one in self.errors
            ]
        return members | self.numbers


def invalid(errors: Sequence[FieldError]) -> Problem:
    """422 for fields that cannot be taken as they are; the first one leads."""
    first = errors[0]
    return Problem(
        422,
        "invalid-field",
        "Something in the form needs another look",
        first.detail,
        remedy=first.remedy,
        field=first.field,
        errors=errors,
    )


def invalid_field(field: str, detail: str, remedy: str) -> Problem:
    return invalid([FieldError(field, detail, remedy)])


def not_found(what: str, remedy: str | None = None) -> Problem:
    """404, also for what exists but is not the reader's to see: both look the same."""
    return Problem(404, "not-found", "Not here", f"There is no such {what}, or it is not public.", remedy=remedy)


def no_such_page() -> Problem:
    """404 of an address that nobody answers; pages that are not the reader's to know of look the same."""
    return Problem(
        404,
        "http",
        "Not Found",
        "There is no such page.",
        remedy="Check the address: part of it may be missing or mistyped.",
    )


def sign_in_first() -> Problem:
    return Problem(
        401,
        "not-signed-in",
        "Sign in first",
        "This needs an account.",
        remedy="Sign in, or send an API token as 'Authorization: Bearer …'.",
        headers={"www-authenticate": 'Bearer realm="potluck"'},
    )

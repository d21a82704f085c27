"""The entry form: every field checked, every complaint with its remedy."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts.base import LevelOfTheory
from pydantic import ValidationError

from gateway.problems import FieldError, invalid

NAME_LENGTH = 200
AUTHORS = 200
DESCRIPTION_LENGTH = 100_000
THEORY_LENGTH = 200
KEY_LENGTH = 200
DETECT = "detect"


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that can be published."""

    upload_id: UUID
    name: str
    authors: tuple[str, ...]
    format: str
    licence: str
    private: bool
    description: str
    level_of_theory: LevelOfTheory | None
    agreement: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Rules:
    """What an entry is checked against. `formats`: every name and alias → dpdata's name."""

    formats: Mapping[str, str]
    licences: Collection[str]
    agreement: str


class _Wrong(ValueError):
    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


def fingerprint(payload: Mapping[str, Any]) -> str:
    """Tells a repeated request from another one under the same idempotency key."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True, default=str).encode()).hexdigest()


def read_draft(payload: Mapping[str, Any], rules: Rules) -> Draft:
    """Raises Problem 422 that names every wrong field."""
    errors: list[FieldError] = []
    values: dict[str, Any] = {}
    for field, check in _CHECKS.items():
        try:
            values[field] = check(payload.get(field), rules)
        except _Wrong as wrong:
            errors.append(FieldError(field, wrong.detail, wrong.remedy))
    unknown = sorted(set(payload) - set(_CHECKS))
    if unknown:
        known = ", ".join(_CHECKS)
        errors.append(FieldError(unknown[0][:100], "There is no such field.", f"The fields are: {known}."))
    if errors:
        raise invalid(errors)
    return Draft(**values)


def read_key(key: str | None) -> str | None:
    """The Idempotency-Key header."""
    if key is None:
        return None
    if not key or len(key) > KEY_LENGTH or not key.isprintable():
        detail = f"An Idempotency-Key has 1 to {KEY_LENGTH} printable characters."
        raise invalid([FieldError("Idempotency-Key", detail, "Send a UUID, the same one at every repetition.")])
    return key


def _line(value: Any, most: int) -> str | None:
    """One line of text, or None."""
    text = value.strip() if isinstance(value, str) else ""
    return text if text and len(text) <= most and text.isprintable() else None


def _upload_id(value: Any, _rules: Rules) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise _Wrong("This does not name an upload.", "Send the id at the end of the upload's Location.") from None


def _name(value: Any, _rules: Rules) -> str:
    name = _line(value, NAME_LENGTH)
    if name is None:
        raise _Wrong(
            f"A dataset needs a name of 1 to {NAME_LENGTH} characters.",
            "Say what was computed, e.g. 'SiC, 300–2000 K'.",
        )
    return name


def _authors(value: Any, _rules: Rules) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= AUTHORS:
        raise _Wrong("A dataset needs at least one author.", f"Send a list of 1 to {AUTHORS} names, in your order.")
    names = []
    for number, one in enumerate(value, 1):
        name = _line(one, NAME_LENGTH)
        if name is None:
            raise _Wrong(f"Author {number} has no name.", f"Write 1 to {NAME_LENGTH} characters, or leave it out.")
        if name in names:
            raise _Wrong(f"'{name}' is there twice.", "Name every author once.")
        names.append(name)
    return tuple(names)


def _format(value: Any, rules: Rules) -> str:
    if value == DETECT:
        return DETECT
    name = rules.formats.get(value) if isinstance(value, str) else None
    if name is None:
        shown = f"'{value[:60]}' is not" if isinstance(value, str) and value else "This is not"
        raise _Wrong(
            f"{shown} a format with labels that dpdata reads.",
            "Choose one from /api/v1/formats, or 'detect' to let us find out.",
        )
    return name


def _licence(value: Any, rules: Rules) -> str:
    if not isinstance(value, str) or value not in rules.licences:
        raise _Wrong("This licence is not among ours.", f"Choose one of {', '.join(rules.licences)}.")
    return value


def _private(value: Any, _rules: Rules) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _Wrong("This is neither true nor false.", "Send true to keep the dataset to yourself, else false.")
    return value


def _description(value: Any, _rules: Rules) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Wrong("The description is not text.", "Send Markdown as a string.")
    if len(value) > DESCRIPTION_LENGTH or "\x00" in value:
        raise _Wrong(
            f"The description has {len(value)} characters, or one that is not text.",
            f"Keep it to {DESCRIPTION_LENGTH} characters and put the rest into the archive.",
        )
    return value


def _level_of_theory(value: Any, _rules: Rules) -> LevelOfTheory | None:
    if value is None:
        return None
    known = ", ".join(LevelOfTheory.model_fields)
    remedy = f"Send an object with any of {known}; cutoff_ev is a positive number in eV, the others are text."
    if not isinstance(value, Mapping) or set(value) - set(LevelOfTheory.model_fields):
        raise _Wrong("This does not describe a level of theory.", remedy)
    try:
        level = LevelOfTheory.model_validate(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise _Wrong(f"{'.'.join(map(str, first['loc']))}: {first['msg']}.", remedy) from error
    texts = [text for text in level.model_dump().values() if isinstance(text, str)]
    if any(_line(text, THEORY_LENGTH) is None for text in texts):
        raise _Wrong(f"Each text has 1 to {THEORY_LENGTH} characters on one line.", remedy)
    if level.cutoff_ev is not None and level.cutoff_ev <= 0:
        raise _Wrong("The cutoff is not positive.", remedy)
    return level


def _agreement(value: Any, rules: Rules) -> str:
    if value is True or value == rules.agreement:
        return rules.agreement
    if isinstance(value, str) and value:
        raise _Wrong(f"The agreement in force is {rules.agreement}.", "Read it again and agree to that version.")
    raise _Wrong("The contributor agreement has not been agreed to.", "Read it and agree to it: send true.")


def _sha256(value: Any, _rules: Rules) -> str | None:
    if value is None:
        return None
    text = value.lower() if isinstance(value, str) else ""
    if len(text) != 64 or set(text) - set("0123456789abcdef"):
        raise _Wrong("This is not a SHA-256.", "Send 64 hex digits, or leave it out.")
    return text


_CHECKS: dict[str, Callable[[Any, Rules], Any]] = {
    "upload_id": _upload_id,
    "name": _name,
    "authors": _authors,
    "format": _format,
    "licence": _licence,
    "private": _private,
    "description": _description,
    "level_of_theory": _level_of_theory,
    "agreement": _agreement,
    "sha256": _sha256,
}

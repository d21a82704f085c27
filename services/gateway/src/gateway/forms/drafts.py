"""The entry form: every field checked, every complaint with its remedy."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from contracts.base import LevelOfTheory
from pydantic import ValidationError

from gateway.forms import orcid
from gateway.forms.unseen import TYPE_ANEW, holds, unseen
from gateway.problems import FieldError, invalid

NAME_LENGTH = 200
AUTHORS = 200
DESCRIPTION_LENGTH = 100_000
THEORY_LENGTH = 200
KEY_LENGTH = 200
DETECT = "detect"


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry that can be published. `dataset_id`: it becomes the next version of that dataset."""

    upload_id: UUID
    dataset_id: UUID | None
    name: str
    authors: tuple["Author", ...]
    dpa: bool
    format: str
    licence: str
    private: bool
    description: str
    level_of_theory: LevelOfTheory | None
    agreement: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Author:
    """In the order of the entry. `orcid`: with its dashes."""

    name: str
    orcid: str | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """What a private dataset says when it becomes public; none: as it was."""

    licence: str | None
    authors: tuple[Author, ...] | None
    description: str | None
    agreement: str


@dataclass(frozen=True, slots=True)
class Rules:
    """What an entry is checked against. `formats`: every name and alias → dpdata's name."""

    licences: Collection[str]
    agreement: str
    formats: Mapping[str, str] = field(default_factory=dict)


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
    shared_only = payload.get("dpa") is False
    values, errors = _read({"format": DETECT} | dict(payload) if shared_only else payload, _CHECKS, rules)
    if shared_only and values.get("private"):
        detail = "A private dataset that is only shared would be of use to nobody."
        errors.append(FieldError("private", detail, "Upload it to the DPA dataset, or make it public."))
    if errors:
        raise invalid(errors)
    return Draft(**values)


def read_publication(payload: Mapping[str, Any], rules: Rules) -> Publication:
    """Raises Problem 422 that names every wrong field. What is absent stays as it is."""
    optional = {name: _CHECKS[name] for name in ("licence", "authors", "description") if payload.get(name) is not None}
    values, errors = _read(payload, optional | {"agreement": _agreement}, rules, (*_PUBLICATION,))
    if errors:
        raise invalid(errors)
    absent: dict[str, Any] = dict.fromkeys(_PUBLICATION)
    return Publication(**absent | values)


def _read(
    payload: Mapping[str, Any], checks: Mapping[str, "Check"], rules: Rules, known: Collection[str] = ()
) -> tuple[dict[str, Any], list[FieldError]]:
    """The fields that are right, and what is wrong with the others."""
    errors: list[FieldError] = []
    values: dict[str, Any] = {}
    for name, check in checks.items():
        try:
            values[name] = check(payload.get(name), rules)
        except _Wrong as wrong:
            errors.append(FieldError(name, wrong.detail, wrong.remedy))
    unknown = sorted(set(payload) - set(checks) - set(known))
    if unknown:
        listed = ", ".join(known or checks)
        errors.append(FieldError(unknown[0][:100], "There is no such field.", f"The fields are: {listed}."))
    return values, errors


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
    return text if text and len(text) <= most and unseen(text) is None else None


def _unseen_problem(value: Any, what: str) -> _Wrong | None:
    hidden = unseen(value.strip()) if isinstance(value, str) else None
    return None if hidden is None else _Wrong(holds(what, hidden), TYPE_ANEW)


def _upload_id(value: Any, _rules: Rules) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise _Wrong("This does not name an upload.", "Send the id at the end of the upload's Location.") from None


def _name(value: Any, _rules: Rules) -> str:
    if hidden := _unseen_problem(value, "The name"):
        raise hidden
    name = _line(value, NAME_LENGTH)
    if name is None:
        raise _Wrong(
            f"A dataset needs a name of 1 to {NAME_LENGTH} characters.",
            "Say what was computed, e.g. 'SiC, 300–2000 K'.",
        )
    return name


def _authors(value: Any, _rules: Rules) -> tuple[Author, ...]:
    """Each a name, or an object {name, orcid}."""
    if not isinstance(value, list) or not value:
        raise _Wrong("A dataset needs at least one author.", f"Send a list of 1 to {AUTHORS} names, in your order.")
    if len(value) > AUTHORS:
        raise _Wrong(f"{len(value)} authors are more than an entry takes.", f"Name at most {AUTHORS}.")
    authors: dict[str, Author] = {}
    for number, one in enumerate(value, 1):
        author = _author(number, one)
        if author.name in authors:
            raise _Wrong(f"'{author.name}' is there twice.", "Name every author once.")
        authors[author.name] = author
    return tuple(authors.values())


def _author(number: int, value: Any) -> Author:
    given, claimed = value, None
    if isinstance(value, Mapping):
        if set(value) - {"name", "orcid"}:
            raise _Wrong(f"Author {number} has a field that we do not know.", "Send {name, orcid}, or the name alone.")
        given, claimed = value.get("name"), value.get("orcid")
    if hidden := _unseen_problem(given, f"The name of author {number}"):
        raise hidden
    name = _line(given, NAME_LENGTH)
    if name is None:
        detail = f"Author {number} needs a name of 1 to {NAME_LENGTH} characters."
        raise _Wrong(detail, "Write one, or leave the author out.")
    if claimed is None or claimed == "":
        return Author(name)
    found = orcid.canonical(claimed) if isinstance(claimed, str) else None
    if found is None:
        raise _Wrong(
            f"The ORCID iD of {name} is not valid: its last digit does not fit the others, or digits are missing.",
            "Copy it from orcid.org, e.g. 0000-0002-1825-0097, or leave it out.",
        )
    return Author(name, found)


def _dpa(value: Any, _rules: Rules) -> bool:
    if value is None:
        return True
    if not isinstance(value, bool):
        raise _Wrong("This is neither true nor false.", "Send false to share the dataset without training on it.")
    return value


def _dataset_id(value: Any, _rules: Rules) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(str(value))
    except ValueError:
        raise _Wrong("This does not name a dataset.", "Send the id of yours that this is a new version of.") from None


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


Check = Callable[[Any, Rules], Any]

_PUBLICATION = ("licence", "authors", "description", "agreement")
_CHECKS: dict[str, Check] = {
    "upload_id": _upload_id,
    "dataset_id": _dataset_id,
    "name": _name,
    "authors": _authors,
    "dpa": _dpa,
    "format": _format,
    "licence": _licence,
    "private": _private,
    "description": _description,
    "level_of_theory": _level_of_theory,
    "agreement": _agreement,
    "sha256": _sha256,
}

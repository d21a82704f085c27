"""ORCID iDs: sixteen digits of which the last is a checksum (ISO 7064, mod 11-2; X is ten)."""

import re

_SHAPE = re.compile(r"(?:https?://orcid\.org/)?(\d{4})-?(\d{4})-?(\d{4})-?(\d{3}[\dXx])", re.ASCII)


def canonical(text: str) -> str | None:
    """0000-0002-1825-0097, also of an address or without dashes; None when it is none or its checksum is wrong."""
    found = _SHAPE.fullmatch(text.strip())
    if found is None:
        return None
    digits = "".join(found.groups()).upper()
    return "-".join(digits[start : start + 4] for start in range(0, 16, 4)) if _holds(digits) else None


def _holds(digits: str) -> bool:
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return digits[-1] == ("X" if check == 10 else str(check))


def split(text: str) -> tuple[str, str]:
    """A name and what follows it that looks like an iD: 'Mei Lin 0000-0002-1825-0097', '… (https://orcid.org/…)'.

    The second is empty when nothing does; whether it is an iD is not said.
    """
    found = re.search(r"[\s(\[,;]+((?:https?://orcid\.org/)?[\dXx-]{15,19})[)\]]?\s*$", text)
    return (text[: found.start()].strip(), found[1]) if found else (text.strip(), "")

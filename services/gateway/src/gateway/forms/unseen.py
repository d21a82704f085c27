"""Characters that nobody sees or that turn a text around: what one line of text may not hold."""

import unicodedata

TYPE_ANEW = "Type it anew: text that was copied often carries such characters."
# Between letters of some scripts and within emoji these two are part of the spelling.
_JOINERS = "\u200c\u200d"


def unseen(text: str) -> str | None:
    """The first such character, e.g. U+202E; None when there is none."""
    return next((one for one in text if not one.isprintable() and not (one in _JOINERS and text.strip(_JOINERS))), None)


def holds(what: str, hidden: str) -> str:
    """What is wrong, in words."""
    name = unicodedata.name(hidden, "a control character").lower()
    return f"{what} holds a character that cannot be seen: U+{ord(hidden):04X} ({name})."

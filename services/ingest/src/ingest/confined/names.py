"""Names of archive members as their owner reads them, and those that may not be passed on."""

import re

# Pairs of bytes beyond ASCII, as Chinese Windows writes them; European text hardly ever has them in pairs only.
_PAIRS = re.compile(rb"(?:[\x00-\x7f]|[\x81-\xfe][\x80-\xfe])*")
_POTCAR_NAME = re.compile(r"(?i)potcar(?:[._-].*)?|.*\.potcar(?:\..*)?")
# The third line of a POTCAR; an OUTCAR quotes others of its lines, but not this one.
_POTCAR_CONTENT = re.compile(rb"parameters from PSCTR are")
_POTCAR_HEAD = 1024


def decoded(raw: bytes) -> str | None:
    """A name whose encoding is not told: UTF-8 or GBK; None when it is neither."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        pass
    if not _PAIRS.fullmatch(raw):
        return None
    try:
        return raw.decode("gbk")
    except UnicodeDecodeError:
        return None


def is_potcar(name: str) -> bool:
    """VASP's pseudopotentials by their usual names: POTCAR, POTCAR.gz, POTCAR_Si, Si.POTCAR."""
    return _POTCAR_NAME.fullmatch(name) is not None


def begins_like_potcar(head: bytes) -> bool:
    return _POTCAR_CONTENT.search(head[:_POTCAR_HEAD]) is not None

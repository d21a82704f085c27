"""Text of strangers: which encoding it is in."""

import builtins
import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_FIRST_BYTES = frozenset(mark[0] for mark, _ in _MARKS)


def marked(start: bytes) -> str | None:
    """The encoding that a byte order mark announces."""
    if not start or start[0] not in _FIRST_BYTES:
        return None
    return next((name for mark, name in _MARKS if start.startswith(mark)), None)


def encoding(path: Path) -> str:
    """Of its byte order mark, else UTF-8."""
    with path.open("rb") as file:
        return marked(file.read(4)) or "utf-8"


@contextmanager
def lenient() -> Iterator[None]:
    """Text opened without an encoding, as parsers do, may hold any bytes.

    What is not ASCII in an output is a comment or a path (a user's name in Latin-1, say); to stop there with a
    UnicodeDecodeError would lose a good calculation.
    """
    opened = builtins.open

    def open_(
        file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, errors: str | None = None,
        *rest: Any, **named: Any,
    ) -> Any:  # fmt: skip
        if "b" not in mode and encoding in (None, "locale") and errors is None:
            encoding, errors = "utf-8", "replace"
        return opened(file, mode, buffering, encoding, errors, *rest, **named)

    builtins.open = io.open = open_
    try:
        yield
    finally:
        builtins.open = io.open = opened

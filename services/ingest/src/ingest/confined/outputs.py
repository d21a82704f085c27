"""What a confined child says: whole pieces into unbuffered files, and that there is something to look at."""

import os
from typing import IO

_STANDARD_OUTPUT = 1


def write(file: IO[bytes], data: bytes | bytearray) -> None:
    """An unbuffered file may take less than it is given. Raises OSError."""
    written = file.write(data)
    while written < len(data):
        written += file.write(data[written:])


def call() -> None:
    """Wake the parent, which then looks at the report."""
    os.write(_STANDARD_OUTPUT, b"\n")

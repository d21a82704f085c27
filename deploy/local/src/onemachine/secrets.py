"""Passwords and tokens of one installation: made once, kept in files that only their owner reads."""

import os
import secrets
from pathlib import Path


class Secrets:
    """One file a secret, mode 0600, in a folder of mode 0700."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> str:
        """The secret of that name, made now if there is none yet (256 bits, letters and digits only)."""
        path = self._folder / name
        try:
            return path.read_text()
        except FileNotFoundError:
            return self._create(path)

    def _create(self, path: Path) -> str:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written beside and renamed: a secret is either not there or whole, whenever we are killed.
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
        return path.read_text()

"""Password hashes that cost next to nothing, for the tests of everything else: true ones take a core a while by design.

Run as a program it is `python -m gateway` with them.
"""

import runpy
from pathlib import Path

from gateway.people import passwords
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

PROGRAM = Path(__file__)


class QuickHash(PasswordHash):
    @classmethod
    def recommended(cls) -> "QuickHash":
        return cls((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))


if __name__ == "__main__":
    passwords.PasswordHash = QuickHash  # type: ignore[attr-defined]
    runpy.run_module("gateway", run_name="__main__")

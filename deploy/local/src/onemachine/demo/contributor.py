"""The demo's contributor: an account, and the `potluck` command, as anyone would use it."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from potluck import Client

from onemachine.demo.archives import Contribution
from onemachine.demo.outcome import DemoFailed

NAME = "demo contributor"
EMAIL = "demo@example.org"


@dataclass(frozen=True)
class Contributor:
    """A person with a terminal: `home` is where their `potluck` keeps the sign-in and unfinished uploads."""

    site: str
    home: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)

    def sign_up(self) -> Client:
        """Makes the account, and returns what the demo follows the contributions with."""
        self._potluck("signup", "--email", EMAIL, "--name", NAME, "--password-stdin", typed=f"{self.password}\n")
        with Client(self.site) as anonymous:
            token = anonymous.new_token(EMAIL, self.password, "the demo's board")
        return Client(self.site, token, patience_seconds=60.0, state_folder=self.home)

    def contribute(self, contribution: Contribution) -> str:
        """Uploads and publishes; the dataset's id."""
        options = ["--name", contribution.name, "--author", NAME, "--format", contribution.format]
        options += ["--licence", "CC-BY-4.0", "--agree"]
        optional = {
            "--description": contribution.description,
            "--functional": contribution.functional,
            "--code": contribution.code,
        }
        for option, value in optional.items():
            if value is not None:
                options += [option, str(value)]
        return str(json.loads(self._potluck("upload", str(contribution.archive), *options))["id"])

    def _potluck(self, *arguments: str, typed: str = "") -> str:
        command: Sequence[str] = [sys.executable, "-m", "potluck", *arguments, "--server", self.site, "--json"]
        # What the person who runs the demo has set for themselves must not take part in it.
        theirs = {f"POTLUCK_{one}" for one in ("TOKEN", "SERVER", "CONFIG", "REGION")}
        own = {name: value for name, value in os.environ.items() if name not in theirs}
        environment = {**own, "POTLUCK_HOME": str(self.home)}
        done = subprocess.run(command, input=typed, text=True, capture_output=True, env=environment, check=False)
        if done.returncode:
            raise DemoFailed(f"`potluck {arguments[0]}` exited with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

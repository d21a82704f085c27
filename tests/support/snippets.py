"""Runs the snippets of a page of docs in their order: fenced blocks with a language tag.

A block is run as its tag says: `sh` by bash -euo pipefail, `python` by a fresh interpreter. All of a page share one
folder and one environment, in which what a shell block sets is there for the next ones; a block tagged `sh no-run` is
shown alone, and the text around it says why. `output` after a block holds lines that the block must print, in this
order; `…` stands for anything.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from threading import Thread, Timer
from typing import IO

FENCE = re.compile(r"^```(?P<tag>[\w-]+)(?P<rest>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = ("sh", "python")
TIMEOUT_SECONDS = 120


class SnippetFailed(AssertionError):
    """A snippet ended with an error, or did not print what the page says."""


@dataclass(frozen=True)
class Snippet:
    """One block: its language, what it runs, the line of the page at which it starts, what it must print."""

    language: str
    body: str
    line: int
    prints: tuple[str, ...] = ()


def snippets_of(page: str) -> list[Snippet]:
    """Those that are run, in order. Raises ValueError for an `output` that follows nothing."""
    found: list[Snippet] = []
    for match in FENCE.finditer(page):
        tag, line = match["tag"], page.count("\n", 0, match.start()) + 2
        if tag == "output":
            if not found:
                raise ValueError(f"line {line}: output of no block")
            last = found.pop()
            found.append(Snippet(last.language, last.body, last.line, tuple(match["body"].splitlines())))
        elif tag in LANGUAGES and "no-run" not in match["rest"].split():
            found.append(Snippet(tag, match["body"], line))
    return found


def nobody_listens(_line: str) -> None:
    """What a snippet says on standard error is only told when it fails."""


class Reader:
    """Somebody who does what a page says, block by block, in a folder of their own.

    `environment`: all of it. `hears` is told each line on standard error as it comes.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        python: str = sys.executable,
        hears: Callable[[str], None] = nobody_listens,
    ) -> None:
        self._folder, self._environment = folder, dict(environment)
        self._python, self._hears = python, hears
        self._variables = folder / ".variables"
        self._variables.touch()

    def does(self, one: Snippet, page: str = "page.md") -> str:
        """What the snippet prints. Raises SnippetFailed."""
        file = self._folder / f"snippet-{one.line}.{one.language}"
        file.write_text(one.body)
        run = f"exec {quote(self._python)} -E -s {file.name}"
        if one.language == "sh":
            run = f"set -euo pipefail\n. ./{file.name}\nexport -p > {self._variables.name}"
        code, printed, errors = self._run(f"set -a\n. ./{self._variables.name}\n{run}")
        where = f"{page}, line {one.line}"
        if code:
            raise SnippetFailed(f"{where}: exit code {code}\n{printed}{errors}")
        if not _matches(one.prints, printed):
            raise SnippetFailed(f"{where} must print\n{chr(10).join(one.prints)}\nand prints\n{printed}")
        return printed

    def _run(self, script: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        errors: list[str] = []

        def listen(stream: IO[str]) -> None:
            for line in stream:
                errors.append(line)
                self._hears(line)

        with subprocess.Popen(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            timer = Timer(TIMEOUT_SECONDS, os.killpg, (child.pid, signal.SIGKILL))
            ears = Thread(target=listen, args=(child.stderr,))
            timer.start()
            ears.start()
            printed = child.stdout.read()
            ears.join()
            code = child.wait()
            timer.cancel()
        return code, printed, "".join(errors)


def run_page(page: Path, folder: Path, environment: Mapping[str, str], python: str = sys.executable) -> int:
    """Run every snippet of the page in `folder`; how many there were. Raises SnippetFailed."""
    reader = Reader(folder, environment, python)
    snippets = snippets_of(page.read_text())
    for one in snippets:
        reader.does(one, page.name)
    return len(snippets)


def _matches(wanted: tuple[str, ...], printed: str) -> bool:
    """Each wanted line in this order; lines between them do not matter."""
    lines = iter(printed.splitlines())
    for one in wanted:
        pattern = re.compile(".*".join(re.escape(part) for part in one.split("…")))
        if not any(pattern.fullmatch(line) for line in lines):
            return False
    return True

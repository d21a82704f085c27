"""Runs the snippets of a page of docs in their order: fenced blocks with a language tag.

A block is run as its tag says: `sh` by bash -eu, `python` by a fresh interpreter. All of a page share one folder and
one environment; a block tagged `sh no-run` is shown alone, and the text around it says why. `output` after a block
holds lines that the block must print, in this order; `…` stands for anything.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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


def run_page(page: Path, folder: Path, environment: Mapping[str, str], python: str = sys.executable) -> int:
    """Run every snippet of the page in `folder`; how many there were. Raises SnippetFailed."""
    snippets = snippets_of(page.read_text())
    for one in snippets:
        # Nothing of the environment that runs the tests but what `environment` says.
        command = ["bash", "-eu"] if one.language == "sh" else [python, "-E", "-s"]
        file = folder / f"snippet-{one.line}.{one.language}"
        file.write_text(one.body)
        done = subprocess.run(
            [*command, str(file)],
            cwd=folder,
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        where = f"{page.name}, line {one.line}"
        if done.returncode:
            raise SnippetFailed(f"{where}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        if not _matches(one.prints, done.stdout):
            raise SnippetFailed(f"{where} must print\n{chr(10).join(one.prints)}\nand prints\n{done.stdout}")
    return len(snippets)


def _matches(wanted: tuple[str, ...], printed: str) -> bool:
    """Each wanted line in this order; lines between them do not matter."""
    lines = iter(printed.splitlines())
    for one in wanted:
        pattern = re.compile(".*".join(re.escape(part) for part in one.split("…")))
        if not any(pattern.fullmatch(line) for line in lines):
            return False
    return True

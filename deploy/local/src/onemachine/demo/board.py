"""What is seen while the demo runs: a table that changes in a terminal, one line for each change elsewhere."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from potluck import wording
from potluck.resources import Dataset
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from onemachine.demo.archives import Contribution

SENDING = "the archive is being sent"


class Board:
    """All contributions and where they stand. Called from several threads."""

    def __init__(self, console: Console, seconds: Callable[[], float]) -> None:
        self._console = console
        self._seconds = seconds
        self._rows: dict[str, tuple[Contribution, Dataset | None]] = {}
        self._said: dict[str, str] = {}
        self._lock = threading.Lock()
        self._live = Live(get_renderable=self._table, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, sentence: str) -> None:
        """A line that stays."""
        # Not under our lock: the live table is drawn under the console's lock and then takes ours.
        self._console.print(f"[dim]{self._seconds():6.1f} s[/]  {escape(sentence)}")

    def show(self, contribution: Contribution, dataset: Dataset | None) -> None:
        """Where a contribution stands now; None: it is being sent."""
        with self._lock:
            self._rows[contribution.label] = (contribution, dataset)
            stage = f"{dataset.stage}: {wording.headline(dataset)}" if dataset else SENDING
            if self._console.is_terminal or self._said.get(contribution.label) == stage:
                return
            self._said[contribution.label] = stage
            line = f"{self._seconds():6.1f} s  {contribution.label:<6}  {contribution.name}: {stage}"
            self._console.print(line, markup=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table("", "dataset", "stage", "where it stands", box=None, pad_edge=False, expand=True)
        table.columns[3].ratio = 1
        with self._lock:
            for contribution, dataset in self._rows.values():
                stage = wording.stage_line(dataset) if dataset else ""
                where = wording.brief(dataset) if dataset else SENDING
                table.add_row(contribution.label, contribution.name, stage, escape(where))
        return table

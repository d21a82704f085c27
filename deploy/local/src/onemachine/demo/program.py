"""The order of it all: platform, account, model 1.0, contributions a–d, verdict on the demo itself."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from potluck import Client, PotluckError, wording
from potluck.resources import Dataset
from rich.console import Console

from onemachine.demo import record
from onemachine.demo.archives import Contribution, Contributions, prepare
from onemachine.demo.board import Board
from onemachine.demo.conditions import judge
from onemachine.demo.contributor import EMAIL, Contributor
from onemachine.demo.outcome import DemoFailed, Outcome
from onemachine.demo.platform import Platform, fresh, platform
from onemachine.errors import CannotStart
from onemachine.settings import DEPLOY

FAILED = 1
LOOK_SECONDS = 0.2
PLAIN_WIDTH = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """`state`: the folder of `make up`; the demo uses `demo/` and `demo-report.json` in it."""

    state: Path = Path(".potluck")
    data: Path = DEPLOY / "demo"
    exit_when_done: bool = False
    timeout_seconds: float = 1200.0


def run_demo(settings: DemoSettings) -> int:
    """0: everything came true; 1: something did not, and the terminal says what; 130: interrupted."""
    # A file or a pipe has no width: what is too narrow there would break the table's lines.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
    outcome = Outcome()
    folder = settings.state.absolute() / "demo"
    report = settings.state.absolute() / "demo-report.json"
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        fresh(folder)
        report.unlink(missing_ok=True)
        console.print(f"Starting the platform in {folder} …")
        with platform(folder) as running:
            outcome.mark("platform_ready_seconds")
            contributor = Contributor(running.site, folder / "home")
            try:
                _Loop(settings, running, contributor, outcome, console).run(prepare(settings.data, folder / "archives"))
            finally:
                outcome.mark("total_seconds")
                record.write(outcome, report)
            code = _conclude(outcome, console)
            console.print(f"\nThe same as JSON: {report}")
            if not settings.exit_when_done:
                _serve(running, contributor, console)
    except (DemoFailed, CannotStart, PotluckError) as error:
        console.print(f"\nThe demo stopped after {outcome.seconds():.0f} s: {error}", markup=False, style="red")
        return FAILED
    except KeyboardInterrupt:
        console.print("\nstopped")
        return 130
    return code


class _Loop:
    """One run: contributes, follows each contribution in a thread of its own, waits for what has to come."""

    def __init__(
        self, settings: DemoSettings, running: Platform, contributor: Contributor, outcome: Outcome, console: Console
    ) -> None:
        self._running = running
        self._contributor = contributor
        self._outcome = outcome
        self._deadline = settings.timeout_seconds
        self._board = Board(console, outcome.seconds)
        self._failed: list[Exception] = []
        self._home = contributor.home

    def run(self, contributions: Contributions) -> None:
        """Raises DemoFailed, PotluckError."""
        with self._board, self._contributor.sign_up() as client:
            self._board.say(f"the platform is ready at {self._running.site}; {EMAIL} has an account")
            for one in contributions.base:
                self._contribute(client, one)
            self._until("model 1.0", lambda: self._first_model(contributions))
            self._contribute(client, contributions.a)
            # b–d come while a trains: their verdicts are then given by model 1.0, on the second core.
            self._until("the verdict on a", lambda: self._verdict(contributions.a) is not None)
            for one in (contributions.b, contributions.c, contributions.d):
                self._contribute(client, one)
            self._until("the end of a–d", lambda: all(self._ended(one) for one in contributions.later))
            self._outcome.mark("all_ended_seconds")
            self._look_around(client)

    def _contribute(self, client: Client, contribution: Contribution) -> None:
        self._board.show(contribution, None)
        dataset_id = self._contributor.contribute(contribution)
        self._outcome.mark(f"{contribution.label.replace(' ', '_')}_uploaded_seconds")
        threading.Thread(target=self._follow, args=(client, contribution, dataset_id), daemon=True).start()

    def _follow(self, client: Client, contribution: Contribution, dataset_id: str) -> None:
        label = contribution.label.replace(" ", "_")
        try:
            for dataset in client.follow(dataset_id):
                self._outcome.datasets[contribution.label] = dataset
                self._board.show(contribution, dataset)
                if dataset.ingest:
                    self._outcome.mark(f"{label}_read_seconds")
                if dataset.verdict:
                    self._outcome.mark(f"{label}_verdict_seconds")
                if dataset.state == "training":
                    self._outcome.mark(f"{label}_training_seconds")
                if dataset.model:
                    self._outcome.mark(f"model_{dataset.model}_seconds")
        except Exception as error:
            # A thread's exception ends nothing by itself: the main thread raises it.
            self._failed.append(error)

    def _until(self, what: str, reached: Callable[[], bool]) -> None:
        while not reached():
            if self._failed:
                raise self._failed[0]
            self._running.require_alive()
            if self._outcome.seconds() > self._deadline:
                raise DemoFailed(f"{what} did not come within {self._deadline:.0f} s; logs: {self._running.log.parent}")
            time.sleep(LOOK_SECONDS)

    def _seen(self, contribution: Contribution) -> Dataset | None:
        return self._outcome.datasets.get(contribution.label)

    def _ended(self, contribution: Contribution) -> bool:
        dataset = self._seen(contribution)
        return dataset is not None and dataset.finished

    def _verdict(self, contribution: Contribution) -> str | None:
        dataset = self._seen(contribution)
        return dataset.verdict if dataset else None

    def _first_model(self, contributions: Contributions) -> bool:
        """Whether every base dataset trained it. Raises DemoFailed as soon as one never will."""
        for one in contributions.base:
            dataset = self._seen(one)
            if dataset is not None and dataset.finished and dataset.model != "1.0":
                raise DemoFailed(f"there is no model 1.0: {one.name}: {wording.headline(dataset)}")
        return all(self._ended(one) for one in contributions.base)

    def _look_around(self, client: Client) -> None:
        """What the contributor finds afterwards: entries, models, pictures; and takes model 1.1 home."""
        outcome = self._outcome
        outcome.listed = frozenset(one.id for one in client.datasets(mine=True))
        outcome.models = tuple(client.model(one.version) for one in client.models())
        for label, dataset in outcome.datasets.items():
            names = dataset.metric.pictures if dataset.metric else {}
            outcome.pictures[label] = {name: client.picture(dataset, name) for name in names}
        newest = next((one for one in outcome.models if one.version == "1.1"), None)
        if newest is not None:
            folder = self._home / "models"
            outcome.downloaded = tuple(client.download(file, folder) for file in newest.files)


def _conclude(outcome: Outcome, console: Console) -> int:
    conditions = judge(outcome)
    console.print()
    record.print_table(outcome, console)
    console.print()
    record.print_conditions(conditions, console)
    timings = outcome.timings
    reached = timings.get("model_1.1_seconds")
    if reached is not None:
        console.print(f"\nModel 1.0 after {timings.get('model_1.0_seconds')} s, model 1.1 after {reached} s.")
    return 0 if all(one.kept for one in conditions) else FAILED


def _serve(running: Platform, contributor: Contributor, console: Console) -> None:
    """Until Ctrl-C, which is how it is meant to end. Raises DemoFailed when the platform ends by itself."""
    console.print(f"\nThe site is at [bold]{running.site}[/]: sign in as {EMAIL}, password {contributor.password}")
    console.print("Ctrl-C stops it.")
    try:
        while True:
            running.require_alive()
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        console.print("\nstopping …")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

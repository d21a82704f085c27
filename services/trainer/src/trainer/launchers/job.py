"""One attempt as a job of a cluster: the only place that speaks to dpdispatcher. Its calls block."""

import shlex
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from dpa.environment import environment
from dpdispatcher import Machine, Resources, Submission, Task
from dpdispatcher.utils.job_status import JobStatus

from trainer.control import CONTROL_FILE
from trainer.launchers.dpdispatcher import ClusterSettings
from trainer.launchers.torchrun import Torchrun, engines
from trainer.process import ENGINE
from trainer.recipe import RECIPE_FILE
from trainer.work import OUTCOME_FILE

MESSAGES_FILE = "messages.jsonl"
ERRORS_FILE = "errors.log"
# What a finished attempt leaves, as `work.Outcome` names it.
RESULTS = (MESSAGES_FILE, OUTCOME_FILE, RECIPE_FILE, "model.pt", "checkpoints", "frozen", "samples")
_ENDPOINT = "ENDPOINT-OF-THE-JOB"


class ClusterJob:
    """The attempt's folder goes there; lines and checkpoints come back while it runs, the results when it is done."""

    def __init__(self, settings: ClusterSettings, folder: Path, threads: int) -> None:
        self._folder = folder
        machine, resources = machine_and_resources(settings, folder.parent)
        task = Task(
            command=job_command(settings, folder.name, threads),
            task_work_path=".",
            forward_files=sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")),
            backward_files=list(RESULTS),
            outlog=MESSAGES_FILE,
            errlog=ERRORS_FILE,
            task_name=f"potluck-{folder.name}",
        )
        self._machine = machine
        self._submission = Submission(folder.name, machine, resources, task_list=[task])
        self._submission.generate_jobs()
        self._job = self._submission.belonging_jobs[0]
        self._lines = 0

    def stage(self) -> None:
        """Copy the folder there."""
        self._submission.upload_jobs()
        self.tell("0")

    def submit(self) -> None:
        """Put the job into the queue. Raises what the cluster says against it."""
        self._job.submit_job()

    @property
    def name(self) -> str:
        """For logs and sentences."""
        return f"{type(self._machine).__name__} job {self._job.job_id}"

    @property
    def place(self) -> str:
        return str(self._machine.context.remote_root)

    def look(self) -> str:
        """waiting, running or ended."""
        if not self._job.job_id:  # the queue was full, says dpdispatcher
            self.submit()
        self._job.get_job_state()
        match self._job.job_state:
            case JobStatus.waiting | JobStatus.unsubmitted:
                return "waiting"
            case JobStatus.running | JobStatus.completing:
                return "running"
            case _:
                return "ended"

    def new_lines(self) -> list[str]:
        """What the training program said since the last call, as far as lines are complete."""
        text = self._text(MESSAGES_FILE)
        complete = text[: text.rfind("\n") + 1].splitlines()
        new, self._lines = complete[self._lines :], len(complete)
        return new

    def last_errors(self, lines: int) -> list[str]:
        return self._text(ERRORS_FILE).splitlines()[-lines:]

    def tell(self, word: str) -> None:
        """To the training program. Where the cluster cannot be reached while a job runs it is never read."""
        self._machine.context.write_file(CONTROL_FILE, word)

    def fetch(self, path: Path) -> bool:
        """Copy a file of the running job into the attempt's folder; false where there is no way, or it is gone."""
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.partial")
        context = self._machine.context
        try:
            if (session := getattr(context, "ssh_session", None)) is not None:
                session.get(str(PurePosixPath(self.place, path)), str(partial))
            elif (source := Path(self.place, path)).is_file():
                if target.exists() and source.samefile(target):
                    return True  # the job runs in the attempt's own folder
                shutil.copyfile(source, partial)
            else:
                return False
        except FileNotFoundError:
            return False
        partial.replace(target)
        return True

    def download(self) -> None:
        """The results of a job that is done."""
        self._submission.download_jobs()

    def delete(self) -> None:
        """Take it out of the queue or end it."""
        self._machine.kill(self._job)

    def clean(self) -> None:
        """Remove its folder there."""
        self._submission.clean_jobs()

    def _text(self, name: str) -> str:
        for read in (self._machine.context.read_file, lambda one: (self._folder / one).read_text()):
            try:
                return str(read(name))
            except FileNotFoundError:
                continue
        return ""


def machine_and_resources(settings: ClusterSettings, local_root: Path) -> tuple[Any, Any]:
    """Raises what dpdispatcher's own checker raises."""
    machine = Machine.load_from_dict({**settings.machine, "local_root": str(local_root)})
    return machine, Resources.load_from_dict({**settings.resources, "group_size": 1})


def job_command(settings: ClusterSettings, name: str, threads: int) -> str:
    """What the job's shell runs in the attempt's folder."""
    variables = [f"{variable}={value}" for variable, value in environment(threads).items()]
    alone = settings.nodes == settings.processes_on_a_node == 1
    if alone:
        command = [settings.python, "-m", ENGINE, "--folder", ".", "--control", CONTROL_FILE]
    else:
        prefix = settings.node_prefix if settings.nodes > 1 else ()
        launch = Torchrun(settings.processes_on_a_node, settings.nodes, prefix, _ENDPOINT)
        command = engines(settings.python, launch, ".", name=name, control=CONTROL_FILE)
    return shlex.join(["env", *variables, *command]).replace(_ENDPOINT, f'"{settings.endpoint}"')

"""What launchers start, what they announce, and how a job of a cluster is followed."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import SecretStr
from trainer.app import chosen
from trainer.child import AttemptFailed, explained
from trainer.control import STOP, Control
from trainer.hardware import Gpu, Hardware, listed, this_machine, visible
from trainer.launchers.cluster import Away, Follower, Told
from trainer.launchers.dpdispatcher import ClusterSettings, Dpdispatcher
from trainer.launchers.local import Local
from trainer.launchers.torchrun import Torchrun, engines
from trainer.peers import SAID, failure_of_another, first_voice, silent_voice
from trainer.settings import TrainerSettings
from trainer.work import Done, Failed, Message, Progress, Saved, Started, Stopped

SHELL = {"batch_type": "Shell", "context_type": "LocalContext", "remote_root": "/scratch"}


Script = list[tuple[str, list[Message]]]


def cluster(**other: object) -> ClusterSettings:
    told: dict[str, object] = {"machine": SHELL, "resources": {"cpu_per_node": 4}, "poll_seconds": 0.01, **other}
    return ClusterSettings.model_validate(told)


# Hardware


def test_gpus_are_read_from_the_drivers_own_tool() -> None:
    found = listed("0, GPU-1a2b, 81559, NVIDIA H100 80GB HBM3\n1, GPU-3c4d, [N/A], NVIDIA GB10, rev 2\nnonsense\n")
    assert found == [
        ("0", "GPU-1a2b", Gpu("NVIDIA H100 80GB HBM3", 81559 << 20)),
        ("1", "GPU-3c4d", Gpu("NVIDIA GB10, rev 2", 0)),
    ]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (None, ("a", "b")),
        ("1", ("b",)),
        ("1,0", ("b", "a")),
        ("GPU-1", ("a",)),
        ("", ()),
        ("-1", ()),
        ("0,7,1", ("a",)),
    ],
)
def test_only_gpus_that_cuda_shows_count(chosen: str | None, names: tuple[str, ...]) -> None:
    installed = [("0", "GPU-1a", Gpu("a", 1)), ("1", "GPU-2b", Gpu("b", 2))]
    assert tuple(one.name for one in visible(installed, chosen)) == names


def test_this_machine_has_cores_and_memory() -> None:
    machine = this_machine()
    assert 1 <= machine.cpu_cores <= (os.cpu_count() or 1)
    assert machine.memory_bytes > 10**8


# Commands


def test_the_local_launcher_uses_one_gpu_at_most() -> None:
    assert len(Local().hardware().gpus) <= 1
    assert Local().command() == (sys.executable, "-m", "trainer.engine", str(os.getpid()))


def test_torchrun_on_one_node_and_on_several() -> None:
    alone = engines("python", Torchrun(4), "/cluster/r-1", "r-1")
    assert alone[:3] == ["python", "-m", "torch.distributed.run"]
    assert {"--standalone", "--nproc-per-node=4", "--nnodes=1", "--max-restarts=0"} <= set(alone)
    assert alone[-4:] == ["-m", "trainer.engine", "--folder", "/cluster/r-1"]
    several = Torchrun(4, 2, ("srun", "--ntasks-per-node=1"), "node-1:29400")
    command = engines("python", several, "/cluster/r-1", "r-1")
    assert command[:3] == ["srun", "--ntasks-per-node=1", "python"]
    assert {"--nnodes=2", "--rdzv-backend=c10d", "--rdzv-endpoint=node-1:29400", "--rdzv-id=r-1"} <= set(command)
    assert several.processes == 8
    assert several.farewell_seconds > 0


@pytest.mark.parametrize(
    ("gpus", "processes", "refused"), [(1, 2, True), (2, 2, False), (0, 2, False), (2, None, False)]
)
def test_torchrun_does_not_start_more_processes_than_there_are_gpus(
    gpus: int, processes: int | None, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.app.this_machine", lambda: Hardware((Gpu("H100", 80 << 30),) * gpus, "", 8, 1 << 35))
    settings = TrainerSettings(
        registry_address="127.0.0.1:1",
        fleet_token=SecretStr("token"),
        presets=Path("presets"),
        blobs_url="file:///nowhere",
        launcher="torchrun",
        torchrun_processes=processes,
    )
    if refused:
        with pytest.raises(ValueError, match=r"torchrun_processes is 2, and this machine shows 1 GPUs.*CUDA_VISIBLE"):
            chosen(settings)
    else:
        assert chosen(settings).processes == 2


def test_a_cluster_announces_what_its_jobs_ask_for(tmp_path: Path) -> None:
    told = cluster(
        resources={"number_node": 2, "gpu_per_node": 4, "cpu_per_node": 32},
        gpu_name="NVIDIA A100",
        gpu_memory_gb=80,
        memory_gb=512,
    )
    launcher = Dpdispatcher(tmp_path / "cluster.json", told)
    assert launcher.hardware() == Hardware((Gpu("NVIDIA A100", 80 * 10**9),) * 8, "", 64, 512 * 10**9)
    assert launcher.processes == 8


def test_the_command_of_a_job() -> None:
    from trainer.launchers.job import job_command

    assert job_command(cluster(python="/opt/py"), "r-1", 2).endswith(
        " /opt/py -m trainer.engine --folder . --control control"
    )
    assert job_command(cluster(), "r-1", 2).startswith("env OMP_NUM_THREADS=2 ")
    gpus = job_command(cluster(resources={"gpu_per_node": 4}), "r-1", 1)
    assert "--nproc-per-node=4 --standalone" in gpus
    assert "srun" not in gpus
    nodes = job_command(cluster(resources={"gpu_per_node": 4, "number_node": 2}), "r-1", 1)
    assert " srun --ntasks-per-node=1 " in nodes
    # The job's own shell finds the first node.
    assert '--rdzv-endpoint="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1):29400"' in nodes
    assert nodes.endswith("--folder . --control control")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"cluster\.json cannot be read: No such file"),
        ("{", "Invalid JSON"),
        ('{"machine": {}, "resources": {}, "qeue": 1}', "qeue"),
    ],
)
def test_a_wrong_file_is_named_with_the_field(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "cluster.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=words):
        ClusterSettings.load(file)


def test_dpdispatchers_own_checker_reads_the_file_before_any_round_does(tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    file.write_text(json.dumps({"machine": SHELL, "resources": {}}))
    Dpdispatcher(file, ClusterSettings.load(file)).check()
    file.write_text(json.dumps({"machine": {**SHELL, "batch_type": "Slurmm"}, "resources": {}}))
    with pytest.raises(ValueError, match=r"cluster\.json is not valid: .*Slurmm"):
        Dpdispatcher(file, ClusterSettings.load(file)).check()


# What crosses


def test_a_training_program_stops_when_told_or_when_nobody_asks_for_it_any_more(tmp_path: Path) -> None:
    now = 0.0
    file = tmp_path / "control"
    control = Control(file, abandoned_seconds=100, clock=lambda: now)
    assert not control.says_stop()
    for now in (10.0, 105.0, 200.0):  # the worker counts: it lives
        file.write_text(str(now))
        assert not control.says_stop()
    now = 299.0
    assert not control.says_stop()
    now = 301.0
    assert control.says_stop()
    told = Control(file, abandoned_seconds=100, clock=lambda: now)
    file.write_text(STOP)
    assert told.says_stop()
    file.write_text("7")
    assert told.says_stop(), "it does not change its mind"


def test_one_voice_tells_what_befell_any_process(tmp_path: Path) -> None:
    heard: list[Message] = []
    leader, other = first_voice(heard.append, tmp_path), silent_voice(tmp_path, 3)
    leader(Started(step=0, device="cpu"))
    other(Started(step=0, device="cpu"))
    assert failure_of_another(tmp_path) is None
    assert not (tmp_path / SAID).exists()
    failed = explained(AttemptFailed("out-of-memory", "too small", retryable=True))
    other(failed)
    assert failure_of_another(tmp_path) == failed
    leader(Done())
    assert (tmp_path / SAID).exists()
    assert heard == [Started(step=0, device="cpu"), Done()]


# A job is followed


@dataclass
class FakeJob:
    """A cluster that goes by a script: what a look sees, and what the program has said by then."""

    folder: Path
    script: Script
    words: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    name: str = "Fake job 7"
    place: str = "/scratch/7"
    broken: int = 0
    waiting: list[str] = field(default_factory=list)

    def stage(self) -> None:
        self.done.append("stage")

    def submit(self) -> None:
        self.done.append("submit")

    def look(self) -> str:
        if self.broken:
            self.broken -= 1
            raise RuntimeError("socket timed out")
        state, said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.waiting += [one.model_dump_json() for one in said]
        return state

    def new_lines(self) -> list[str]:
        lines, self.waiting = self.waiting, []
        return lines

    def last_errors(self, lines: int) -> list[str]:
        return ["slurmstepd: error: killed"]

    def tell(self, word: str) -> None:
        self.words.append(word)

    def fetch(self, path: Path) -> bool:
        (self.folder / path).write_text("weights")
        return path.name != "gone.pt"

    def download(self) -> None:
        self.done.append("download")

    def delete(self) -> None:
        self.done.append("delete")

    def clean(self) -> None:
        self.done.append("clean")


def progress(step: int) -> Progress:
    return Progress(step=step, learning_rate=1e-3, branches=(), frames_per_second=1, eta_seconds=1)


@pytest.fixture
def told() -> Told:
    return Told()


class Follow(Protocol):
    """Follows a scripted job to its end; the job, and what the worker heard."""

    def __call__(self, script: Script, broken: int = 0, **settings: object) -> tuple[FakeJob, list[Message]]: ...


@pytest.fixture
def follow(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> Follow:
    monkeypatch.setattr("trainer.launchers.cluster._LAST_WORDS_SECONDS", 0)

    def run(script: Script, broken: int = 0, **settings: object) -> tuple[FakeJob, list[Message]]:
        job, heard = FakeJob(tmp_path, script, broken=broken), list[Message]()
        Follower(job, tmp_path, cluster(**settings), heard.append, told).run()  # type: ignore[arg-type]
        return job, heard

    return run


def test_lines_and_checkpoints_come_back_while_it_runs(tmp_path: Path, follow: Follow) -> None:
    saved = [Saved(step=step, path=Path(f"{step}.pt")) for step in (1, 2, 3, 4)]
    lost = Saved(step=5, path=Path("gone.pt"))
    script: Script = [("waiting", []), ("running", [progress(1)]), ("running", [*saved, lost]), ("ended", [Done()])]
    job, heard = follow(script)
    assert heard == [progress(1), *saved, Done()]
    assert job.done == ["stage", "submit", "download", "clean"]
    assert sorted(path.name for path in tmp_path.glob("?.pt")) == ["2.pt", "3.pt", "4.pt"]
    assert job.words == ["1", "2", "3", "4"], "it counts as long as it lives"


def test_a_job_that_the_cluster_ended_is_an_attempt_that_ended(follow: Follow) -> None:
    job, heard = follow([("running", [progress(1)]), ("ended", [])])
    last = heard[-1]
    assert isinstance(last, Failed)
    assert (last.rule, last.retryable) == ("job-lost", True)
    assert last.reason.startswith("Fake job 7 ended before training was done")
    assert "slurmstepd: error: killed" in last.reason
    assert "clean" not in job.done, "its folder is kept for whoever looks for the cause"


def test_on_sigterm_the_program_is_asked_for_a_checkpoint_and_the_job_deleted(follow: Follow, told: Told) -> None:
    told.stop = True
    script: Script = [("running", []), ("running", [Saved(step=9, path=Path("9.pt")), Stopped(step=9)])]
    job, heard = follow(script)
    assert heard == [Saved(step=9, path=Path("9.pt")), Stopped(step=9)]
    assert set(job.words) == {STOP}
    assert job.done[-2:] == ["delete", "clean"]


def test_a_job_that_still_waits_is_taken_out_of_the_queue(follow: Follow, told: Told) -> None:
    told.stop = True
    job, heard = follow([("waiting", [])])
    assert heard == [Stopped(step=0)]
    assert job.done[-2:] == ["delete", "clean"]


def test_a_cancelled_round_deletes_its_job_at_once(follow: Follow, told: Told) -> None:
    told.delete = True
    job, heard = follow([("running", [])])
    assert heard == []
    assert job.done[-2:] == ["delete", "clean"]


def test_a_cluster_that_does_not_answer_is_waited_for_but_not_for_ever(follow: Follow) -> None:
    _, heard = follow([("ended", [Done()])], broken=2)
    assert heard == [Done()]
    with pytest.raises(Away, match="socket timed out"):
        follow([("running", [])], broken=10**9, away_seconds=0.05)

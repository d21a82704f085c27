"""Real children try to break out; each try is answered by the kernel, not by politeness."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import patience
import pytest
from ingest.confinement.children import Children, Ending, Feed, Job
from ingest.confinement.kernel import CHILD_UID, Limits
from ingest.work import WorkFolder

LIMITS = Limits(memory_bytes=1 << 30, cpu_seconds=20, file_bytes=1 << 20)

TRIES = """
import ctypes, json, os, signal, socket, subprocess, sys, threading, time

def attempt(what):
    try:
        return {"did": repr(what())[:200]}
    except BaseException as error:
        return {"refused": type(error).__name__ + ": " + str(error)}

def escape(arguments, inputs, outputs):
    libc = ctypes.CDLL(None, use_errno=True)
    def call(number, *rest):
        if libc.syscall(number, *rest) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    def write(path):
        with open(path, "w") as file:
            file.write("x")
    tries = {
        "tcp": lambda: socket.create_connection(("127.0.0.1", arguments["port"]), 1),
        "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "socketpair": socket.socketpair,
        "fork": os.fork,
        "spawn": lambda: subprocess.run(["/bin/true"]),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "kill the service": lambda: os.kill(arguments["service"], signal.SIGTERM),
        "signal with tgkill": lambda: call(arguments["tgkill"], arguments["service"], arguments["service"], 15),
        "read a secret": lambda: open(arguments["secret"]).read(),
        "list the root": lambda: os.listdir("/"),
        "read the service's environment": lambda: open("/proc/%d/environ" % arguments["service"]).read(),
        "write beside": lambda: write(arguments["beside"]),
        "write to tmp": lambda: write("/tmp/from-a-child"),
        "make a folder": lambda: os.mkdir(arguments["beside"] + "-folder"),
        "remove the input": lambda: os.unlink(arguments["readable"]),
        "change the input": lambda: write(arguments["readable"]),
        "become root": lambda: os.setuid(0) if os.getuid() else (_ for _ in ()).throw(PermissionError("is root")),
        "mount": lambda: call(arguments["mount"], b"none", b"/tmp", b"tmpfs", 0, None),
        "unshare": lambda: call(arguments["unshare"], 0x10000000),
        "ptrace": lambda: call(arguments["ptrace"], 16, arguments["service"], 0, 0),
        "memory without a limit": lambda: os.memfd_create("x"),
        "io_uring": lambda: call(425, 1, ctypes.create_string_buffer(120)),
    }
    allowed = {
        "read the input": lambda: open(arguments["readable"]).read(),
        "signal itself": lambda: os.kill(os.getpid(), 0),
        "start a thread": lambda: threading.Thread(target=time.sleep, args=(0,)).start(),
        "uid": os.getuid,
        "environment": lambda: sorted(os.environ),
    }
    answer = {name: attempt(what) for name, what in {**tries, **allowed}.items()}
    outputs[0].write(json.dumps({"walls": arguments["walls"], **answer}).encode())

def hang(arguments, inputs, outputs):
    outputs[0].write(b"began")
    time.sleep(3600)

def spin(arguments, inputs, outputs):
    while True:
        pass

def eat(arguments, inputs, outputs):
    kept = [bytearray(1 << 26) for _ in range(1000)]

def fill(arguments, inputs, outputs):
    while True:
        outputs[0].write(bytes(1 << 16))

def chatter(arguments, inputs, outputs):
    for _ in range(2000):
        sys.stderr.write("x" * 10000 + "\\n")
    raise ValueError("last words")

def answer(arguments, inputs, outputs):
    while line := sys.stdin.buffer.readline():
        outputs[0].write(line)
        print("more than a pipe holds" * 10_000, flush=True)

def crash(arguments, inputs, outputs):
    ctypes.string_at(0)
"""

X86 = {"tgkill": 234, "mount": 165, "unshare": 272, "ptrace": 101}
ARM = {"tgkill": 131, "mount": 40, "unshare": 97, "ptrace": 117}


@pytest.fixture(autouse=True)
def tries(hostile: Path) -> None:
    (hostile / "tries.py").write_text(TRIES)


async def run(children: Children, work: WorkFolder, task: str, **changes: Any) -> tuple[Ending, Path]:
    output = work.path / f"output-{task}"
    arguments = changes.pop("arguments", {})
    options: dict[str, Any] = {"limits": LIMITS, "wall_seconds": patience.SECONDS, "outputs": (output,)}
    job = Job(f"tries:{task}", arguments, **(options | changes))
    return await children.run(job), output


async def test_nothing_can_be_reached_from_inside(
    children: Children, work: WorkFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POTLUCK_INGEST_DATABASE_DSN", "secret dsn")
    secret, readable = tmp_path / "secret", work.path / "tree"
    secret.write_text("password")
    secret.chmod(0o644)
    readable.mkdir()
    (readable / "OUTCAR").write_text("data")
    (readable / "OUTCAR").chmod(0o666)
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
    arguments = {
        "port": server.sockets[0].getsockname()[1],
        "service": os.getpid(),
        "secret": str(secret),
        "beside": str(work.path / "beside"),
        "readable": str(readable / "OUTCAR"),
        **(X86 if os.uname().machine == "x86_64" else ARM),
    }
    ending, output = await run(children, work, "escape", arguments=arguments, readable=(readable,))
    server.close()
    assert ending.well, ending
    said = json.loads(output.read_bytes())
    assert "seccomp on" in said.pop("walls")
    inside = {
        name: said.pop(name) for name in ("read the input", "signal itself", "start a thread", "uid", "environment")
    }
    assert {name: tried for name, tried in said.items() if "did" in tried} == {}
    assert all("did" in tried for tried in inside.values()), inside
    assert "POTLUCK" not in inside["environment"]["did"]
    if os.getuid() == 0:
        assert inside["uid"]["did"] == str(CHILD_UID)
    assert (readable / "OUTCAR").read_text() == "data"
    assert not (work.path / "beside").exists()


@pytest.mark.parametrize(
    ("task", "rule", "words", "changes"),
    [
        ("hang", "stalled", "no progress for 0.6 s", {"stall_seconds": 0.6}),
        ("hang", "timed-out", "took longer than 0.8 s", {"wall_seconds": 0.8}),
        ("spin", "timed-out", "more than 1 s of processor time", {"limits": Limits(1 << 30, 1, 1 << 20)}),
        ("eat", "too-much-memory", "more than 512 MiB", {"limits": Limits(1 << 29, 20, 1 << 20)}),
        ("fill", "too-much-output", "wrote more than 1 MiB", {}),
        ("crash", "crashed", "SIGSEGV", {}),
        ("chatter", "crashed", "last words", {}),
    ],
)
async def test_what_goes_wrong_inside_is_told_apart(
    children: Children, work: WorkFolder, task: str, rule: str, words: str, changes: dict[str, Any]
) -> None:
    ending, output = await run(children, work, task, **changes)
    assert (ending.rule, words in (ending.why or "")) == (rule, True), ending
    # One that is ended before its imports are done has opened none.
    assert not output.exists() or output.stat().st_size <= LIMITS.file_bytes
    assert len(ending.stderr) <= 4096


async def test_a_child_calls_for_more_and_is_never_blocked_by_what_it_prints(
    children: Children, work: WorkFolder
) -> None:
    output = work.path / "output"
    job = Job("tries:answer", {}, LIMITS, wall_seconds=120, outputs=(output,))
    heard: list[bytes] = []

    began = 0.0

    async def feeding(feed: Feed) -> None:
        nonlocal began
        for line in (b"one\n", b"two\n"):
            began = time.monotonic()
            await feed.send(line)
            while not (output.exists() and output.read_bytes().endswith(line)):
                await feed.heard(30)
            heard.append(line)

    ending = await children.run(job, feeding)
    assert ending.well, ending
    assert (output.read_bytes(), heard) == (b"one\ntwo\n", [b"one\n", b"two\n"])
    # By its call, not by looking again after half a minute. The first line also waited for the child's start.
    assert time.monotonic() - began < 25


async def test_a_child_dies_with_its_parent(work: WorkFolder, hostile: Path) -> None:
    """SIGKILL to the service: the child, which runs as another user, goes as well."""
    output = work.path / "output"
    program = f"""
import asyncio
from pathlib import Path
from ingest.confinement.children import Children, Job
from ingest.confinement.kernel import Limits
job = Job("tries:hang", {{}}, Limits({1 << 30}, 60, {1 << 20}), 600, outputs=(Path({str(output)!r}),))
asyncio.run(Children(Path({str(work.caches)!r}), python_path=(Path({str(hostile)!r}),)).run(job))
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        async with asyncio.timeout(patience.SECONDS):
            while not (output.exists() and output.read_bytes() == b"began"):
                await asyncio.sleep(0.05)
        children = _children_of(parent.pid)
        assert len(children) == 1
    finally:
        parent.kill()
        await parent.wait()
    deadline = time.monotonic() + patience.SECONDS
    while _alive(children[0]):
        assert time.monotonic() < deadline, "the child outlived its parent"
        await asyncio.sleep(0.05)


async def test_cancelling_ends_the_child(children: Children, work: WorkFolder) -> None:
    running = asyncio.create_task(run(children, work, "hang"))
    output = work.path / "output-hang"
    async with asyncio.timeout(patience.SECONDS):
        while not (output.exists() and output.read_bytes() == b"began"):
            await asyncio.sleep(0.05)
    (child,) = _children_of(os.getpid())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not _alive(child)


async def test_the_spare_child_is_used_once_and_replaced(work: WorkFolder, hostile: Path) -> None:
    (hostile / "slow.py").write_text("import time, json\ntime.sleep(0.5)\n")
    children = Children(work.caches, spares={("slow",): 1}, python_path=(hostile,))
    await children.prepare()
    (spare,) = _children_of(os.getpid())
    await asyncio.sleep(1.5)
    output = work.path / "output"
    job = Job("tries:fill", {}, LIMITS, patience.SECONDS, outputs=(output,), imports=("slow",))
    assert (await children.run(job)).rule == "too-much-output"
    assert not _alive(spare)
    await children.prepare()
    assert len(_children_of(os.getpid())) == 1
    await children.close()
    assert _children_of(os.getpid()) == []


def _children_of(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                command = (folder / "cmdline").read_bytes()
                if b"ingest.confinement.child" in command:
                    found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False

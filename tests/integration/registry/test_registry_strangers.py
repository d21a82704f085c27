"""Who has never seen our code: the committed .proto alone, reflection alone, the guide as it is written."""

import asyncio
import os
import subprocess
import venv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import grpc_tools
import pytest
import pytest_asyncio
import uvicorn
from gateway.answers import problem_response
from gateway.api import files
from gateway.problems import Problem
from ports import free_port
from public_registry import DOWNLOAD_SECRET, PublicRegistry, public_registry, settings_of
from pydantic import SecretStr
from registry_bench import Bench
from snippets import run_page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

REPOSITORY = Path(__file__).resolve().parents[3]
# What `pip install grpcio grpcio-tools grpcio-reflection grpcio-status` brings, and nothing of ours.
PACKAGES = ("grpc", "grpc_tools", "grpc_reflection", "grpc_status", "google", "typing_extensions.py")
WITH_STUBS = """
import sys; sys.path.insert(0, ".")
import grpc, registry_pb2, registry_pb2_grpc
stub = registry_pb2_grpc.RegistryServiceStub(grpc.insecure_channel(sys.argv[1]))
model = stub.GetModel(registry_pb2.GetModelRequest(version_or_alias="latest"), timeout=20).model
print(model.version, [one.branch for one in model.datasets])
try:
    import contracts
except ModuleNotFoundError:
    print("nothing of ours is installed")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the packages above alone."""
    folder = tmp_path_factory.mktemp("stranger")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    installed = Path(grpc_tools.__file__).parents[1]
    (folder / "packages").mkdir()
    for name in PACKAGES:
        (folder / "packages" / name).symlink_to(installed / name)
    (place,) = (folder / "venv" / "lib").glob("python3*/site-packages")
    (place / "packages.pth").write_text(f"{folder / 'packages'}\n")
    return folder / "venv" / "bin" / "python"


@asynccontextmanager
async def site(bench: Bench) -> AsyncIterator[str]:
    """The gateway's own answer to signed addresses, at an address of its own."""

    async def on_problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return problem_response(error)

    app = Starlette(routes=files.routes(), exception_handlers={Problem: on_problem})
    settings = SimpleNamespace(download_secret=SecretStr(DOWNLOAD_SECRET))
    app.state.gateway = SimpleNamespace(settings=settings, blobs=bench.blobs)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest_asyncio.fixture
async def public(bench: Bench) -> AsyncIterator[PublicRegistry]:
    """Two versions, and a site that serves their files."""
    await bench.publish("Si", "Water")
    await bench.publish("Gold")
    async with site(bench) as url, public_registry(bench, settings_of(bench, download_url=url)) as one:
        yield one


def ran(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_the_committed_file_is_all_that_a_client_needs(
    public: PublicRegistry, python: Path, tmp_path: Path
) -> None:
    proto = REPOSITORY / "proto/contracts/registry/v1"
    generate = [
        "-I",
        "-m",
        "grpc_tools.protoc",
        f"-I{proto}",
        "--python_out=.",
        "--grpc_python_out=.",
        "registry.proto",
    ]
    await asyncio.to_thread(ran, [str(python), *generate], tmp_path)
    (tmp_path / "ask.py").write_text(WITH_STUBS)
    printed = await asyncio.to_thread(ran, [str(python), "-I", "ask.py", public.address], tmp_path)
    assert printed.splitlines() == ["1.1 ['si', 'water', 'gold']", "nothing of ours is installed"]


async def test_the_guide_works_as_it_is_written(public: PublicRegistry, python: Path, tmp_path: Path) -> None:
    environment = {
        "PATH": f"{python.parent}:{os.environ['PATH']}",
        "REGISTRY": public.address,
        "POTLUCK": str(REPOSITORY),
    }
    count = await asyncio.to_thread(run_page, REPOSITORY / "docs/registry.md", tmp_path, environment, str(python))
    assert count >= 8

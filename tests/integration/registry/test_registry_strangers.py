"""Who has never seen our code: the committed .proto alone, reflection alone, the guide as it is written."""

import asyncio
import json
import os
import re
import subprocess
import venv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import grpc_tools
import pytest
import pytest_asyncio
import trustme
import uvicorn
from gateway.api import files
from gateway.http.answers import problem_response
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
# What `pip install` of INSTALLED brings, and nothing of ours.
PACKAGES = ("grpc", "grpc_tools", "grpc_reflection", "grpc_status", "google", "typing_extensions.py")
INSTALLED = ["grpcio", "grpcio-tools", "grpcio-status", "grpcio-reflection"]
GUIDE = REPOSITORY / "docs/registry.md"
QUERIES = "contracts.registry.v1.RegistryService"
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


@pytest.fixture(scope="module")
def buf() -> Path:
    """The program that npm's `@bufbuild/buf` brings for this machine."""
    (found,) = (REPOSITORY / "node_modules/@bufbuild").glob("buf-linux-*/bin/buf")
    return found


async def test_the_guide_works_as_it_is_written(
    public: PublicRegistry, python: Path, buf: Path, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "buf").symlink_to(buf)
    environment = {
        "PATH": f"{python.parent}:{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "REGISTRY": public.address,
        "POTLUCK": str(REPOSITORY),
    }
    count = await asyncio.to_thread(run_page, GUIDE, tmp_path, environment, str(python))
    assert count >= 9


def test_the_guide_installs_what_its_snippets_are_run_with() -> None:
    """What is shown and not run here: where the registry is, and what comes from a package registry."""
    shown = re.findall(r"^```sh no-run\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in shown for line in block.splitlines()]
    assert [line.split()[0] for line in lines] == ["export", "pip", "npm"]
    assert lines[1].split()[2:] == INSTALLED
    assert lines[2].split()[-1] == "@bufbuild/buf"


async def test_a_program_without_the_file_asks_encrypted_and_by_token(bench: Bench, buf: Path, tmp_path: Path) -> None:
    """As the guide says of `buf`: https, and a header."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    token = "a-token-of-somebody-outside"
    settings = settings_of(
        bench,
        public_tokens={"somebody": SecretStr(token)},
        public_anonymous=False,
        public_tls_certificate=tmp_path / "certificate.pem",
        public_tls_key=tmp_path / "key.pem",
    )
    await bench.publish("Si", "Water")
    async with public_registry(bench, settings, settings.public_tls) as public:
        port = public.address.rpartition(":")[2]
        question = [f"https://localhost:{port}/{QUERIES}/GetAlias", "--data", '{"alias": "latest"}']
        command = [str(buf), "curl", "--protocol", "grpc", "--cacert", str(tmp_path / "authority.pem"), *question]
        asked = [*command, "--header", f"authorization: Bearer {token}"]
        printed = await asyncio.to_thread(ran, asked, tmp_path)
        assert json.loads(printed)["alias"]["version"] == "1.0"
        with pytest.raises(AssertionError, match="unauthenticated"):
            await asyncio.to_thread(ran, command, tmp_path)

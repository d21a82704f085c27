"""`python -m trainer verify <version>`: an operator has a version's scores derived again, private branches too.

Exit codes: 0 everything came out again, 1 something differs, 2 nothing differs and not all could be derived (or wrong
arguments), 3 no registry or no storage answers.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import grpc
from contracts.registry.v1 import registry_pb2_grpc
from dpa import claims
from dpa.remeasure import NotMeasured
from kit.blobs import Blobs
from kit.rpc import channel
from kit.settings import service_config
from kit.tls import RegistryTlsSettings
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from trainer.rederiving import Rederiving

NO_ANSWER = 3
_MARKS = {"matches": "✓", "differs": "✗", "not-rederived": "?"}


class VerifySettings(BaseSettings, RegistryTlsSettings):
    """Environment variables POTLUCK_TRAINER_…"""

    model_config = service_config("trainer")

    registry_address: str = Field(description="host:port of the registry's gRPC")
    query_token: SecretStr | None = Field(default=None, description="bearer token of the registry's queries")
    blobs_url: str = Field(description="object storage, as the platform's services have it")
    threads: int = Field(default=1, ge=1, description="CPU threads that measure")
    deadline_seconds: float = Field(default=10, gt=0, description="how long one question to the registry may take")


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description="Without a command: a worker.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    about = "derive a version's published scores again, from storage, private branches too"
    verify = verbs.add_parser("verify", help=about, description=about)
    verify.add_argument("version", help="e.g. 1.2, or latest")
    verify.add_argument("--json", action="store_true", help="for scripts")
    given = parser.parse_args(arguments)
    try:
        settings = VerifySettings()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(map(str, problem["loc"])).upper()
            print(f"POTLUCK_TRAINER_{name}: {problem['msg']}", file=sys.stderr)
        return 2
    try:
        version, findings = asyncio.run(_verified(settings, given.version))
    except grpc.aio.AioRpcError as error:
        print(f"the registry at {settings.registry_address} says: {error.details()}", file=sys.stderr)
        return 2 if error.code() is grpc.StatusCode.NOT_FOUND else NO_ANSWER
    except (OSError, NotMeasured) as error:
        print(f"it cannot be derived here: {error}", file=sys.stderr)
        return NO_ANSWER
    if given.json:
        print(json.dumps({"version": version, **claims.document(findings)}, ensure_ascii=False))
    else:
        print("\n".join(_lines(version, findings)))
    return claims.exit_code(findings)


async def _verified(settings: VerifySettings, version: str) -> tuple[str, list[claims.Finding]]:
    with tempfile.TemporaryDirectory(prefix="potluck-verify-") as name:
        async with channel(settings.registry_address, settings.query_token, settings.registry_tls) as connection:
            stub = registry_pb2_grpc.RegistryServiceStub(connection)
            rederiving = Rederiving(Blobs(settings.blobs_url), Path(name), settings.threads)
            return await rederiving.version(stub, version, settings.deadline_seconds)


def _lines(version: str, findings: Sequence[claims.Finding]) -> list[str]:
    outcome = ("is what it says", "is not what it says", "could not be derived as a whole")[claims.exit_code(findings)]
    tolerance = f"{100 * claims.RELATIVE_TOLERANCE:g} % or {claims.ABSOLUTE_TOLERANCE:g} meV"
    head = f"DPA {version} {outcome}; {len(findings)} statements, tolerance {tolerance}"
    return [head, *(f"  {_MARKS[one.state]} {claims.sentence(one)}" for one in claims.in_order(findings))]

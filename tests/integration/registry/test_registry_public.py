"""The public listener: who is let in, how often, how much; TLS, health, reflection, deadlines; structures."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import grpc
import pytest
import trustme
from contracts.registry.v1 import registry_pb2 as registry
from contracts.registry.v1.registry_pb2_grpc import RegistryServiceStub
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kit.signed_urls import PATH, check
from kit.tls import ServerTls
from public_registry import DOWNLOAD_SECRET, details, error_of, public_registry, settings_of
from pydantic import SecretStr, ValidationError
from registry_bench import Bench

if TYPE_CHECKING:
    Raw = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]  # generic for the type checker alone

TOKEN = "a-token-of-somebody-outside"


async def test_without_leave_nobody_asks_anonymously(bench: Bench) -> None:
    tokens = {"somebody": SecretStr(TOKEN)}
    settings = settings_of(bench, public_tokens=tokens, public_anonymous=False)
    async with public_registry(bench, settings) as public:
        for metadata in ((), (("authorization", "Bearer wrong"),)):
            for call in (
                public.stub.ListModels(registry.ListModelsRequest(), metadata=metadata),
                public.stub.Watch(registry.WatchRequest(), metadata=metadata).read(),
                public.stub.Resolve(registry.ResolveRequest(), metadata=metadata),
            ):
                error = await error_of(call)
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED
                assert "Bearer" in (error.details() or "")
                assert details(error)["ErrorInfo"].reason == "NOT_ADMITTED"
        mine = (("authorization", f"Bearer {TOKEN}"),)
        assert not (await public.stub.ListModels(registry.ListModelsRequest(), metadata=mine)).models


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"public_address": "0.0.0.0:5000"}, "set public_tokens, or public_anonymous=true"),
        ({"public_anonymous": False}, "set public_tokens"),
        ({"public_tokens": {"one": "short"}}, "less than 16 characters"),
        ({"public_tls_key": "key.pem"}, "belong together"),
        ({"download_url": None}, "belong together"),
    ],
)
async def test_settings_that_let_in_nobody_or_anybody(bench: Bench, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        settings_of(bench, **changes)


async def test_only_the_setting_opens_an_address_that_others_reach(bench: Bench) -> None:
    tokens = {"somebody": SecretStr(TOKEN)}
    assert settings_of(bench).anonymous
    assert not settings_of(bench, public_address="0.0.0.0:5000", public_tokens=tokens).anonymous
    assert settings_of(bench, public_address="0.0.0.0:5000", public_anonymous=True).anonymous


async def test_one_caller_that_asks_too_often(bench: Bench) -> None:
    tokens = {"somebody": SecretStr(TOKEN)}
    settings = settings_of(bench, public_calls_per_second=0.5, public_burst=3, public_tokens=tokens)
    async with public_registry(bench, settings) as public:
        for _ in range(3):
            await public.stub.ListModels(registry.ListModelsRequest())
        error = await error_of(public.stub.ListModels(registry.ListModelsRequest()))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert 0 < details(error)["RetryInfo"].retry_delay.ToMilliseconds() <= 2000
        mine = (("authorization", f"Bearer {TOKEN}"),)
        await public.stub.ListModels(registry.ListModelsRequest(), metadata=mine)


async def test_a_request_that_is_too_large_or_is_none(bench: Bench) -> None:
    async with public_registry(bench, settings_of(bench, public_request_bytes=20_000)) as public:
        large = registry.Structure(symbols=["H"] * 2000, positions=[0.0] * 6000)
        error = await error_of(public.stub.Resolve(registry.ResolveRequest(structure=large)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "20000" in (error.details() or "")
        async with grpc.aio.insecure_channel(public.address) as channel:
            raw: Raw = channel.unary_unary("/contracts.registry.v1.RegistryService/GetModel")
            error = await error_of(raw(b"\xff\xff"))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "not a contracts.registry.v1.GetModelRequest" in (error.details() or "")


async def test_an_answer_takes_no_longer_than_it_may(bench: Bench) -> None:
    async with public_registry(bench, settings_of(bench, query_seconds=0.3)) as public:
        async with bench.database.transaction() as conn:
            await conn.execute("lock table models in access exclusive mode")
            await conn.execute("lock table rounds in access exclusive mode")
            started = time.monotonic()
            error = await error_of(public.stub.ListRounds(registry.ListRoundsRequest()))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "0.3 s" in (error.details() or "")
        assert time.monotonic() - started < 10
        assert not (await public.stub.ListRounds(registry.ListRoundsRequest())).rounds


async def test_encrypted_by_setting(bench: Bench, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    settings = settings_of(
        bench, public_tls_certificate=tmp_path / "certificate.pem", public_tls_key=tmp_path / "key.pem"
    )
    assert settings.public_tls == ServerTls(tmp_path / "certificate.pem", tmp_path / "key.pem")
    async with public_registry(bench, settings, settings.public_tls) as public:
        address = public.address.replace("127.0.0.1", "localhost")
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        async with grpc.aio.secure_channel(address, credentials) as channel:
            await RegistryServiceStub(channel).ListModels(registry.ListModelsRequest(), timeout=60)
        error = await error_of(public.stub.ListModels(registry.ListModelsRequest(), timeout=60))
        assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_health_is_told_and_trainers_do_not_belong_here(bench: Bench) -> None:
    async with (
        public_registry(bench, settings_of(bench)) as public,
        grpc.aio.insecure_channel(public.address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="contracts.registry.v1.RegistryService")
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        for service in ("contracts.fleet.v1.FleetService/Lease", "contracts.operator.v1.OperatorService/Pause"):
            raw: Raw = channel.unary_unary(f"/{service}")
            error = await error_of(raw(b""))
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_which_branch_for_what(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    async with public_registry(bench, settings_of(bench)) as public:
        ask = public.stub.Resolve
        known = await ask(registry.ResolveRequest(elements=registry.Elements(numbers=[14])))
        assert (known.version, known.out_of_domain, list(known.elements)) == ("1.0", False, ["Si"])
        assert [one.branch.name for one in known.branches] == ["si", "water"]  # equal errors: by name
        assert known.branches[0].expected_error.force_rmse_mev_per_angstrom == 400
        unseen = await ask(registry.ResolveRequest(elements=registry.Elements(symbols=["Si", "Au"]), max_branches=1))
        assert (unseen.out_of_domain, len(unseen.branches)) == (True, 1)
        assert unseen.reasons[0].kind == registry.DOMAIN_REASON_KIND_UNKNOWN_ELEMENT
        assert list(unseen.reasons[0].subjects) == ["Au"]
        pair = registry.Structure(symbols=["Si", "Si"], positions=[0, 0, 0, 0.2, 0, 0])
        overlapping = await ask(registry.ResolveRequest(version_or_alias="latest", structure=pair))
        assert overlapping.reasons[0].kind == registry.DOMAIN_REASON_KIND_OVERLAPPING_ATOMS
        for request, field in (
            (registry.ResolveRequest(), "asked"),
            (registry.ResolveRequest(elements=registry.Elements()), "elements"),
            (registry.ResolveRequest(structure=registry.Structure()), "structure.symbols"),
            (registry.ResolveRequest(elements=registry.Elements(symbols=["Xx"])), "elements.symbols[0]"),
        ):
            error = await error_of(ask(request))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert details(error)["BadRequest"].field_violations[0].field == field


async def test_a_hundred_thousand_atoms_hold_up_nobody(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    side = 47
    positions = [2.7 * one for a in range(side) for b in range(side) for c in range(side) for one in (a, b, c)]
    natoms = 100_000
    large = registry.Structure(
        numbers=[14] * natoms,
        positions=positions[: 3 * natoms],
        cell=[side * 2.7, 0, 0, 0, side * 2.7, 0, 0, 0, side * 2.7],
    )
    async with public_registry(bench, settings_of(bench, query_seconds=120)) as public:
        asking = asyncio.ensure_future(public.stub.Resolve(registry.ResolveRequest(structure=large)))
        slowest = 0.0
        while not asking.done():
            started = time.monotonic()
            await public.stub.GetModel(registry.GetModelRequest(version_or_alias="latest"))
            slowest = max(slowest, time.monotonic() - started)
        answer = await asking
    assert answer.branches[0].branch.name == "si"
    assert slowest < 5


async def test_addresses_that_the_gateway_can_check(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    async with public_registry(bench, settings_of(bench)) as public:
        answer = await public.stub.SignDownloads(
            registry.SignDownloadsRequest(version_or_alias="latest", names=["model.pt"], lifetime=Duration(seconds=60))
        )
        (one,) = answer.downloads
        parts = urlsplit(one.url)
        key, query = parts.path.removeprefix(PATH), parse_qs(parts.query)
        check(key, query["expires"][0], query["signature"][0], SecretStr(DOWNLOAD_SECRET), time.time())
        assert await bench.blobs.sha256(key) == one.sha256
        assert abs(one.expires.seconds - time.time() - 60) < 30
        everything = await public.stub.SignDownloads(registry.SignDownloadsRequest(version_or_alias="1.0"))
        assert {"model.pt", "manifest.json", "manifest.json.sig"} <= {file.name for file in everything.downloads}
        for seconds in (0, 10**9):
            request = registry.SignDownloadsRequest(version_or_alias="1.0", lifetime=Duration(seconds=seconds))
            error = await error_of(public.stub.SignDownloads(request))
            assert details(error)["BadRequest"].field_violations[0].field == "lifetime"
    closed = settings_of(bench, download_url=None, download_secret=None)
    async with public_registry(bench, closed) as public:
        error = await error_of(public.stub.SignDownloads(registry.SignDownloadsRequest(version_or_alias="1.0")))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "download_url" in (error.details() or "")

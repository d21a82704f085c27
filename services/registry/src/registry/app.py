"""The only wiring: settings in, a running registry out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.fleet.v1 import fleet_pb2, fleet_pb2_grpc, scoring_pb2, scoring_pb2_grpc
from contracts.operator.v1 import operator_pb2, operator_pb2_grpc
from kit.callers import Callers
from kit.logs import get_logger
from kit.rpc import PublicLimits, ServiceEntry, serve, serve_publicly
from kit.service import Foundation
from kit.tls import is_loopback

from registry.domain.policy import GrowthPolicy
from registry.domain.signing import Signer
from registry.fleet.rpc import FleetServicer
from registry.fleet.scoring_rpc import ScoringServicer
from registry.handlers import Handlers
from registry.operators.operations import Operations
from registry.operators.rpc import OperatorServicer
from registry.proclaiming import proclaim
from registry.queries.querying import Querying
from registry.queries.rpc import SERVICE, add_queries
from registry.rounds.growth import Growth
from registry.rounds.leakage import Leakage
from registry.rounds.presets import Presets
from registry.rounds.scoring import Scorings
from registry.rounds.service import Rounds
from registry.rounds.timer import Timer
from registry.settings import RegistrySettings
from registry.store import Store

log = get_logger(__name__)


@asynccontextmanager
async def build(settings: RegistrySettings, base: Foundation[RegistrySettings]) -> AsyncIterator[None]:
    """Wire the service; it consumes, serves and looks at its leases until the block is left."""
    policy = GrowthPolicy.load(settings.growth_policy)
    store = Store()
    presets = Presets(settings.presets)
    presets.needs(policy.preset)  # a policy that names no preset is told at start
    rounds = Rounds(store, policy, presets)
    signer = Signer(settings.signing_key.get_secret_value())
    await proclaim(base.database, base.blobs, store, signer, policy)
    growth = Growth(store, base.blobs, policy, signer)
    handlers = Handlers(base.database, base.blobs, rounds, Operations(store))
    base.bus.consume("registry-dataset-metric-passed", handlers.on_metric_passed)
    base.bus.consume("registry-dataset-withdrawn", handlers.on_dataset_withdrawn)
    base.bus.consume("registry-dataset-made-public", handlers.on_dataset_made_public)
    querying = Querying.built(settings, base.database, base.blobs, store)
    await querying.catalogue.open()
    base.tasks.create_task(querying.catalogue.follow(), name="catalogue")
    entries = [
        ServiceEntry(
            fleet_pb2_grpc.add_FleetServiceServicer_to_server,
            FleetServicer(base.database, rounds, growth),
            fleet_pb2.DESCRIPTOR.services_by_name["FleetService"].full_name,
            settings.fleet_token,
        ),
        ServiceEntry(
            scoring_pb2_grpc.add_ScoringServiceServicer_to_server,
            ScoringServicer(base.database, Scorings(store, policy)),
            scoring_pb2.DESCRIPTOR.services_by_name["ScoringService"].full_name,
            settings.fleet_token,
        ),
        ServiceEntry(add_queries, querying.internal(), SERVICE, settings.query_token),
    ]
    if settings.offers_operations:
        operators = ServiceEntry(
            operator_pb2_grpc.add_OperatorServiceServicer_to_server,
            OperatorServicer(base.database, store, rounds.life_seconds, policy.max_attempts),
            operator_pb2.DESCRIPTOR.services_by_name["OperatorService"].full_name,
            settings.operator_token,
        )
        entries.append(operators)
    if settings.tls is None and not is_loopback(settings.address):
        log.warning("grpc-not-encrypted", address=settings.address, remedy="set tls_certificate and tls_key")
    async with serve(settings.address, entries, tls=settings.tls) as port, _public(settings, querying):
        log.info("grpc-serving", port=port, encrypted=settings.tls is not None)
        leakage = Leakage(base.database, base.blobs, store)
        timer = Timer(base.database, base.blobs, store, rounds, leakage, settings.check_seconds)
        task = base.tasks.create_task(timer.run(grace_seconds=policy.lease_ttl_seconds), name="registry-timer")
        try:
            yield
        finally:
            task.cancel()
            querying.watchers.close()


@asynccontextmanager
async def _public(settings: RegistrySettings, querying: Querying) -> AsyncIterator[None]:
    """Answer strangers, if there is an address for them."""
    if settings.public_address is None:
        yield
        return
    callers = Callers(
        settings.public_tokens,
        anonymous=settings.anonymous,
        per_second=settings.public_calls_per_second,
        burst=settings.public_burst,
    )
    entry = ServiceEntry(add_queries, querying.public(callers), SERVICE)
    limits = PublicLimits(settings.public_request_bytes, settings.public_open_calls)
    tls = settings.public_tls
    if tls is None and not is_loopback(settings.public_address):
        log.warning(
            "public-grpc-not-encrypted",
            address=settings.public_address,
            remedy="set public_tls_certificate and public_tls_key",
        )
    async with serve_publicly(settings.public_address, [entry], limits, tls=tls) as port:
        log.info("public-grpc-serving", port=port, encrypted=tls is not None, anonymous=settings.anonymous)
        yield

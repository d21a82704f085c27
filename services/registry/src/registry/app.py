"""The only wiring: settings in, a running registry out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from contracts.fleet.v1 import fleet_pb2, fleet_pb2_grpc, scoring_pb2, scoring_pb2_grpc
from contracts.operator.v1 import operator_pb2, operator_pb2_grpc
from contracts.registry.v1 import registry_pb2, registry_pb2_grpc
from kit.logs import get_logger
from kit.rpc import ServiceEntry, serve
from kit.service import Foundation
from kit.tls import is_loopback

from registry.growth import Growth
from registry.handlers import Handlers
from registry.leakage import Leakage
from registry.operations import Operations
from registry.operator_rpc import OperatorServicer
from registry.policy import GrowthPolicy
from registry.presets import Presets
from registry.proclaiming import proclaim
from registry.rpc import FleetServicer, RegistryServicer
from registry.scoring import Scorings
from registry.scoring_rpc import ScoringServicer
from registry.service import Rounds
from registry.settings import RegistrySettings
from registry.signing import Signer
from registry.store import Store
from registry.timer import Timer

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
        ServiceEntry(
            registry_pb2_grpc.add_RegistryServiceServicer_to_server,
            RegistryServicer(base.database, store),
            registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name,
            settings.query_token,
        ),
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
    async with serve(settings.address, entries, tls=settings.tls) as port:
        log.info("grpc-serving", port=port, encrypted=settings.tls is not None)
        leakage = Leakage(base.database, base.blobs, store)
        timer = Timer(base.database, base.blobs, store, rounds, leakage, settings.check_seconds)
        task = base.tasks.create_task(timer.run(grace_seconds=policy.lease_ttl_seconds), name="registry-timer")
        try:
            yield
        finally:
            task.cancel()

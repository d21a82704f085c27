"""A structure goes all the way: gateway, ingest and metric as they are, on real servers, with the reference model."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import reference_model
from ase import Atoms
from ase.io import write
from contracts.artifacts import ModelManifest, PublishedBranch, PublishedManifest
from contracts.events import ModelFile
from contracts.registry.v1 import registry_pb2, registry_pb2_grpc
from gateway_bench import Outside, eventually, serving_site
from gateway_examples import published
from gateway_views import handled
from ingest.app import build as build_ingest
from ingest.settings import IngestSettings
from kit.rpc import ServiceEntry, serve
from kit.service import running
from metric.app import build as build_metric
from metric.settings import MetricSettings
from metric_platform import TOKEN, Registry
from onemachine.nats import ADMIN, NatsServer
from onemachine.provision import administration
from ports import free_port

VERSION = "1.0"
SERVICE = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name


def public_manifest(manifest: ModelManifest) -> PublishedManifest:
    branches = tuple(
        PublishedBranch(
            name=one.name,
            dataset=None,
            title=None,
            authors=(),
            licence=None,
            elements=one.elements,
            level_of_theory=None,
            weight=one.weight,
            new=True,
            energy_rmse_mev_per_atom=one.held_out.energy_rmse_mev_per_atom,
            force_rmse_mev_per_angstrom=one.held_out.force_rmse_mev_per_angstrom,
        )
        for one in manifest.branches
    )
    return PublishedManifest(
        version=VERSION,
        parent_version=None,
        round_id=uuid4(),
        preset="laptop",
        branches=branches,
        contributors=(),
        rules=(),
        standard_score=0.2,
        steps=1,
        wall_seconds=1,
        versions={},
    )


async def test_from_a_file_to_energy_and_forces(
    service_env: Callable[[str], dict[str, str]],
    fresh_streams: NatsServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("ingest", "metric"):
        for key, value in service_env(name).items():
            monkeypatch.setenv(key, value)
        monkeypatch.setenv(f"POTLUCK_{name.upper()}_WORK_FOLDER", str(tmp_path / name))
    monkeypatch.setenv("POTLUCK_METRIC_KNOWN_FRAMES_PER_BRANCH", "30")
    gateway = service_env("gateway") | {
        "POTLUCK_GATEWAY_ADDRESS": f"127.0.0.1:{free_port()}",
        "POTLUCK_GATEWAY_UPLOADS_FOLDER": str(tmp_path / "incoming"),
    }
    registry = Registry()  # type: ignore[abstract]
    entry = ServiceEntry(registry_pb2_grpc.add_RegistryServiceServicer_to_server, registry, SERVICE, TOKEN)
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(serve("127.0.0.1:0", [entry]))
        monkeypatch.setenv("POTLUCK_METRIC_REGISTRY_ADDRESS", f"127.0.0.1:{port}")
        monkeypatch.setenv("POTLUCK_METRIC_REGISTRY_TOKEN", TOKEN.get_secret_value())
        site = await stack.enter_async_context(serving_site(gateway, monkeypatch, with_pages=True))
        await stack.enter_async_context(running("ingest", IngestSettings(), build_ingest))
        await stack.enter_async_context(running("metric", MetricSettings(), build_metric))
        outside = Outside(
            await stack.enter_async_context(administration(fresh_streams.url, ADMIN, f"nats-password-of-{ADMIN}"))
        )
        ref = await reference_model.publish(site.base.blobs, tmp_path)
        artifact = registry_pb2.Artifact(key=ref.key, sha256=ref.sha256, size=ref.size)
        registry.model = registry_pb2.Model(version=VERSION, manifest=artifact)
        manifest = await site.base.blobs.get_model(ref.key, ModelManifest)
        stored = await site.base.blobs.put_model("models/1.0/published.json", public_manifest(manifest))
        event = published(uuid4(), None, version=VERSION)
        files = (*event.files, ModelFile(name="manifest.json", kind="manifest", blob=stored))
        await handled(site, outside, event.model_copy(update={"files": files}))

        async def answer(text: str) -> dict[str, Any]:
            made = await site.http.post("/api/v1/models/latest/predictions", json={"structure": text})
            assert made.status_code == 202, made.text

            async def there() -> dict[str, Any] | None:
                now = (await site.http.get(made.headers["location"])).json()
                return now if now["state"] != "waiting" else None

            return dict(await eventually(there))

        frame = reference_model.held_out_frames("silicon")[0]
        atoms = Atoms(frame.symbols, positions=frame.coords, cell=frame.cell, pbc=True)
        for form in ("vasp", "cif", "extxyz"):
            write(tmp_path / form, atoms, format=form)
            done = await answer((tmp_path / form).read_text())
            assert done["state"] == "done", done
            assert (done["result"]["branch"], done["result"]["covered"]) == ("silicon", True)
            assert done["result"]["energy_ev"] == pytest.approx(frame.energy, abs=0.5)
        overlapping = "2\n\nSi 0 0 0\nSi 0 0 0.3\n"
        assert (await answer(overlapping))["reason"] == "Atoms Si 1 and Si 2 overlap: they are 0.30 Å apart."
        assert (await answer("Dear all,\n"))["state"] == "refused"

"""Receipts, keys, the policy in force and the frames of a dataset over HTTP: for whom, and byte for byte."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from contracts import keys
from contracts.artifacts import Cost, Gpu, GrowthPolicyInForce, Hardware
from contracts.base import DatasetRef
from contracts.signed import SigningKey, SigningKeys, canonical
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from gateway_bench import Member, Outside, Site, serving_site
from gateway_examples import SIGNER, blob, published, receipt, validated
from gateway_views import a_dataset, handled
from registry.proclaiming import in_force
from registry_examples import policy

TRAIN, HELD_OUT = b"training frames", b"held-out frames of some length"


def verify(document: dict[str, Any]) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(SIGNER.public_key))
    key.verify(base64.b64decode(document["signature"]["value"]), canonical(document["receipt"]))


@pytest.fixture
async def paged(gateway_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """With its pages; they need the built front end."""
    async with serving_site(gateway_env, monkeypatch, with_pages=True) as served:
        yield served


async def read(site: Site, dataset: DatasetRef, member: Member | None = None) -> list[dict[str, Any]]:
    path = f"/api/v1/datasets/{dataset.dataset_id}/receipts"
    answer = await (member.request("GET", path) if member else site.http.get(path))
    assert answer.status_code == 200, answer.text
    return list(answer.json()["receipts"])


async def test_receipts_are_given_out_as_they_were_signed(site: Site, outside: Outside) -> None:
    dataset = await a_dataset(await site.join("mei"))
    early = receipt(dataset, uuid4(), None, "2026-11-24T08:00:00Z")
    late = receipt(dataset, uuid4())
    await handled(site, outside, late, early, late)
    newest, before = await read(site, dataset)
    assert (newest["receipt"]["model_version"], before["receipt"]["outcome"]) == ("1.1", "withheld")
    for document in (newest, before):
        verify(document)
    newest["receipt"]["own"]["after"]["force_rmse_mev_per_angstrom"] = 403
    with pytest.raises(InvalidSignature):
        verify(newest)


async def test_a_private_datasets_receipts_are_its_owners_alone(site: Site, outside: Outside) -> None:
    mei, other = await site.join("mei"), await site.join("other")
    dataset = await a_dataset(mei, private=True)
    ref = validated(dataset).model_copy(update={"held_out": blob("datasets/x/held-out.mdb", HELD_OUT)})
    await site.base.blobs.put_bytes("datasets/x/held-out.mdb", HELD_OUT)
    await handled(site, outside, ref, receipt(dataset, uuid4()))
    assert len(await read(site, dataset, mei)) == 1
    base = f"/api/v1/datasets/{dataset.dataset_id}"
    for path in ("receipts", "frames/held-out.mdb"):
        assert (await mei.request("GET", f"{base}/{path}")).status_code == 200
        for answer in (await site.http.get(f"{base}/{path}"), await other.request("GET", f"{base}/{path}")):
            assert answer.status_code == 404
            assert answer.json()["title"] == "Not here"


async def test_frames_are_offered_with_size_and_hash(paged: Site, outside: Outside) -> None:
    site = paged
    dataset = await a_dataset(await site.join("mei"))
    path = f"/api/v1/datasets/{dataset.dataset_id}"
    early = await site.http.get(f"{path}/frames/held-out.mdb")
    assert early.status_code == 404
    assert (await site.http.get(path)).json()["frame_files"] == []
    refs = {
        "train": await site.base.blobs.put_bytes("datasets/y/train.mdb", TRAIN),
        "held_out": await site.base.blobs.put_bytes("datasets/y/held-out.mdb", HELD_OUT),
    }
    await handled(site, outside, validated(dataset).model_copy(update=refs))
    files = (await site.http.get(path)).json()["frame_files"]
    assert [(one["filename"], one["size"], one["sha256"]) for one in files] == [
        ("train.mdb", len(TRAIN), hashlib.sha256(TRAIN).hexdigest()),
        ("held-out.mdb", len(HELD_OUT), hashlib.sha256(HELD_OUT).hexdigest()),
    ]
    assert (await site.http.get(files[0]["url"])).content == TRAIN
    part = await site.http.get(files[1]["url"], headers={"range": "bytes=9-"})
    assert (part.status_code, part.content) == (206, HELD_OUT[9:])
    assert (await site.http.get(f"{path}/frames/manifest.json")).status_code == 404
    page = (await site.http.get(f"/datasets/{dataset.dataset_id}", headers={"accept": "text/html"})).text
    assert "held-out.mdb" in page
    assert files[1]["sha256"] in page


async def test_keys_and_policy_are_told_once_the_registry_has(site: Site) -> None:
    for path in ("/.well-known/potluck-keys.json", "/api/v1/policy/growth"):
        answer = await site.http.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    told = SigningKeys(
        keys=(
            SigningKey.model_validate(
                {"key_id": SIGNER.key_id, "public_key": SIGNER.public_key, "since": "2026-11-25T00:00:00Z"}
            ),
        )
    )
    await site.base.blobs.put_model(keys.SIGNING_KEYS, told)
    await site.base.blobs.put_model(keys.GROWTH_POLICY, in_force(policy(withholding_checks=("conserves-energy",))))
    answer = await site.http.get("/.well-known/potluck-keys.json")
    assert SigningKeys.model_validate(answer.json()) == told
    assert answer.headers["access-control-allow-origin"] == "*"
    answer = await site.http.get("/api/v1/policy/growth")
    assert GrowthPolicyInForce.model_validate(answer.json()).rules[0].numbers == {"at_least_percent": 5}


async def test_pages_tell_of_receipts_cost_and_policy_in_both_languages(paged: Site, outside: Outside) -> None:
    site = paged
    dataset = await a_dataset(await site.join("mei"))
    round_id = uuid4()
    await site.base.blobs.put_model(keys.GROWTH_POLICY, in_force(policy(withholding_checks=("conserves-energy",))))
    made = published(round_id, dataset).model_copy(
        update={
            "seed": 4711,
            "steps": 1500,
            "versions": {"deepmd-kit": "3.2.0"},
            "hardware": Hardware(
                cpu="Example 9000", cpu_cores=16, memory_bytes=64 << 30, gpus=(Gpu(name="Example GPU"),), device="cuda"
            ),
            "cost": Cost(attempts=3, attempts_told=2, core_hours=2.5, gpu_hours=1.25, gpu_energy_kwh=0.75),
        }
    )
    await handled(site, outside, receipt(dataset, round_id), made)
    shown = (await site.http.get("/api/v1/models/1.1")).json()
    assert (shown["seed"], shown["cost"]["attempts"], shown["hardware"]["cpu"]) == (4711, 3, "Example 9000")
    expected = {
        ("en", "/models/1.1"): ("1.25 GPU-hours, 2.50 CPU-core-hours", "of 1 of them it is not known", "GPU 0.750 kWh",
                                "rise by more than 5 %", "It must hold too:", "Example 9000"),
        ("zh", "/models/1.1"): ("1.25 GPU 时", "其中 1 次未知", "上升不超过 5 %", "现行的增长规则"),
        ("en", f"/datasets/{dataset.dataset_id}"): ("1,971 → 404", "2 other branches", SIGNER.key_id, "41 % → 37 %"),
        ("zh", f"/datasets/{dataset.dataset_id}"): ("贡献凭证", "其他 2 个分支"),
    }  # fmt: skip
    for (language, path), words in expected.items():
        page = (await site.http.get(path, params={"lang": language}, headers={"accept": "text/html"})).text
        for word in words:
            assert word in page.replace("\u00a0", " "), (language, path, word)


async def test_a_version_from_before_says_that_its_cost_is_unknown(paged: Site, outside: Outside) -> None:
    site = paged
    dataset = await a_dataset(await site.join("mei"))
    await handled(site, outside, published(uuid4(), dataset))
    page = (await site.http.get("/models/1.1", headers={"accept": "text/html"})).text
    assert "unknown" in page
    assert json.loads((await site.http.get("/api/v1/models/1.1")).text)["cost"] is None

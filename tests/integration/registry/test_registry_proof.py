"""Receipts, signatures, costs and marks, on the real PostgreSQL, through real gRPC."""

import base64
import json
from typing import Any

import grpc
import pytest
from contracts import keys
from contracts.artifacts import GrowthPolicyInForce, ModelManifest, PublishedManifest
from contracts.events import DatasetReceiptIssued, ModelMarked, ModelPublished
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.operator.v1 import operator_pb2 as pb
from contracts.signed import SignedFile, SigningKeys, canonical
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from registry.domain.signing import Signer
from registry.proclaiming import proclaim
from registry_bench import Bench, better, refused
from registry_examples import HARDWARE, Numbers


def verify(signer: Signer, signature: str, data: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(base64.b64decode(signer.public_key)).verify(base64.b64decode(signature), data)


async def receipts(bench: Bench) -> list[dict[str, Any]]:
    rows = await bench.rows("select document from receipts join rounds using (round_id) order by sequence, dataset_id")
    return [json.loads(row["document"]) for row in rows]


async def published(bench: Bench) -> ModelPublished:
    return [event for event in await bench.events() if isinstance(event, ModelPublished)][-1]


async def test_a_publication_leaves_a_receipt_for_every_dataset_and_signs_the_manifest(bench: Bench) -> None:
    await bench.arrive("Secret", private=True)
    await bench.publish("Si", "Water")
    kept = await receipts(bench)
    told = [event for event in await bench.events() if isinstance(event, DatasetReceiptIssued)]
    assert len(kept) == 3
    assert sorted(map(canonical, kept)) == sorted(canonical(event.signed.document()) for event in told)
    for document in kept:
        assert document["receipt"]["model_version"] == "1.0"
        assert document["receipt"]["content_sha256"] == "c" * 64
        verify(bench.signer, document["signature"]["value"], canonical(document["receipt"]))
    # They are told before the end that the page waits for.
    assert (await bench.kinds())[-3:] == ["TrainingFinished", "ModelPublished", "ModelAliased"]

    files = {file.name: file.blob for file in (await published(bench)).files}
    manifest = await bench.blobs.get_bytes(files["manifest.json"].key)
    signed = SignedFile.model_validate_json(await bench.blobs.get_bytes(files["manifest.json.sig"].key))
    assert (signed.name, signed.sha256, signed.size) == ("manifest.json", files["manifest.json"].sha256, len(manifest))
    verify(bench.signer, signed.signature.value, manifest)
    with pytest.raises(InvalidSignature):
        verify(bench.signer, signed.signature.value, manifest.replace(b"400", b"401", 1))
    listed = PublishedManifest.model_validate_json(manifest).files
    assert {(one.name, one.sha256, one.size) for one in listed} == {
        (name, blob.sha256, blob.size) for name, blob in files.items() if not name.startswith("manifest.json")
    }


async def test_a_withheld_candidate_leaves_receipts_that_say_so(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    plan = await bench.planned("SiC")
    lease = await bench.lease()
    worse = {branch.name: Numbers(after=(20, 900), before=(20, 400)) for branch in plan.branches}
    answer = await bench.submit(lease, await bench.candidate(lease, worse))
    assert not answer.published
    late = [one["receipt"] for one in await receipts(bench)][2:]
    assert [one["outcome"] for one in late] == ["withheld"] * 3
    assert {one["model_version"] for one in late} == {None}
    assert "remembered" in late[0]["failed_rules"]


async def test_a_repeated_submission_issues_nothing_twice(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate = await bench.candidate(lease, better(lease.spec.branches))
    assert (await bench.submit(lease, candidate)) == (await bench.submit(lease, candidate))
    assert len(await receipts(bench)) == 2
    assert (await bench.kinds()).count("DatasetReceiptIssued") == 2


async def test_the_cost_of_lost_and_failed_attempts_is_the_rounds(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lost = await bench.lease("one")
    for seconds in (3600, 7200, 1800):  # the last one is late: it tells less than is known
        usage = fleet.Usage(core_seconds=seconds, gpu_seconds=seconds, gpu_joules=3.6e6)
        beat = fleet.HeartbeatRequest(round_id=lost.round_id, fence=lost.fence, usage=usage)
        await bench.fleet.Heartbeat(beat)
    await bench.expire()
    silent = await bench.lease("two")
    back = fleet.HandBackRequest(round_id=silent.round_id, fence=silent.fence)
    await bench.fleet.HandBack(back)
    lease = await bench.lease("three")
    await bench.submit(lease, await bench.candidate(lease, better(lease.spec.branches)))

    event = await published(bench)
    assert event.cost is not None
    # Two hours of the lost one, half an hour of the last (its manifest); the one handed back told nothing.
    assert (event.cost.attempts, event.cost.attempts_told) == (3, 2)
    assert (event.cost.core_hours, event.cost.gpu_hours, event.cost.gpu_energy_kwh) == (2.5, 2.5, 1.25)
    assert event.cost.cpu_energy_kwh is None
    assert event.hardware == HARDWARE
    assert event.seed == lease.spec.seed
    blob = next(file.blob for file in event.files if file.name == "manifest.json")
    shown = await bench.blobs.get_model(blob.key, PublishedManifest)
    assert (shown.cost, shown.hardware, shown.seed) == (event.cost, event.hardware, event.seed)
    row = (await bench.rows("select manifest from models"))[0]
    full = await bench.blobs.get_model(row["manifest"]["key"], ModelManifest)
    assert full.cost == event.cost


async def test_a_usage_that_is_no_number_is_refused(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    for usage in (fleet.Usage(core_seconds=-1), fleet.Usage(gpu_seconds=float("nan"))):
        beat = fleet.HeartbeatRequest(round_id=lease.round_id, fence=lease.fence, usage=usage)
        status, details = await refused(bench.fleet.Heartbeat(beat))
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert "usage" in details
    assert await bench.rows("select * from attempts") == []


async def test_a_new_key_takes_over_and_the_old_one_stays_listed(bench: Bench) -> None:
    async def listed(signer: Signer) -> SigningKeys:
        await proclaim(bench.database, bench.blobs, bench.store, signer, bench.policy)
        return await bench.blobs.get_model(keys.SIGNING_KEYS, SigningKeys)

    (one,) = (await listed(bench.signer)).keys
    assert (one.key_id, one.public_key, one.until) == (bench.signer.key_id, bench.signer.public_key, None)
    assert len((await listed(bench.signer)).keys) == 1
    second = Signer("44" * 32)
    now, before = (await listed(second)).keys
    assert (now.key_id, before.key_id) == (second.key_id, bench.signer.key_id)
    assert now.until is None
    assert before.until is not None


async def test_the_policy_in_force_is_told_in_words(bench: Bench) -> None:
    await proclaim(bench.database, bench.blobs, bench.store, bench.signer, bench.policy)
    told = await bench.blobs.get_model(keys.GROWTH_POLICY, GrowthPolicyInForce)
    assert [rule.rule for rule in told.rules] == ["learned", "standard", "remembered", "loads"]
    assert [rule.numbers.get("at_most_percent") for rule in told.rules[1:3]] == [2, 5]
    assert "5 %" in told.rules[0].sentence
    assert told.numbers["max_attempts"] == 2


async def test_a_withdrawal_marks_every_version_that_it_touches(bench: Bench) -> None:
    si = await bench.arrive("Si")
    await bench.publish("Water")
    await bench.publish("SiC")
    request = pb.WithdrawDatasetRequest(dataset=pb.DatasetRef(dataset_id=str(si.dataset_id), version=si.version))
    await bench.operator.WithdrawDataset(request)
    marked = [event for event in await bench.events() if isinstance(event, ModelMarked)]
    assert [(one.version, one.withdrawn_branches, one.withdrawn_ancestral_datasets) for one in marked] == [
        ("1.0", ("si",), 0),
        ("1.1", ("si",), 0),
    ]
    await bench.publish("Diamond")  # grows without the branch
    water = await bench.rows("select dataset_id::text, version from datasets where title = 'Water'")
    request = pb.WithdrawDatasetRequest(dataset=pb.DatasetRef(**water[0]))
    await bench.operator.WithdrawDataset(request)
    marked = [event for event in await bench.events() if isinstance(event, ModelMarked)]
    assert (marked[-1].version, marked[-1].withdrawn_branches) == ("1.2", ("water",))
    assert marked[-1].withdrawn_ancestral_datasets == 1

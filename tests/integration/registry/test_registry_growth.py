"""From a submitted candidate to a published or withheld model, on the real PostgreSQL, through real gRPC."""

import asyncio
from uuid import UUID

import grpc
import pytest
from contracts.artifacts import FrameErrors, HeldOutFrames, ModelManifest, PublishedManifest
from contracts.base import BlobRef
from contracts.events import ModelAliased, ModelPublished, ModelWithheld, TrainingFinished
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.registry.v1 import registry_pb2 as registry
from registry.domain.rounds import Decision, StaleFence
from registry.rounds.growth import Submission
from registry_bench import Bench, better, message, nowhere, refused
from registry_examples import CONSERVES, Numbers

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT


async def model(bench: Bench, version: str = "latest") -> registry.Model:
    return (await bench.queries.GetModel(registry.GetModelRequest(version_or_alias=version))).model


async def last(bench: Bench, kind: type[ModelPublished] | type[ModelWithheld]) -> ModelPublished | ModelWithheld:
    event = (await bench.events())[-1]
    assert isinstance(event, kind)
    return event


async def test_the_first_model_and_its_growth(bench: Bench) -> None:
    si = await bench.arrive("Si", author="first")
    await bench.arrive("Water", author="second")
    assert await bench.publish() == "1.0"
    sic = await bench.arrive("SiC", author="third", nearest="si")
    await bench.quiet()
    await bench.plan()
    lease = await bench.lease()
    one = await model(bench)
    assert lease.spec.parent_version == "1.0"
    assert lease.spec.parent_manifest.key == one.manifest.key
    assert [(branch.name, branch.is_new) for branch in lease.spec.branches] == [
        ("si", False),
        ("water", False),
        ("sic", True),
    ]
    assert (lease.spec.branches[2].nearest_branch, dict(lease.spec.branches[2].energy_shift_ev)) == ("si", {"Si": -1.5})
    assert lease.spec.branches[2].weight == pytest.approx(0.5)
    answer = await bench.submit(lease, await bench.candidate(lease, better(lease.spec.branches)))
    assert (answer.published, answer.version) == (True, "1.1")

    finished, published, aliased = (await bench.events())[-3:]
    assert isinstance(aliased, ModelAliased)
    assert (aliased.version, aliased.previous) == ("1.1", "1.0")
    assert isinstance(finished, TrainingFinished)
    assert {error.dataset for error in finished.branches} >= {si, sic}
    assert isinstance(published, ModelPublished)
    assert (published.version, published.parent) == ("1.1", "1.0")
    assert published.contributors == ("first", "second", "third")
    assert [row.dataset for row in published.datasets if row.new] == [sic]
    assert [rule.rule for rule in published.rules] == ["learned", "standard", "remembered", "loads"]
    assert published.checks == (CONSERVES,)
    assert set((await bench.states()).values()) == {"published"}

    grown = await model(bench)
    assert (grown.version, grown.parent_version, list(grown.aliases)) == ("1.1", "1.0", ["latest"])
    (check,) = grown.checks
    assert (check.rule, check.passed, check.sentence) == (CONSERVES.rule, False, CONSERVES.sentence)
    assert dict(check.numbers) == CONSERVES.numbers
    assert list((await model(bench, "1.0")).aliases) == []
    moves = await bench.rows("select alias, version from alias_moves order by seq")
    assert [(row["alias"], row["version"]) for row in moves] == [("latest", "1.0"), ("latest", "1.1")]


async def test_published_files_stay_when_the_round_is_collected(bench: Bench) -> None:
    version = await bench.publish("Si", "Water")
    round_id = UUID((await bench.rows("select round_id::text from rounds"))[0]["round_id"])
    await bench.timer.collect()
    shown = await model(bench, version)
    assert {(file.name, file.kind, file.branch) for file in shown.files} == {
        ("model.pt", "checkpoint", ""),
        ("si.pth", "frozen", "si"),
        ("water.pth", "frozen", "water"),
        ("input.json", "recipe", ""),
        ("manifest.json", "manifest", ""),
        ("manifest.json.sig", "signature", ""),
    }
    for artifact in (*(file.artifact for file in shown.files), shown.manifest):
        assert artifact.key.startswith(f"models/{version}/{artifact.sha256}/")
        assert await bench.blobs.sha256(artifact.key) == artifact.sha256
        assert await bench.blobs.size(artifact.key) == artifact.size
    full = await bench.blobs.get_model(shown.manifest.key, ModelManifest)
    assert await bench.blobs.exists(full.checkpoint.key)
    assert f"rounds/{round_id}" not in full.model_dump_json()
    assert not await bench.blobs.exists(f"rounds/{round_id}/1/release.pt")
    assert (await bench.rows("select collected from rounds"))[0]["collected"]


async def test_a_repeated_submission_gets_the_same_answer(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate = await bench.candidate(lease, better(lease.spec.branches))
    first = await bench.submit(lease, candidate)
    events = await bench.kinds()
    await bench.timer.collect()  # even when the candidate is gone from storage
    assert await bench.submit(lease, candidate) == first
    assert await bench.kinds() == events
    # A heartbeat that crosses the answer is no reason to drop the round either.
    await bench.fleet.Heartbeat(fleet.HeartbeatRequest(round_id=lease.round_id, fence=lease.fence))


async def test_submissions_at_the_same_moment_make_one_model(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate = await bench.candidate(lease, better(lease.spec.branches))
    answers = await asyncio.gather(*(bench.submit(lease, candidate) for _ in range(4)))
    assert {(answer.published, answer.version) for answer in answers} == {(True, "1.0")}
    assert (await bench.kinds()).count("ModelPublished") == 1
    assert len(await bench.rows("select * from models")) == 1


async def test_a_candidate_that_forgot_is_withheld_with_its_numbers(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    await bench.planned("SiC")
    lease = await bench.lease()
    numbers = better(lease.spec.branches) | {"water": Numbers(after=(20, 430), before=(20, 400))}
    candidate = await bench.candidate(lease, numbers)
    answer = await bench.submit(lease, candidate)
    assert (answer.published, answer.version) == (False, "")
    assert await bench.submit(lease, candidate) == answer
    event = await last(bench, ModelWithheld)
    failed = {rule.rule: rule for rule in event.rules if not rule.passed}
    assert failed["remembered"].numbers["water.force_rmse_after_mev_per_angstrom"] == 430
    assert await bench.states() == {"Si": "published", "Water": "published", "SiC": "withheld"}
    assert (
        "water from 400.0 to 430.0"
        in (await bench.rows("select reason from datasets where state = 'withheld'"))[0]["reason"]
    )
    assert (await model(bench)).version == "1.0"
    # The next growth has the number that nobody got, and does not take the withheld dataset.
    assert await bench.publish("GaN") == "1.1"
    assert [row.branch for row in (await model(bench)).datasets] == ["si", "water", "gan"]


async def test_nothing_of_a_private_dataset_is_told(bench: Bench) -> None:
    ref = await bench.arrive("Secret alloy", private=True, author="hidden contributor")
    await bench.arrive("Si")
    await bench.publish()
    shown = await model(bench)
    public = await bench.blobs.get_bytes(next(one.artifact.key for one in shown.files if one.kind == "manifest"))
    assert PublishedManifest.model_validate_json(public).checks == (CONSERVES,)
    told = [
        public.decode(),
        str(shown),
        str(await bench.queries.ListModels(registry.ListModelsRequest())),
        str(await bench.queries.GetLineage(registry.GetLineageRequest(version_or_alias="latest"))),
        str(await bench.queries.ListRounds(registry.ListRoundsRequest())),
        *(event.model_dump_json() for event in await bench.events() if event.nats_subject.startswith("potluck.model.")),
    ]
    for text in told:
        for secret in ("Secret", "hidden", str(ref.dataset_id)):
            assert secret not in text
    assert list(shown.contributors) == ["demo contributor"]
    private = next(row for row in shown.datasets if row.branch.startswith("contribution-"))
    assert (private.dataset_id, private.dataset_version, private.title, list(private.authors)) == ("", 0, "", [])


async def test_a_crash_between_copy_and_commit_publishes_once(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate = await bench.candidate(lease, better(lease.spec.branches))
    async with bench.database.transaction() as conn:
        opened = await bench.growth.open(conn, UUID(lease.round_id), lease.fence)
    assert isinstance(opened, Submission)
    examined = await bench.growth.examine(opened, candidate)
    assert examined.model is not None
    # The process dies here: files lie at their final places, no row and no event tells of them.
    assert await bench.blobs.exists(examined.model.files[0].blob.key)
    assert await bench.rows("select * from models") == []
    assert "ModelPublished" not in await bench.kinds()
    answer = await bench.submit(lease, candidate)
    assert answer.version == "1.0"
    assert (await bench.kinds()).count("ModelPublished") == 1
    files = {file.blob.key for file in examined.model.files if file.kind != "manifest"}
    assert files <= {file.artifact.key for file in (await model(bench)).files}


async def test_a_lease_lost_while_the_candidate_is_examined_decides_nothing(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate = await bench.candidate(lease, better(lease.spec.branches))
    async with bench.database.transaction() as conn:
        opened = await bench.growth.open(conn, UUID(lease.round_id), lease.fence)
    assert isinstance(opened, Submission)
    examined = await bench.growth.examine(opened, candidate)
    await bench.expire()
    successor = await bench.lease("worker-2")
    with pytest.raises(StaleFence, match="fence 1 was superseded by 2"):
        async with bench.database.transaction() as conn:
            await bench.growth.decide(conn, examined)
    assert await bench.rows("select * from models") == []
    assert not {"TrainingFinished", "ModelPublished"} & set(await bench.kinds())
    own = await bench.candidate(successor, better(successor.spec.branches))
    assert (await bench.submit(successor, own)).version == "1.0"


async def test_a_failing_transaction_leaves_neither_rows_nor_events(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate = await bench.candidate(lease, better(lease.spec.branches))
    async with bench.database.transaction() as conn:
        opened = await bench.growth.open(conn, UUID(lease.round_id), lease.fence)
    assert isinstance(opened, Submission)
    examined = await bench.growth.examine(opened, candidate)
    with pytest.raises(ZeroDivisionError):
        async with bench.database.transaction() as conn:
            assert await bench.growth.decide(conn, examined) == Decision(True, "1.0")
            raise ZeroDivisionError
    assert await bench.kinds() == ["TrainingQueued", "TrainingStarted"]
    assert [row["state"] for row in await bench.rows("select state from rounds")] == ["training"]


async def test_what_is_no_candidate_is_refused_and_the_round_goes_on(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    numbers = better(lease.spec.branches)
    good = await bench.candidate(lease, numbers)
    code, details = await refused(bench.submit(lease, good.model_copy(update={"size": 3})))
    assert code is INVALID_ARGUMENT
    assert "has other bytes" in details
    missing = fleet.SubmitRequest(round_id=lease.round_id, fence=lease.fence, manifest=nowhere(lease))
    code, details = await refused(bench.fleet.Submit(missing))
    assert code is INVALID_ARGUMENT
    assert "is not in storage; store it, then submit" in details
    nothing = fleet.SubmitRequest(round_id=lease.round_id, fence=lease.fence)
    assert "manifest is not a reference to an object" in (await refused(bench.fleet.Submit(nothing)))[1]
    garbage = await bench.blobs.put_bytes(f"rounds/{lease.round_id}/garbage.json", b"{}")
    assert "is not a ModelManifest" in (await refused(bench.submit(lease, garbage)))[1]
    strange = await bench.candidate(lease, {**numbers})
    described = await bench.blobs.get_model(strange.key, ModelManifest)
    other = described.model_copy(update={"parent_version": "9.9"})
    stored = await bench.blobs.put_model(f"rounds/{lease.round_id}/other.json", other)
    assert "this round grows None" in (await refused(bench.submit(lease, stored)))[1]
    assert (await bench.submit(lease, good)).published


@pytest.mark.parametrize("damage", ["deleted", "changed"])
async def test_a_damaged_file_is_not_published(bench: Bench, damage: str) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate = await bench.candidate(lease, better(lease.spec.branches))
    key = f"rounds/{lease.round_id}/{lease.fence}/si.pth"
    whole = await bench.blobs.get_bytes(key)
    if damage == "deleted":
        await bench.blobs.delete(key)
    else:
        await bench.blobs.put_bytes(key, whole[::-1])
    code, details = await refused(bench.submit(lease, candidate))
    assert code is INVALID_ARGUMENT
    assert repr(key) in details
    assert await bench.rows("select * from models") == []
    await bench.blobs.put_bytes(key, whole)
    assert (await bench.submit(lease, candidate)).published


async def test_a_candidate_without_numbers_for_a_branch_is_withheld(bench: Bench) -> None:
    await bench.planned("Si", "Water")
    lease = await bench.lease()
    candidate: BlobRef = await bench.candidate(lease, {"si": Numbers(after=(20, 400))})
    answer = await bench.fleet.Submit(
        fleet.SubmitRequest(round_id=lease.round_id, fence=lease.fence, manifest=message(candidate))
    )
    assert not answer.published
    event = await last(bench, ModelWithheld)
    assert {rule.rule for rule in event.rules if not rule.passed} == {"learned", "standard"}
    assert all("water" in rule.sentence for rule in event.rules if not rule.passed)


def told(errors: tuple[float, float], frames: int = 4) -> FrameErrors:
    return FrameErrors(energy_mev_per_atom=(errors[0],) * frames, force_mev_per_angstrom=(errors[1],) * frames)


async def with_single_frames(bench: Bench, lease: fleet.Lease, numbers: dict[str, Numbers], factor: float) -> BlobRef:
    """A candidate that tells the errors of four frames a branch, `factor` times what its RMSE values say."""
    described = await bench.blobs.get_model((await bench.candidate(lease, numbers)).key, ModelManifest)
    branches = []
    for branch in described.branches:
        one = numbers[branch.name]
        after = (factor * one.after[0], factor * one.after[1])
        frames = HeldOutFrames(
            atoms=(8,) * 4, after=told(after), before=told(one.before or one.after), baseline=told(one.baseline)
        )
        branches.append(branch.model_copy(update={"held_out_frames": frames}))
    changed = described.model_copy(update={"branches": tuple(branches)})
    return await bench.blobs.put_model(f"rounds/{lease.round_id}/{lease.fence}/manifest.json", changed)


async def test_intervals_are_stored_with_the_rules_and_can_be_asked_for(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    await bench.planned("SiC")
    lease = await bench.lease()
    numbers = better(lease.spec.branches)
    wrong = await with_single_frames(bench, lease, numbers, 0.5)
    code, details = await refused(bench.submit(lease, wrong))
    assert code is INVALID_ARGUMENT
    assert "the RMSE of held_out_frames.after is 10 meV/atom and 200 meV/Å, the manifest says 20 and 400" in details
    assert (await bench.submit(lease, await with_single_frames(bench, lease, numbers, 1))).published
    (newest,) = (await bench.queries.ListRounds(registry.ListRoundsRequest(page_size=1))).rounds
    for rules in (newest.rules, (await model(bench)).rules):
        asked = {rule.rule: rule for rule in rules}
        assert asked["learned"].numbers["sic.force_rmse_rise_percent_low"] == pytest.approx(-50)
        assert asked["remembered"].numbers["si.force_rmse_rise_percent_high"] == pytest.approx(0)
        # E = ½ (20/100 + 400/1000)
        assert asked["standard"].numbers["score_candidate_low"] == pytest.approx(0.3)
        assert "likely" in asked["standard"].sentence
    published = (await bench.events())[-2]
    assert isinstance(published, ModelPublished)
    assert published.rules[0].numbers["sic.force_rmse_rise_percent_high"] == pytest.approx(-50)

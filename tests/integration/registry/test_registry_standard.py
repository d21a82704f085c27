"""The standard dataset on the real PostgreSQL, through real gRPC: released, scored, leased to idle workers, planned.

The policy takes three held-out frames of each branch, and candidates of these tests have six.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from contracts.artifacts import ModelManifest, PublishedManifest
from contracts.base import DatasetRef
from contracts.events import (
    DatasetReceiptIssued,
    ModelPublished,
    ModelRescored,
    StandardReleased,
    TrainingFailed,
    TrainingQueued,
)
from contracts.fleet.v1 import fleet_pb2 as fleet
from contracts.fleet.v1 import scoring_pb2 as pb
from contracts.operator.v1 import operator_pb2 as operator
from contracts.registry.v1 import registry_pb2 as registry
from contracts.standard import PublishedStandard, StandardDataset
from registry_bench import Bench, FreshDatabase, better, frame_hash, opened, refused
from registry_examples import Numbers, policy

FRAMES, CHOSEN = 6, 3
LOST, WRONG = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT


@pytest_asyncio.fixture
async def bench(fresh_database: FreshDatabase, blobs_folder: Path) -> AsyncIterator[Bench]:
    few = policy(standard_frames_per_branch=CHOSEN, max_attempts=2)
    async with opened(fresh_database.dsn("registry"), blobs_folder, few) as one:
        yield one


async def standards(bench: Bench) -> list[StandardDataset]:
    """As ingest and trainers read them, oldest first."""
    events = [event for event in await bench.events() if isinstance(event, StandardReleased)]
    return [await bench.blobs.get_model(event.content.key, StandardDataset) for event in events]


async def rescored(bench: Bench) -> list[tuple[str, int]]:
    events = [event for event in await bench.events() if isinstance(event, ModelRescored)]
    return [(event.version, event.standard.standard) for event in events]


async def model(bench: Bench, version: str) -> registry.Model:
    return (await bench.queries.GetModel(registry.GetModelRequest(version_or_alias=version))).model


async def lease(bench: Bench, worker: str = "idle-1") -> pb.ScoringLease | None:
    answer = await bench.scoring.LeaseScoring(pb.LeaseScoringRequest(worker_id=worker))
    return answer.lease if answer.HasField("lease") else None


async def taken(bench: Bench, worker: str = "idle-1") -> pb.ScoringLease:
    found = await lease(bench, worker)
    assert found is not None
    return found


def scores(of: pb.ScoringLease, *branches: str, energy: float = 30, force: float = 600) -> pb.SubmitScoresRequest:
    return pb.SubmitScoresRequest(
        model_version=of.model_version,
        fence=of.fence,
        branches=[
            fleet.BranchError(branch=name, energy_rmse_mev_per_atom=energy, force_rmse_mev_per_angstrom=force)
            for name in branches or [one.name for one in of.branches]
        ],
    )


async def three_models(bench: Bench) -> None:
    """1.0 on Si and Water, 1.1 with SiC, 1.2 with Ge: S1, S2 and S3."""
    await bench.publish("Si", "Water", frames=FRAMES)
    await bench.publish("SiC", frames=FRAMES)
    await bench.publish("Ge", frames=FRAMES)


async def test_the_first_model_makes_the_first_standard_dataset_and_is_scored_on_it(bench: Bench) -> None:
    si, _ = await bench.arrive("Si"), await bench.arrive("Water", private=True)
    assert await bench.publish_waiting(FRAMES) == "1.0"
    (standard,) = await standards(bench)
    assert (standard.number, standard.model_version, standard.frames_per_branch) == (1, "1.0", CHOSEN)
    told = {one.dataset: one for one in standard.branches}
    every = {frame_hash(str(si), number).hex() for number in range(FRAMES)}
    assert len(told[si].frames) == CHOSEN
    assert set(told[si].frames) < every
    told_of = [event for event in await bench.events() if isinstance(event, StandardReleased | ModelPublished)]
    released, published = told_of
    assert isinstance(released, StandardReleased)
    assert (released.branches, released.frames, released.added_frames, released.removed_frames) == (2, 6, 6, 0)
    assert isinstance(published, ModelPublished)
    assert published.standard is not None
    assert published.standard.score == published.standard_score == pytest.approx(0.5 * (0.2 + 0.4))
    assert [one.frames for one in published.standard.branches] == [CHOSEN, CHOSEN]
    one = await model(bench, "1.0")
    assert (one.current_standard, [score.standard for score in one.scores]) == (1, [1])
    assert one.scores[0].energy_rmse_mev_per_atom == pytest.approx(20)
    public = next(file for file in one.files if file.name == "manifest.json")
    manifest = await bench.blobs.get_model(public.artifact.key, PublishedManifest)
    assert manifest.standard == published.standard
    file = next(file for file in one.files if file.kind == "standard")
    assert (file.name, file.artifact.sha256) in {(told.name, told.sha256) for told in manifest.files}
    table = await bench.blobs.get_model(file.artifact.key, PublishedStandard)
    shown = {told.dataset: told for told in table.branches}
    assert (table.number, shown.keys()) == (1, {si, None}), "nobody reads which dataset the water is"
    assert shown[si].frames == told[si].frames
    assert shown[si].baseline_element_energies_ev == told[si].baseline_element_energies_ev == {"Si": -107.5}
    assert (shown[None].count, shown[None].frames) == (CHOSEN, ())
    full = await bench.blobs.get_model(one.manifest.key, ModelManifest)
    assert full.standard_dataset is not None
    assert await bench.blobs.get_model(full.standard_dataset.key, StandardDataset) == standard
    assert await lease(bench) is None, "its errors are known: nobody needs to predict"


async def test_nothing_of_a_private_dataset_is_told_but_its_numbers(bench: Bench) -> None:
    secret = await bench.arrive("Secret alloy", private=True, author="Nobody Knows")
    await bench.arrive("Si")
    await bench.publish_waiting(FRAMES)
    await bench.publish("Ge", frames=FRAMES)
    told = [event for event in await bench.events() if isinstance(event, StandardReleased | ModelRescored)]
    shown = "".join(event.model_dump_json() for event in told) + str(await model(bench, "1.0"))
    for word in ("Secret", "Nobody", str(secret.dataset_id), frame_hash(str(secret), 0).hex()):
        assert word not in shown


async def test_parent_and_candidate_are_scored_by_their_round_and_older_versions_wait(bench: Bench) -> None:
    await three_models(bench)
    one, two, three = await standards(bench)
    assert [len(standard.branches) for standard in (one, two, three)] == [2, 3, 4]
    assert two.branches[:2] == one.branches, "chosen frames stay"
    assert await rescored(bench) == [("1.0", 2), ("1.1", 3)]
    parent = (await model(bench, "1.1")).scores
    assert [score.standard for score in parent] == [3, 2]
    parts = {part.branch: part for part in parent[0].branches}
    assert [parts[name].zero_shot for name in ("sic", "ge")] == [False, True]
    assert parts["ge"].force_rmse_mev_per_angstrom == pytest.approx(800), "by its nearest branch, as the round found it"
    assert parts["sic"].force_rmse_mev_per_angstrom == pytest.approx(400)
    old = await model(bench, "1.0")
    assert (old.current_standard, old.scores[0].standard) == (3, 2), "it says that it is scored on an older one"
    coverage = (await bench.operator.ListStandards(operator.ListStandardsRequest())).coverage
    assert [(row.model_version, row.state, row.standard) for row in coverage] == [
        ("1.2", "scored", 3),
        ("1.1", "scored", 3),
        ("1.0", "waiting", 2),
    ]


async def test_an_idle_worker_measures_what_nobody_knows_and_no_more(bench: Bench) -> None:
    await three_models(bench)
    of = await taken(bench)
    assert (of.model_version, [(one.name, one.own_branch) for one in of.branches]) == ("1.0", [("ge", "")])
    assert of.model_manifest.key == (await model(bench, "1.0")).manifest.key
    standard = await bench.blobs.get_model(of.standard_dataset.key, StandardDataset)
    assert standard.number == 3
    assert await lease(bench, "idle-2") is None
    await bench.scoring.SubmitScores(scores(of))
    await bench.scoring.SubmitScores(scores(of))
    assert (await rescored(bench))[2:] == [("1.0", 3)], "once, however often it is submitted"
    score = (await model(bench, "1.0")).scores[0]
    ratios = [(0.2, 0.4), (0.2, 0.4), (0.8, 0.8), (0.3, 0.6)]
    energy, force = (float(_mean([one[which] for one in ratios])) for which in (0, 1))
    assert score.standard == 3
    assert [score.energy_ratio, score.force_ratio] == pytest.approx([energy, force])
    assert score.score == pytest.approx(0.5 * (energy + force))
    assert [part.zero_shot for part in score.branches] == [False, False, True, True]


def _mean(values: list[float]) -> float:
    product = 1.0
    for value in values:
        product *= value
    return float(product ** (1 / len(values)))


async def test_a_round_that_waits_goes_first(bench: Bench) -> None:
    await three_models(bench)
    of = await taken(bench)
    beat = pb.BeatScoringRequest(model_version=of.model_version, fence=of.fence)
    assert not (await bench.scoring.BeatScoring(beat)).hand_back
    await bench.arrive("GaN")
    await bench.quiet()
    await bench.leakage.look()
    assert await bench.plan() is not None
    assert (await bench.scoring.BeatScoring(beat)).hand_back
    await bench.scoring.GiveUpScoring(pb.GiveUpScoringRequest(model_version="1.0", fence=of.fence, reason="round"))
    assert await lease(bench) is None, "not while a round waits"
    await bench.lease()
    assert (await taken(bench)).fence == of.fence + 1, "another worker may while it trains"
    rows = await bench.rows("select failures from scorings where model_version = '1.0'")
    assert rows[0]["failures"] == 0


async def test_nothing_is_scored_while_growth_is_paused(bench: Bench) -> None:
    await three_models(bench)
    of = await taken(bench)
    await bench.operator.Pause(operator.PauseRequest(reason="maintenance"))
    beat = pb.BeatScoringRequest(model_version=of.model_version, fence=of.fence)
    assert (await bench.scoring.BeatScoring(beat)).hand_back
    await bench.scoring.GiveUpScoring(pb.GiveUpScoringRequest(model_version="1.0", fence=of.fence))
    assert await lease(bench) is None


async def test_a_worker_that_falls_silent_loses_the_lease_and_may_not_answer_any_more(bench: Bench) -> None:
    await three_models(bench)
    first = await taken(bench)
    await bench.rows("update scorings set lease_expires_at = now() - interval '1 s'")
    second = await taken(bench, "idle-2")
    for late in (
        bench.scoring.SubmitScores(scores(first)),
        bench.scoring.BeatScoring(pb.BeatScoringRequest(model_version="1.0", fence=first.fence)),
        bench.scoring.GiveUpScoring(pb.GiveUpScoringRequest(model_version="1.0", fence=first.fence, rule="crashed")),
    ):
        assert (await refused(late))[0] == LOST
    await bench.scoring.SubmitScores(scores(second))
    assert (await rescored(bench))[2:] == [("1.0", 3)]


async def test_a_model_that_fails_again_and_again_is_set_aside_until_the_next_standard_dataset(bench: Bench) -> None:
    await three_models(bench)
    for _ in range(2):
        of = await taken(bench)
        gave_up = pb.GiveUpScoringRequest(
            model_version="1.0", fence=of.fence, rule="data-unreadable", reason="no such file"
        )
        await bench.scoring.GiveUpScoring(gave_up)
    assert await lease(bench) is None
    row = (await bench.operator.ListStandards(operator.ListStandardsRequest())).coverage[2]
    assert (row.state, row.reason) == ("failed", "data-unreadable: no such file")
    await bench.publish("GaN", frames=FRAMES)
    assert [one.name for one in (await taken(bench)).branches] == ["gan"], "1.1, the newest of both that wait"
    waiting = {
        row["model_version"] for row in await bench.rows("select model_version from scorings where failures = 0")
    }
    assert waiting == {"1.0", "1.1"}


async def test_a_newer_standard_dataset_voids_the_lease_of_an_older_one(bench: Bench) -> None:
    await three_models(bench)
    of = await taken(bench)
    await bench.publish("GaN", frames=FRAMES)
    status, why = await refused(bench.scoring.SubmitScores(scores(of)))
    assert status == LOST
    assert "drop it" in why
    newest = await taken(bench)
    assert (newest.model_version, [one.name for one in newest.branches]) == ("1.1", ["gan"])
    oldest = await taken(bench, "idle-2")
    assert (oldest.model_version, [one.name for one in oldest.branches]) == ("1.0", ["ge", "gan"])


@pytest.mark.parametrize(
    ("names", "energy", "why"),
    [(("sic",), 1, "asked for"), (("ge", "ge"), 1, "asked for"), (("ge",), float("nan"), "no error")],
)
async def test_wrong_answers_are_refused(bench: Bench, names: tuple[str, ...], energy: float, why: str) -> None:
    await three_models(bench)
    of = await taken(bench)
    status, details = await refused(bench.scoring.SubmitScores(scores(of, *names, energy=energy)))
    assert status == WRONG
    assert why in details
    nobody = pb.LeaseScoringRequest()
    assert (await refused(bench.scoring.LeaseScoring(nobody)))[0] == WRONG
    unknown = pb.BeatScoringRequest(model_version="9.9", fence=1)
    assert (await refused(bench.scoring.BeatScoring(unknown)))[0] == grpc.StatusCode.NOT_FOUND


async def test_frames_of_a_withdrawn_dataset_leave_with_the_next_version(bench: Bench) -> None:
    si, _ = await bench.arrive("Si"), await bench.arrive("Water")
    await bench.publish_waiting(FRAMES)
    await bench.publish("SiC", frames=FRAMES)
    ref = operator.DatasetRef(dataset_id=str(si.dataset_id), version=1)
    await bench.operator.WithdrawDataset(operator.WithdrawDatasetRequest(dataset=ref))
    assert await bench.publish("Ge", frames=FRAMES) == "1.2"
    released = [event for event in await bench.events() if isinstance(event, StandardReleased)][-1]
    assert (released.branches, released.added_frames, released.removed_frames) == (3, CHOSEN, CHOSEN)
    assert [one.branch for one in (await standards(bench))[-1].branches] == ["water", "sic", "ge"]
    assert [part.branch for part in (await model(bench, "1.1")).scores[0].branches] == ["water", "sic", "ge"]


async def test_frames_of_a_withdrawn_dataset_are_not_predicted_any_more(bench: Bench) -> None:
    await bench.publish("Si", "Water", frames=FRAMES)
    await bench.publish("SiC", frames=FRAMES)
    ge = await bench.arrive("Ge")
    await bench.publish_waiting(FRAMES)
    ref = operator.DatasetRef(dataset_id=str(ge.dataset_id), version=1)
    await bench.operator.WithdrawDataset(operator.WithdrawDatasetRequest(dataset=ref))
    assert await lease(bench) is None
    await bench.publish("GaN", frames=FRAMES)
    assert [one.name for one in (await taken(bench)).branches] == ["gan"]


async def test_a_candidate_without_hashes_makes_no_standard_dataset_and_is_judged_on_what_it_tells(
    bench: Bench,
) -> None:
    assert await bench.publish("Si", "Water") == "1.0"
    assert await bench.publish("SiC") == "1.1"
    assert await standards(bench) == []
    assert list((await model(bench, "1.1")).scores) == []


async def test_versions_from_before_the_first_standard_dataset_are_scored_by_their_own_branches(bench: Bench) -> None:
    await bench.publish("Si", "Water")
    await bench.publish("SiC")
    await bench.publish("Ge", frames=FRAMES)
    of = await taken(bench)
    assert of.model_version == "1.0"
    assert {one.name: one.own_branch for one in of.branches} == {"si": "si", "water": "water", "sic": "", "ge": ""}


# Round planning: ingest is not here, and no trainer looks at a frame


async def test_a_dataset_is_planned_with_its_test_frames_named(bench: Bench) -> None:
    await bench.publish("Si", "Water", frames=FRAMES)
    (standard,) = await standards(bench)
    tests = [bytes.fromhex(one) for one in standard.branches[0].frames]
    mine = [frame_hash("mine", number) for number in range(6)]
    await bench.arrive("Overlapping", hashes=[mine[0], tests[1], *mine[1:5], tests[0]])
    await bench.arrive("Untold")
    await bench.quiet()
    assert await bench.plan() is None, "nothing is planned before it was compared"
    await bench.leakage.look()
    assert await bench.plan() is not None
    leased = await bench.lease()
    named = {one.name: list(one.left_out_frames) for one in leased.spec.branches}
    assert named == {"si": [], "water": [], "overlapping": [1, 6], "untold": []}
    assert (await bench.blobs.get_model(leased.spec.standard_dataset.key, StandardDataset)) == standard
    await bench.expire()
    assert (await bench.lease("worker-2")).spec == leased.spec


async def test_a_dataset_with_nothing_else_is_refused_and_the_others_are_trained(bench: Bench) -> None:
    await bench.publish("Si", "Water", frames=FRAMES)
    (standard,) = await standards(bench)
    tests = [bytes.fromhex(one) for one in standard.branches[0].frames]
    ref = await bench.arrive("Only tests", hashes=tests[:2])
    await bench.arrive("Ge")
    await bench.quiet()
    await bench.leakage.look()
    assert await bench.plan() is None
    queued, failed = (await bench.events())[-2:]
    assert isinstance(queued, TrainingQueued)
    assert isinstance(failed, TrainingFailed)
    assert queued.datasets == (ref,)
    assert (failed.rule, failed.will_retry) == ("test-frames", False)
    assert "None of the 2 training frames" in failed.reason
    assert (await bench.states())["Only tests"] == "failed"
    plan = await bench.plan()
    assert plan is not None
    assert [one.name for one in plan.new_branches] == ["ge"]


async def test_hashes_that_are_gone_or_changed_leave_it_to_the_trainer(bench: Bench) -> None:
    await bench.publish("Si", "Water", frames=FRAMES)
    (standard,) = await standards(bench)
    tests = [bytes.fromhex(one) for one in standard.branches[0].frames]
    refs = [await bench.arrive(title, hashes=[*tests[:1], frame_hash(title, 1)]) for title in ("Gone", "Changed")]
    await bench.blobs.delete(_hashes(refs[0]))
    await bench.blobs.delete(_hashes(refs[1]))
    await bench.blobs.put_bytes(_hashes(refs[1]), b"x" * 64)
    await bench.quiet()
    await bench.leakage.look()
    assert await bench.plan() is not None
    spec = (await bench.lease()).spec
    assert [list(one.left_out_frames) for one in spec.branches] == [[], [], [], []]
    assert spec.HasField("standard_dataset"), "whose frames the trainer finds by what it reads"


def _hashes(ref: DatasetRef) -> str:
    return f"datasets/{ref.dataset_id}/hashes.bin"


async def test_the_rule_looks_at_the_standard_frames(bench: Bench) -> None:
    await bench.publish("Si", "Water", frames=FRAMES)
    await bench.arrive("SiC")
    await bench.quiet()
    await bench.leakage.look()
    await bench.plan()
    leased = await bench.lease()
    worse = better(leased.spec.branches) | {"si": Numbers(after=(30, 410), before=(20, 400))}
    answer = await bench.submit(leased, await bench.candidate(leased, worse, FRAMES))
    assert not answer.published
    summary = (await bench.queries.ListRounds(registry.ListRoundsRequest(page_size=1))).rounds[0]
    rule = {one.rule: one for one in summary.rules}["standard"]
    assert not rule.passed
    assert rule.numbers["frames_compared"] == 2 * CHOSEN
    assert len(await standards(bench)) == 1, "a withheld candidate changes nothing"
    receipt = next(event for event in reversed(await bench.events()) if isinstance(event, DatasetReceiptIssued))
    change = receipt.signed.receipt.standard
    assert change is not None
    assert (change.standard, change.before, change.after) == (
        1,
        rule.numbers["score_parent"],
        rule.numbers["score_candidate"],
    )

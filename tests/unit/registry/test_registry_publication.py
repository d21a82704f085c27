"""What a published model consists of; what outsiders never read."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from contracts.artifacts import ModelManifest, PublishedManifest
from contracts.base import BlobRef
from registry.domain.publication import (
    check_candidate,
    contributors,
    final_files,
    final_manifest,
    model_branches,
    model_published,
    published_manifest,
)
from registry.domain.rounds import Branch, InvalidRequest, Model, Round, RoundState
from registry.queries.wire import to_model
from registry_examples import CONTENT, LOADS, Numbers, branch, manifest, member

ROUND_ID = UUID(int=7)
ROUND = Round(
    round_id=ROUND_ID,
    sequence=1,
    state=RoundState.TRAINING,
    parent_version="1.0",
    preset="laptop",
    total_steps=100,
    seed=7,
    traceparent=None,
    fence=1,
    worker="one",
    failures=0,
    outages=0,
    divergences=0,
    step=0,
    reported_step=None,
    reason=None,
    model_version=None,
    planned_at=datetime.now(UTC),
    ended_at=None,
)
PUBLIC = member("Silicon", author="demo contributor", arrival=2)
PRIVATE = member("Secret alloy", author="hidden contributor", private=True, arrival=1)
BRANCHES = (
    branch("silicon", is_new=False, of=PUBLIC),
    branch("contribution-deadbeef", is_new=True, of=PRIVATE),
)
NUMBERS = {"silicon": Numbers(after=(10, 150)), "contribution-deadbeef": Numbers(after=(20, 404))}
CANDIDATE = manifest(
    NUMBERS,
    new=["contribution-deadbeef"],
    round_id=ROUND_ID,
    datasets={"silicon": PUBLIC.ref, "contribution-deadbeef": PRIVATE.ref},
)
OF_ITS_FRAMES = {
    "content_sha256",
    "held_out_frames",
    "left_out_held_out",
    "baseline_element_energies_ev",
    "baseline_train_frames",
    "baseline_energy_rmse_mev_per_atom",
    "baseline_force_rmse_mev_per_angstrom",
}
SECRETS = ("Secret", "hidden", str(PRIVATE.ref.dataset_id), PRIVATE.manifest.key, PRIVATE.metric_report.key)


def model() -> Model:
    files = final_files(CANDIDATE, "1.1")
    return Model(
        version="1.1",
        parent_version="1.0",
        round_id=ROUND_ID,
        preset="laptop",
        manifest=BlobRef(key="models/1.1/x/manifest-full.json", sha256="0" * 64, size=1),
        files=tuple(one.public for one in files if one.public),
        checks=CANDIDATE.checks,
        rules=(LOADS,),
        standard_score=0.2,
        contributors=contributors(BRANCHES),
        branches=model_branches(CANDIDATE, BRANCHES),
        aliases=("latest",),
        published_at=datetime.now(UTC),
    )


def test_nothing_of_a_private_dataset_leaves() -> None:
    one = model()
    texts = (
        model_published(one, CANDIDATE).model_dump_json(),
        str(to_model(one)),
        published_manifest(CANDIDATE, "1.1", one.branches, one.rules, 0.2, one.files).model_dump_json(),
    )
    for text in texts:
        assert "contribution-deadbeef" in text
        assert "Silicon" in text
        assert str(PUBLIC.ref.dataset_id) in text
        assert not [secret for secret in SECRETS if secret in text]


def test_the_public_manifest_hides_elements_and_method_of_a_private_dataset() -> None:
    one = model()
    public, private = published_manifest(CANDIDATE, "1.1", one.branches, one.rules, 0.2, one.files).branches
    assert public.elements == ("Si",)
    assert public.licence == "CC-BY-4.0"
    assert public.level_of_theory is not None
    assert (private.dataset, private.title, private.authors, private.licence) == (None, None, (), None)
    assert (private.elements, private.level_of_theory) == ((), None)
    assert private.force_rmse_mev_per_angstrom == 404
    assert public.content_sha256 == CONTENT
    assert (public.held_out_frames, public.left_out_held_out) == (2, (3,))
    assert public.baseline_element_energies_ev == {"Si": -107.5}
    assert (public.baseline_energy_rmse_mev_per_atom, public.baseline_force_rmse_mev_per_angstrom) == (100, 1000)
    assert public.baseline_train_frames == (0, 1)
    told = private.model_dump(include=OF_ITS_FRAMES)
    assert len(told) == len(OF_ITS_FRAMES)
    assert set(told.values()) == {None}


def test_gaps_that_test_frames_of_others_left_in_a_dataset_are_not_told() -> None:
    one = model()
    left_out = tuple(each.model_copy(update={"left_out_frames": 1}) for each in CANDIDATE.branches)
    candidate = CANDIDATE.model_copy(update={"branches": left_out})
    public, _ = published_manifest(candidate, "1.1", one.branches, one.rules, 0.2, one.files).branches
    assert public.baseline_train_frames is None
    assert public.baseline_element_energies_ev == {"Si": -107.5}


def test_the_public_manifest_tells_what_each_branch_counts_as_known() -> None:
    one = model()
    branches = published_manifest(CANDIDATE, "1.1", one.branches, one.rules, 0.2, one.files).branches
    # The conformal rule for two held-out frames whose largest force errors are 0.1 and 0.2 eV/Å.
    assert [branch.threshold_ev_per_angstrom for branch in branches] == [pytest.approx(0.25)] * 2


def test_a_manifest_from_before_still_reads() -> None:
    one = model()
    written = published_manifest(CANDIDATE, "1.1", one.branches, one.rules, 0.2, one.files).model_dump(mode="json")
    for later in ("files", "seed", "hardware", "cost"):
        del written[later]
    for told in written["branches"]:
        for later in OF_ITS_FRAMES:
            del told[later]
    read = PublishedManifest.model_validate(written)
    assert (read.files, read.seed, read.hardware, read.cost) == ((), None, None, None)
    full = CANDIDATE.model_dump(mode="json")
    for later in ("seed", "hardware", "cost"):
        del full[later]
    assert ModelManifest.model_validate(full).cost is None


def test_content_that_is_another_is_refused() -> None:
    known = replace(PUBLIC, content_sha256="d" * 64)
    with pytest.raises(InvalidRequest, match=r"learned content c{64}; dataset .* is d{64}"):
        check_candidate(CANDIDATE, ROUND, (replace(BRANCHES[0], member=known), BRANCHES[1]))
    # From before the registry kept it: the trainer is believed.
    check_candidate(CANDIDATE, ROUND, BRANCHES)


def test_contributors_in_the_order_of_arrival_each_once() -> None:
    def by(author: str, arrival: int, private: bool = False) -> Branch:
        return branch(f"b{arrival}", of=member(author=author, arrival=arrival, private=private))

    listed = contributors([by("third", 3), by("first", 1), by("second", 2), by("first", 4), by("hidden", 0, True)])
    assert listed == ("first", "second", "third")


def test_files_lie_under_version_and_content() -> None:
    files = {one.target.key.rsplit("/", 1)[1]: one for one in final_files(CANDIDATE, "1.1")}
    assert set(files) == {
        "model.pt",
        "silicon.pth",
        "contribution-deadbeef.pth",
        "input.json",
        "training-checkpoint.pt",
    }
    release = files["model.pt"]
    assert release.target.key == f"models/1.1/{release.source.sha256}/model.pt"
    assert release.public is not None
    assert release.public.kind == "checkpoint"
    assert files["training-checkpoint.pt"].public is None
    frozen = files["silicon.pth"].public
    assert frozen is not None
    assert (frozen.kind, frozen.branch) == ("frozen", "silicon")


def test_the_final_manifest_points_to_no_work_in_progress() -> None:
    final = final_manifest(CANDIDATE, final_files(CANDIDATE, "1.1"))
    assert "rounds/" not in final.model_dump_json()
    assert final.checkpoint.key.endswith("training-checkpoint.pt")


def outside(key: str) -> ModelManifest:
    return CANDIDATE.model_copy(update={"release": CANDIDATE.release.model_copy(update={"key": key})})


@pytest.mark.parametrize(
    ("candidate", "complaint"),
    [
        (CANDIDATE.model_copy(update={"round_id": uuid4()}), "manifest is of round"),
        (CANDIDATE.model_copy(update={"parent_version": None}), "this round grows 1.0"),
        (CANDIDATE.model_copy(update={"branches": CANDIDATE.branches * 2}), "a branch twice"),
        (CANDIDATE.model_copy(update={"frozen": {"../x": CANDIDATE.release}}), "'../x' is not part of this round"),
        (outside("uploads/1/archive"), "'uploads/1/archive' does not lie in rounds/"),
        (outside(f"rounds/{ROUND_ID}/../../uploads/1"), "does not lie in rounds/"),
    ],
)
def test_a_candidate_of_something_else_is_refused(candidate: ModelManifest, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        check_candidate(candidate, ROUND, BRANCHES)


def test_a_branch_that_learned_another_dataset_is_refused() -> None:
    other = (replace(BRANCHES[0], member=member("Other")), BRANCHES[1])
    with pytest.raises(InvalidRequest, match="learns dataset"):
        check_candidate(CANDIDATE, ROUND, other)
    check_candidate(CANDIDATE, ROUND, BRANCHES)

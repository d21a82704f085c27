"""The standard dataset: what is chosen stays, depends on hashes alone, and scores as its formulas say."""

import hashlib
from collections.abc import Sequence

import pytest
from contracts.artifacts import FrameErrors, HeldOutFrames, ModelManifest
from contracts.standard import StandardDataset
from hypothesis import given
from hypothesis import strategies as st
from registry.domain.bootstrap import rmse
from registry.domain.policy import judge
from registry.domain.publication import check_frames
from registry.domain.rounds import Branch, InvalidRequest
from registry.domain.standard import (
    StandardError,
    candidate_errors,
    changes,
    choose,
    frames_sha256,
    in_standard,
    next_standard,
    on_standard,
    parent_errors,
    scored,
)
from registry_examples import Numbers, branch, manifest, member, policy

HASHES = st.lists(st.integers(0, 10_000).map(lambda number: name(number)), unique=True, max_size=60)


def name(number: object) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def names(branch_name: str, count: int) -> tuple[str, ...]:
    return tuple(name(f"{branch_name}-{number}") for number in range(count))


def errors(values: Sequence[float]) -> FrameErrors:
    """Energies are a tenth of the forces."""
    return FrameErrors(
        energy_mev_per_atom=tuple(value / 10 for value in values), force_mev_per_angstrom=tuple(map(float, values))
    )


def measured(
    branches: Sequence[Branch],
    after: Sequence[float],
    before: Sequence[float] | None,
    *,
    new: Sequence[str],
    seen: tuple[int, ...] = (),
    hashes: bool = True,
) -> ModelManifest:
    """A candidate whose every branch has frames of two atoms with these force errors; the baseline's are 1000."""
    frames = HeldOutFrames(
        atoms=(2,) * len(after),
        after=errors(after),
        before=None if before is None else errors(before),
        baseline=errors([1000] * len(after)),
        seen=seen,
    )
    numbers = Numbers(
        after=rmse(frames.after, frames.atoms),
        before=None if frames.before is None else rmse(frames.before, frames.atoms),
        baseline=rmse(frames.baseline, frames.atoms),
    )
    refs = {one.name: one.member.ref for one in branches}
    told = manifest({one.name: numbers for one in branches}, new=new, datasets=refs)
    return told.model_copy(
        update={
            "branches": tuple(
                one.model_copy(
                    update={
                        "held_out_frames": frames.model_copy(
                            update={"hashes": names(one.name, len(after)) if hashes else ()}
                        )
                    }
                )
                for one in told.branches
            )
        }
    )


def released(
    current: StandardDataset | None,
    told: ModelManifest,
    branches: Sequence[Branch],
    version: str = "1.1",
    most: int = 3,
) -> StandardDataset:
    standard = next_standard(current, told, branches, version, seed=1, most=most)
    assert standard is not None
    return standard


@given(HASHES, st.integers(0, 40), st.data())
def test_a_choice_depends_on_hashes_alone_and_only_grows(hashes: list[str], most: int, data: st.DataObject) -> None:
    chosen = choose(hashes, (), (), 1, most)
    assert len(chosen) == min(most, len(hashes))
    assert list(chosen) == sorted(chosen)
    shuffled = data.draw(st.permutations(hashes))
    assert choose(shuffled, (), (), 1, most) == chosen
    assert set(chosen) <= set(choose(hashes, (), (), 1, most + 5))
    more = choose([*hashes, *(name(f"more-{number}") for number in range(9))], (), chosen, 1, most)
    assert set(chosen) <= set(more), "what was chosen stays when other frames come"


def test_another_seed_chooses_other_frames_and_frames_that_somebody_trained_on_are_never_chosen() -> None:
    hashes = names("si", 100)
    assert choose(hashes, (), (), 1, 10) != choose(hashes, (), (), 2, 10)
    chosen = choose(hashes, range(95), (), 1, 10)
    assert set(chosen) == set(hashes[95:])


def test_branches_come_with_their_model_and_go_with_withdrawn_datasets() -> None:
    si, sic, ge = (branch(one, of=member(one, arrival=place)) for place, one in enumerate(("si", "sic", "ge")))
    one = released(None, measured([si], [100] * 6, None, new=["si"]), [si], "1.0")
    assert (one.number, one.model_version, [part.branch for part in one.branches]) == (1, "1.0", ["si"])
    assert len(one.branches[0].frames) == 3
    two = released(one, measured([si, sic], [100] * 6, [200] * 6, new=["sic"]), [si, sic])
    assert (two.number, two.branches[0]) == (2, one.branches[0]), "chosen frames stay"
    assert changes(one, two) == (3, 0)
    three = released(two, measured([sic, ge], [100] * 6, [200] * 6, new=["ge"]), [sic, ge], "1.2")
    assert (three.number, [part.branch for part in three.branches]) == (3, ["sic", "ge"])
    assert changes(two, three) == (3, 3)
    again = measured([sic, ge], [1] * 6, [2] * 6, new=[])
    assert released(three, again, [sic, ge], "1.3") is three, "nothing changed: no new version"


def test_a_branch_without_a_frame_to_give_is_not_in_it() -> None:
    si = branch("si")
    every = measured([si], [100] * 4, None, new=["si"], seen=(0, 1, 2, 3))
    assert next_standard(None, every, [si], "1.0", 1, 3) is None
    old = measured([si], [100] * 4, None, new=["si"], hashes=False)
    assert next_standard(None, old, [si], "1.0", 1, 3) is None
    assert next_standard(None, measured([], [100], None, new=[]), [si], "1.0", 1, 3) is None


def test_a_branch_that_a_candidate_was_not_measured_on_keeps_its_frames_and_fails_the_rule() -> None:
    si, sic = branch("si", is_new=False), branch("sic")
    current = released(None, measured([si], [100] * 6, None, new=["si"]), [si], "1.0")
    told = measured([si, sic], [100] * 6, [200] * 6, new=["sic"])
    blind = told.model_copy(
        update={
            "branches": (
                told.branches[0].model_copy(update={"held_out_frames": None}),
                told.branches[1],
            )
        }
    )
    standard = released(current, blind, [si, sic])
    assert standard.branches[0] == current.branches[0]
    verdict = judge(blind, ["si"], ["sic"], policy(), on_standard(blind, standard))
    rule = next(rule for rule in verdict.rules if rule.rule == "standard")
    assert not rule.passed
    assert "si" in rule.sentence
    assert verdict.standard_score is None


def test_candidate_and_parent_are_compared_on_the_standard_frames_alone() -> None:
    """The candidate is worse on all held-out frames together, and better on those of the standard dataset."""
    si, sic = branch("si", is_new=False), branch("sic")
    current = released(None, measured([si], [100] * 6, None, new=["si"]), [si], "1.0")
    inside = [one in current.branches[0].frames for one in names("si", 6)]
    after = [100.0 if chosen else 900.0 for chosen in inside]
    told = measured([si, sic], after, [200] * 6, new=["sic"])
    standard = released(current, told, [si, sic])
    on = on_standard(told, standard)
    passed = judge(told, ["si"], ["sic"], policy(), on)
    without = judge(told, ["si"], ["sic"], policy())
    rule, other = (next(one for one in verdict.rules if one.rule == "standard") for verdict in (passed, without))
    assert (rule.passed, other.passed) == (True, False)
    assert rule.numbers["score_candidate"] == pytest.approx(0.5 * (10 / 100 + 100 / 1000))
    assert rule.numbers["score_parent"] == pytest.approx(0.5 * (20 / 100 + 200 / 1000))
    assert rule.numbers["frames_compared"] == 3
    assert rule.numbers["score_rise_percent_low"] == pytest.approx(-50)
    assert rule.numbers["score_rise_percent_high"] == pytest.approx(-50)
    assert "the standard dataset" in rule.sentence


def test_without_a_branch_in_common_all_held_out_frames_decide() -> None:
    si, sic = branch("si", is_new=False), branch("sic")
    told = measured([si, sic], [100] * 4, [50] * 4, new=["sic"])
    alone = measured([sic], [100] * 4, [50] * 4, new=["sic"])
    on = on_standard(told, released(None, alone, [sic]))
    rule = next(one for one in judge(told, ["si"], ["sic"], policy(), on).rules if one.rule == "standard")
    assert not rule.passed, "twice as bad as the parent: no frames in common are no excuse"


def test_the_score_of_a_model_is_that_of_its_errors_and_the_baseline_scores_one() -> None:
    si, sic = branch("si", is_new=False), branch("sic")
    told = measured([si, sic], [100] * 4, [400] * 4, new=["sic"])
    standard = released(None, told, [si, sic], most=4)
    on = on_standard(told, standard).manifest
    refs = {one.branch: one.dataset for one in standard.branches}

    def score(of: dict[str, StandardError]) -> float:
        found = scored(standard, {refs[part]: error for part, error in of.items()})
        assert found is not None
        return found.score

    assert score(candidate_errors(on)) == pytest.approx(0.1)
    assert score(parent_errors(on)) == pytest.approx(0.4)
    assert {one: error.zero_shot for one, error in parent_errors(on).items()} == {"si": False, "sic": True}
    baseline = {
        one.branch: StandardError(one.baseline_energy_rmse_mev_per_atom, one.baseline_force_rmse_mev_per_angstrom, True)
        for one in standard.branches
    }
    assert score(baseline) == 1
    assert scored(standard, {refs["si"]: StandardError(1, 1, False)}) is None, "an error is missing"


def test_means_over_branches_are_geometric() -> None:
    si, sic = branch("si"), branch("sic")
    standard = released(None, measured([si, sic], [100] * 4, None, new=["si", "sic"]), [si, sic])
    found = scored(standard, dict(zip((one.dataset for one in standard.branches), [
        StandardError(1, 40, False), StandardError(100, 90, True)], strict=True)))  # fmt: skip
    assert found is not None
    assert found.energy_rmse_mev_per_atom == pytest.approx(10)
    assert found.force_rmse_mev_per_angstrom == pytest.approx(60)
    assert [found.energy_ratio, found.force_ratio] == pytest.approx([0.1, 0.06])
    assert found.score == pytest.approx(0.08)
    assert [(one.branch, one.frames, one.zero_shot) for one in found.branches] == [("si", 3, False), ("sic", 3, True)]


def test_errors_stay_known_while_the_frames_stay() -> None:
    si, sic = branch("si"), branch("sic")
    one = released(None, measured([si], [100] * 6, None, new=["si"]), [si])
    two = released(one, measured([si, sic], [100] * 6, None, new=["sic"]), [si, sic])
    more = released(one, measured([si], [100] * 6, None, new=["si"]), [si], most=5)
    assert frames_sha256(one.branches[0]) == frames_sha256(two.branches[0])
    assert set(one.branches[0].frames) < set(more.branches[0].frames)
    assert frames_sha256(one.branches[0]) != frames_sha256(more.branches[0])


@given(st.lists(st.integers(0, 30), max_size=40), st.sets(st.integers(0, 40), max_size=20))
def test_training_frames_are_found_among_standard_frames(trained: list[int], standard: set[int]) -> None:
    data = b"".join(bytes.fromhex(name(one)) for one in trained)
    found = in_standard(data, [bytes.fromhex(name(one)) for one in standard])
    assert found == tuple(place for place, one in enumerate(trained) if one in standard)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"hashes": names("si", 3)}, "one hash a frame"),
        ({"hashes": (name(1), name(1), name(2), name(3))}, "each once"),
        ({"seen": (4,)}, "not there"),
    ],
)
def test_hashes_that_cannot_be_are_refused(wrong: dict[str, object], why: str) -> None:
    told = measured([branch("si")], [100] * 4, None, new=["si"])
    (part,) = told.branches
    assert part.held_out_frames is not None
    broken = part.model_copy(update={"held_out_frames": part.held_out_frames.model_copy(update=wrong)})
    with pytest.raises(InvalidRequest, match=why):
        check_frames(broken, told)


def test_a_dataset_is_known_by_its_reference_whatever_its_branch_is_called() -> None:
    of = member("si")
    first = released(None, measured([branch("si", of=of)], [100] * 6, None, new=["si"]), [branch("si", of=of)])
    second = branch("si-2", of=of)
    told = measured([second], [100] * 6, None, new=["si-2"])
    # The same dataset has the same frames, whatever the branch is called.
    frames = told.branches[0].held_out_frames
    assert frames is not None
    same = told.branches[0].model_copy(update={"held_out_frames": frames.model_copy(update={"hashes": names("si", 6)})})
    renamed = released(first, told.model_copy(update={"branches": (same,)}), [second])
    assert renamed.number == 2
    assert renamed.branches[0].frames == first.branches[0].frames

"""The growth policy with numbers that can be checked by hand."""

import json
from pathlib import Path

import pytest
from contracts.artifacts import ModelManifest
from contracts.base import RuleResult
from hypothesis import given
from hypothesis import strategies as st
from registry.domain.policy import GrowthPolicy, Verdict, judge, score
from registry_examples import CONSERVES, LOADS, Numbers, manifest, policy

POLICY = policy()


def rule(verdict: Verdict, name: str) -> RuleResult:
    return {one.rule: one for one in verdict.rules}[name]


def first(**after: Numbers) -> Verdict:
    return judge(manifest(after, new=list(after), parent=None), [], list(after), POLICY)


def growth(old: dict[str, Numbers], new: dict[str, Numbers]) -> Verdict:
    return judge(manifest(old | new, new=list(new)), list(old), list(new), POLICY)


def without(candidate: ModelManifest, field: str) -> ModelManifest:
    return candidate.model_copy(update={field: ()})


GOOD_OLD = {"si": Numbers(after=(10, 150), before=(10, 150)), "water": Numbers(after=(5, 306), before=(5, 306))}
GOOD_NEW = {"sic": Numbers(after=(20, 404), before=(80, 1971))}


def test_four_rules_all_hold() -> None:
    verdict = growth(GOOD_OLD, GOOD_NEW)
    assert [one.rule for one in verdict.rules] == ["learned", "standard", "remembered", "loads"]
    assert verdict.passed


def test_score_is_the_mean_of_geometric_means() -> None:
    # forces: √(0.25 · 0.04) = 0.1; energies: √(0.09 · 0.16) = 0.12; E = ½ (0.1 + 0.12)
    verdict = first(si=Numbers(after=(9, 250)), water=Numbers(after=(16, 40)))
    assert verdict.standard_score == pytest.approx(0.11)
    assert rule(verdict, "standard").numbers["score_candidate"] == pytest.approx(0.11)
    assert verdict.passed


def test_a_composition_only_baseline_scores_exactly_one_and_is_no_model() -> None:
    baseline = {
        name: Numbers(after=values, baseline=values)
        for name, values in {"si": (37.3, 1256.1), "water": (0.7, 613.9), "sic": (112.9, 1971.4)}.items()
    }
    verdict = first(**baseline)
    assert verdict.standard_score == 1.0
    assert not rule(verdict, "standard").passed
    assert not rule(verdict, "learned").passed


@given(st.lists(st.tuples(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6)), min_size=1, max_size=40))
def test_any_baseline_scores_exactly_one(baselines: list[tuple[float, float]]) -> None:
    numbers = {f"b{index}": Numbers(after=one, baseline=one) for index, one in enumerate(baselines)}
    candidate = manifest(numbers, new=list(numbers), parent=None)
    assert score((one.held_out, one) for one in candidate.branches) == 1.0


def test_perfect_forces_score_half() -> None:
    assert first(si=Numbers(after=(100, 0))).standard_score == 0.5


@pytest.mark.parametrize(
    ("after", "passed"), [(95.0, True), (95.1, False), (100.0, False), (120.0, False), (0.0, True)]
)
def test_learned_asks_for_five_percent(after: float, passed: bool) -> None:
    verdict = growth(GOOD_OLD, {"sic": Numbers(after=(20, after), before=(80, 100))})
    assert rule(verdict, "learned").passed is passed


@pytest.mark.parametrize("before", [3.0, 7.0, 200.0, 1971.3, 0.1])
def test_exactly_five_percent_counts_whatever_the_last_bit_says(before: float) -> None:
    learned = growth(GOOD_OLD, {"sic": Numbers(after=(20, before * 95 / 100), before=(80, before))})
    assert rule(learned, "learned").passed
    kept = growth({"si": Numbers(after=(10, before * 105 / 100), before=(10, before))}, GOOD_NEW)
    assert rule(kept, "remembered").passed


def test_learned_shows_numbers_with_units_and_words() -> None:
    learned = rule(growth(GOOD_OLD, GOOD_NEW), "learned")
    assert learned.numbers == {
        "sic.force_rmse_before_mev_per_angstrom": 1971,
        "sic.force_rmse_after_mev_per_angstrom": 404,
    }
    assert "sic from 1971.0 to 404.0 meV/Å (-79.5 %)" in learned.sentence


def test_one_unlearned_dataset_fails_the_round_and_is_named() -> None:
    learned = rule(growth(GOOD_OLD, GOOD_NEW | {"gan": Numbers(after=(20, 99), before=(80, 100))}), "learned")
    assert not learned.passed
    assert "gan" in learned.sentence
    assert "sic" not in learned.sentence


def test_the_first_model_is_compared_with_zero_forces() -> None:
    assert rule(first(si=Numbers(after=(10, 950))), "learned").passed
    assert not rule(first(si=Numbers(after=(10, 951))), "learned").passed


@pytest.mark.parametrize(("after", "passed"), [(105.0, True), (105.1, False), (50.0, True)])
def test_remembered_allows_five_percent_on_every_branch(after: float, passed: bool) -> None:
    old = {"si": Numbers(after=(10, after), before=(10, 100)), "water": Numbers(after=(5, 10), before=(5, 306))}
    remembered = rule(growth(old, GOOD_NEW), "remembered")
    assert remembered.passed is passed
    assert passed or "si from 100.0 to 105.1" in remembered.sentence


def test_the_branch_that_is_named_fared_worst_though_another_changed_more() -> None:
    old = {"si": Numbers(after=(10, 90), before=(10, 100)), "water": Numbers(after=(5, 100), before=(5, 300))}
    told = rule(growth(old, GOOD_NEW), "remembered").sentence
    assert "the old branch that fared worst is si from 100.0 to 90.0 meV/Å" in told


def test_standard_compares_the_same_branches() -> None:
    """A hard new branch must not count against the candidate, nor an easy one for it."""
    hard = {"sic": Numbers(after=(99, 990), before=(4000, 40000))}
    verdict = growth({"si": Numbers(after=(10, 100), before=(10, 100))}, hard)
    standard = rule(verdict, "standard")
    assert standard.numbers["score_parent"] == standard.numbers["score_candidate"] == pytest.approx(0.1)
    assert standard.passed
    assert verdict.standard_score == pytest.approx((0.1 * 0.99) ** 0.5)


@pytest.mark.parametrize(("force", "passed"), [(104.0, True), (104.1, False)])
def test_standard_allows_two_percent(force: float, passed: bool) -> None:
    # parent: E = ½ (0.1 + 0.1) = 0.1; candidate: ½ (0.1 + force / 1000): 0.102 at 104 meV/Å
    verdict = growth({"si": Numbers(after=(10, force), before=(10, 100))}, GOOD_NEW)
    assert rule(verdict, "standard").passed is passed


def test_an_artifact_that_does_not_load_is_withheld() -> None:
    broken = LOADS.model_copy(update={"passed": False, "sentence": "Forces differ by 0.3 eV/Å."})
    verdict = judge(manifest(GOOD_OLD | GOOD_NEW, new=["sic"], verification=broken), list(GOOD_OLD), ["sic"], POLICY)
    assert not verdict.passed
    assert rule(verdict, "loads") == broken.model_copy(update={"rule": "loads"})


def test_a_check_withholds_where_the_policy_says_so() -> None:
    candidate = manifest(GOOD_OLD | GOOD_NEW, new=["sic"])
    old, new = list(GOOD_OLD), ["sic"]
    assert judge(candidate, old, new, POLICY).passed
    verdict = judge(candidate, old, new, policy(withholding_checks=["conserves-energy"]))
    assert not verdict.passed
    assert CONSERVES.sentence in rule(verdict, "loads").sentence
    unknown = CONSERVES.model_copy(update={"unknown": True})
    untold = candidate.model_copy(update={"checks": (unknown,)})
    assert judge(untold, old, new, policy(withholding_checks=["conserves-energy"])).passed
    misspelt = judge(candidate, old, new, policy(withholding_checks=["conserves-enrgy"]))
    assert "tells of no check 'conserves-enrgy'" in rule(misspelt, "loads").sentence
    assert not misspelt.passed


def test_missing_numbers_never_pass() -> None:
    complete = manifest(GOOD_OLD | GOOD_NEW, new=["sic"])
    old, new = list(GOOD_OLD), ["sic"]
    no_zero_shot = judge(without(complete, "zero_shot"), old, new, POLICY)
    assert not rule(no_zero_shot, "learned").passed
    assert "sic" in rule(no_zero_shot, "learned").sentence
    no_parent = judge(without(complete, "parent_held_out"), old, new, POLICY)
    assert not rule(no_parent, "remembered").passed
    assert not rule(no_parent, "standard").passed
    assert no_parent.standard_score is None
    nothing = judge(without(complete, "branches"), old, new, POLICY)
    assert [one.passed for one in nothing.rules] == [False, False, False, True]
    forgotten = judge(complete, [*old, "gan"], new, POLICY)
    assert not rule(forgotten, "remembered").passed
    assert "gan" in rule(forgotten, "standard").sentence


def test_a_baseline_of_zero_is_no_scale() -> None:
    verdict = first(si=Numbers(after=(1, 1), baseline=(0, 1000)))
    assert not rule(verdict, "standard").passed
    assert verdict.standard_score is None


def test_the_policy_file_of_the_platform_has_the_written_thresholds() -> None:
    path = Path(__file__).parents[3] / "deploy" / "policy" / "growth.json"
    loaded = GrowthPolicy.load(path)
    assert loaded.learned_min_reduction == 0.05
    assert loaded.standard_max_worsening == 0.02
    assert loaded.remembered_max_rise == 0.05


def test_a_wrong_policy_file_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "growth.json"
    with pytest.raises(ValueError, match=r"growth\.json cannot be read"):
        GrowthPolicy.load(path)
    path.write_text(json.dumps(POLICY.model_dump() | {"max_atempts": 3}))
    with pytest.raises(ValueError, match="max_atempts"):
        GrowthPolicy.load(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="is not valid"):
        GrowthPolicy.load(path)

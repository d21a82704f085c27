"""Presets are files; rendering fills in branches, weights and steps."""

import json
from pathlib import Path
from typing import Any

import pytest
from frames.frame import SYMBOLS
from pydantic import ValidationError
from trainer.preset import PresetError, load_preset, preset_names
from trainer.recipe import contradictions, render
from trainer.work import Work, WorkBranch
from trainer_fleet import PRESETS


def branch(name: str, *, weight: float, has_virial: bool = True, is_new: bool = True) -> WorkBranch:
    return WorkBranch(
        name=name,
        train=Path(name, "train.lmdb"),
        held_out=Path(name, "held-out.lmdb"),
        has_virial=has_virial,
        elements=("Si",),
        is_new=is_new,
        weight=weight,
    )


def work(parent: Path | None = None) -> Work:
    return Work(
        preset=load_preset(PRESETS, "laptop"),
        total_steps=900,
        seed=5,
        parent=parent,
        resume_from=None,
        branches=(branch("silicon", weight=0.25), branch("water", weight=0.75, has_virial=False)),
    )


FOLDERS = {"silicon": Path("a"), "water": Path("b")}


def rendered(job: Work, train: dict[str, Path] = FOLDERS, case_dimension: int | None = None) -> dict[str, Any]:
    return render(job, train, case_dimension)


@pytest.mark.parametrize("name", preset_names(PRESETS))
def test_every_preset_of_ours_is_valid_and_spans_the_periodic_table(name: str) -> None:
    preset = load_preset(PRESETS, name)
    assert preset.model.shared_dict["type_map"] == list(SYMBOLS)
    for key, section in preset.model.branch.items():
        assert key == "type" or not isinstance(section, str) or section in preset.model.shared_dict


def test_a_recipe_trains_each_branch_on_its_own_frames_with_its_weight() -> None:
    recipe = rendered(work(), {"silicon": Path("a.lmdb"), "water": Path("b.lmdb")})
    training = recipe["training"]
    assert training["model_prob"] == {"silicon": 0.25, "water": 0.75}
    assert training["data_dict"]["water"]["training_data"]["systems"] == "b.lmdb"
    stat_files = {section["stat_file"] for section in training["data_dict"].values()}
    assert len(stat_files) == 2
    assert (training["numb_steps"], training["seed"]) == (900, 5)
    assert list(recipe["model"]["model_dict"]) == ["silicon", "water"]


def test_the_virial_is_learned_only_where_there_is_one() -> None:
    losses = rendered(work())["loss_dict"]
    assert losses["silicon"]["limit_pref_v"] > 0
    assert losses["water"]["limit_pref_v"] == 0


def test_a_warm_up_that_fits_rounds_of_one_length_only_is_refused(tmp_path: Path) -> None:
    content = json.loads((PRESETS / "laptop.json").read_text())
    content["learning_rate"]["growth"] = {"type": "cosine", "start_lr": 1e-3, "stop_lr": 1e-5, "warmup_steps": 50}
    (tmp_path / "laptop.json").write_text(json.dumps(content))
    with pytest.raises(PresetError, match=r"laptop\.json.*\n?.*growth[\s\S]*write warmup_ratio"):
        load_preset(tmp_path, "laptop")


def test_growth_starts_lower_than_a_first_round() -> None:
    first, growth = rendered(work()), rendered(work(Path("parent.pt")))
    assert growth["learning_rate"]["start_lr"] < first["learning_rate"]["start_lr"]


def test_after_an_attempt_that_diverged_every_rate_is_halved_and_nothing_else_changes() -> None:
    usual, lower = rendered(work()), rendered(work().model_copy(update={"learning_rate_factor": 0.5}))
    for rate in ("start_lr", "stop_lr"):
        assert lower["learning_rate"].pop(rate) == usual["learning_rate"].pop(rate) / 2
    assert lower == usual


def test_a_widened_case_embedding_overrules_the_preset_and_leaves_it_unchanged() -> None:
    job = work(Path("parent.pt"))
    recipe = rendered(job, case_dimension=40)
    assert recipe["model"]["shared_dict"]["fitting"]["dim_case_embd"] == 40
    assert job.preset.model.shared_dict["fitting"]["dim_case_embd"] == 16


def test_contradictions_name_the_place_and_ignore_what_may_differ() -> None:
    wanted = {"descriptor": {"repflow": {"n_dim": 32}, "seed": 1}, "fitting_net": {"dim_case_embd": 16}}
    actual = {"descriptor": {"repflow": {"n_dim": 64, "extra": 1}, "seed": 2}, "fitting_net": {"dim_case_embd": 40}}
    assert list(contradictions(wanted, actual)) == ["descriptor.repflow.n_dim: 64 in the parent, 32 in the preset"]
    assert list(contradictions(wanted, wanted)) == []


def test_an_unknown_preset_is_named_with_those_that_exist() -> None:
    with pytest.raises(PresetError, match=r"no preset 'huge'.*laptop"):
        load_preset(PRESETS, "huge")


def test_a_preset_outside_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "presets").mkdir()
    (tmp_path / "secret.json").write_text((PRESETS / "laptop.json").read_text())
    with pytest.raises(PresetError):
        load_preset(tmp_path / "presets", "../secret")


def test_a_mistyped_field_of_a_preset_is_named(tmp_path: Path) -> None:
    content = json.loads((PRESETS / "laptop.json").read_text())
    content["evaluate_evry"] = content.pop("evaluate_every")
    (tmp_path / "laptop.json").write_text(json.dumps(content))
    with pytest.raises(PresetError, match="evaluate_evry"):
        load_preset(tmp_path, "laptop")


@pytest.mark.parametrize("name", ["Silicon", "a.b", "../x", ""])
def test_branch_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        branch(name, weight=1)

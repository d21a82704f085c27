"""Published scores measured again in a fresh process, with a real model."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dpa.branch import measured
from dpa.claims import (
    BASELINE_ENERGY,
    BASELINE_FORCE,
    ENERGIES,
    ENERGY,
    FORCE,
    THRESHOLD,
    Claim,
    Measured,
    StandardClaim,
    compared,
)
from dpa.predictor import Predictor
from dpa.remeasure import NotMeasured, remeasured, wanted
from frames.baseline import Baseline, composition_only
from frames.errors import conformal_threshold, energy_rmse, force_rmse
from frames.hashing import frame_hashes
from frames.store import write
from reference_model import BRANCHES, RELEASE, changed_release, held_out_frames, manifest, training_frames


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> list[Claim]:
    folder = tmp_path_factory.mktemp("claims")
    found = []
    for described in manifest().branches:
        name = described.name
        write(folder / f"{name}.lmdb", held_out_frames(name))
        write(folder / f"{name}.train.lmdb", training_frames(name))
        baseline = composition_only(training_frames(name))
        numbers = {
            ENERGY: described.held_out.energy_rmse_mev_per_atom,
            FORCE: described.held_out.force_rmse_mev_per_angstrom,
            THRESHOLD: conformal_threshold(described.held_out_max_force_errors_ev_per_angstrom),
            BASELINE_ENERGY: described.baseline_energy_rmse_mev_per_atom,
            BASELINE_FORCE: described.baseline_force_rmse_mev_per_angstrom,
        }
        energies = baseline.by_element(held_out_frames(name))
        frames = len(held_out_frames(name))
        train, fitted_to = folder / f"{name}.train.lmdb", tuple(range(len(training_frames(name))))
        found.append(Claim(name, folder / f"{name}.lmdb", (), energies, numbers, frames, train, fitted_to))
    return found


def on_standard(claim: Claim, places: Sequence[int], energies: dict[str, float] | None) -> StandardClaim:
    """The claim's numbers as if these frames were in a standard dataset."""
    frames = [held_out_frames(claim.branch)[place] for place in places]
    model, baseline = Predictor(RELEASE, claim.branch).predict(frames), Baseline.told(energies or {})
    residual = model.energy - np.array([frame.energy for frame in frames])
    return StandardClaim(
        count=len(places),
        frames=tuple(one.hex() for one in frame_hashes(frames)),
        positions=tuple(places),
        element_energies=energies,
        numbers={
            ENERGY: 1e3 * energy_rmse(residual, [frame.natoms for frame in frames]),
            FORCE: 1e3 * force_rmse(model.forces, [frame.forces for frame in frames]),
            BASELINE_ENERGY: 1e3 * baseline.energy_rmse(frames),
            BASELINE_FORCE: 1e3 * baseline.force_rmse(frames),
        },
    )


def states(model: Path, claims: list[Claim]) -> dict[str, str]:
    found: dict[str, str] = {}
    for claim, told in zip(claims, remeasured(model, claims), strict=True):
        assert isinstance(told, Measured), told
        found |= {one.what: one.state for one in compared(claim, told)}
    return found


def states_here(claim: Claim) -> dict[str, str]:
    """Measured in this process, whose imports are paid for."""
    return {one.what: one.state for one in compared(claim, Measured.told(measured(RELEASE, wanted(claim))))}


def test_what_the_trainer_published_comes_out_again(claims: list[Claim]) -> None:
    found = states(RELEASE, claims)
    elements = {f"silicon.{ENERGIES}.Si", f"water.{ENERGIES}.H", f"water.{ENERGIES}.O"}
    assert elements < found.keys()
    assert len(found) == 5 * len(BRANCHES) + len(elements)
    assert set(found.values()) == {"matches"}


def test_a_baseline_that_its_training_frames_do_not_give_is_seen(claims: list[Claim]) -> None:
    """By a hundredth of a meV, where an energy of an element is a hundred eV."""
    silicon = claims[0]
    assert silicon.element_energies is not None
    cheaper = replace(silicon, element_energies={"Si": silicon.element_energies["Si"] + 2e-5})
    assert states_here(cheaper)[f"silicon.{ENERGIES}.Si"] == "differs"
    fewer = replace(silicon, fitted_to=(0, 10_000))
    assert states_here(fewer)[f"silicon.{ENERGIES}.Si"] == "differs"


@pytest.mark.parametrize(("lacking", "why"), [("train", "not to be had"), ("fitted_to", "does not tell which")])
def test_where_a_baseline_cannot_be_derived_it_says_why(claims: list[Claim], lacking: str, why: str) -> None:
    without = replace(claims[0], train=None) if lacking == "train" else replace(claims[0], fitted_to=None)
    found = Measured.told(measured(RELEASE, wanted(without)))
    (one,) = [one for one in compared(without, found) if ENERGIES in one.what]
    assert (one.what, one.state) == (f"silicon.{ENERGIES}", "not-rederived")
    assert why in one.why


def test_standard_frames_are_measured_where_they_are_told_to_be(claims: list[Claim]) -> None:
    silicon = claims[0]
    told = on_standard(silicon, (1, 3), dict(silicon.element_energies or {}))
    found = states(RELEASE, [replace(silicon, standard=told)])
    assert found["standard.silicon.frames"] == found[f"standard.silicon.{BASELINE_ENERGY}"] == "matches"
    assert found[f"standard.silicon.{ENERGY}"] == found[f"standard.silicon.{FORCE}"] == "matches"
    others = replace(silicon, standard=replace(told, numbers=on_standard(silicon, (0, 2), None).numbers))
    assert states_here(others)[f"standard.silicon.{FORCE}"] == "differs"
    anywhere = replace(silicon, standard=replace(told, positions=None))
    assert set(states_here(anywhere).values()) == {"matches"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"positions": (1, 2)},
        {"positions": (3, 1)},
        {"positions": (1,)},
        {"positions": (1, -1)},
        {"frames": ("0" * 64,)},
        {"frames": (), "positions": ()},
    ],
    ids=["another frame", "swapped", "too few", "nowhere", "unknown", "none"],
)
def test_a_standard_frame_that_is_not_where_it_is_told_to_be_is_seen(
    claims: list[Claim], wrong: dict[str, Any]
) -> None:
    told = replace(on_standard(claims[0], (1, 3), None), **wrong)
    found = states_here(replace(claims[0], standard=told))
    assert found["standard.silicon.frames"] == "differs"
    assert f"standard.silicon.{FORCE}" not in found


def test_a_standard_frame_that_was_not_measured_on_is_seen(claims: list[Claim]) -> None:
    told = on_standard(claims[0], (1, 3), None)
    found = states_here(replace(claims[0], left_out=(3,), standard=told))
    assert found["standard.silicon.frames"] == "differs"


def test_another_weight_comes_out_otherwise(claims: list[Claim], tmp_path: Path) -> None:
    found = states(changed_release(tmp_path / "model.pt"), claims[:1])
    assert found["silicon.force_rmse_mev_per_angstrom"] == "differs"
    assert found["silicon.baseline_force_rmse_mev_per_angstrom"] == "matches"


def test_frames_that_were_left_out_stay_out(claims: list[Claim]) -> None:
    without = replace(claims[0], left_out=(0,))
    (told,) = remeasured(RELEASE, [without])
    assert isinstance(told, Measured)
    assert told.frames == len(held_out_frames("silicon")) - 1
    first, *_ = compared(without, told)
    assert (first.what, first.state) == ("silicon.frames", "differs")


def test_a_branch_that_cannot_be_measured_says_why_and_the_others_are(claims: list[Claim], tmp_path: Path) -> None:
    lost = replace(claims[0], held_out=tmp_path / "nowhere")
    none, told = remeasured(RELEASE, [lost, claims[1]])
    assert isinstance(none, str)
    assert "NotADataset" in none
    assert isinstance(told, Measured)


def test_a_process_that_dies_is_no_answer(claims: list[Claim], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(NotMeasured, match="exit code 1"):
        list(remeasured(RELEASE, claims))

"""Published scores measured again in a fresh process, with a real model."""

from dataclasses import replace
from pathlib import Path

import pytest
from dpa.claims import (
    BASELINE_ENERGY,
    BASELINE_FORCE,
    ENERGY,
    FORCE,
    THRESHOLD,
    Claim,
    Measured,
    compared,
)
from dpa.remeasure import NotMeasured, remeasured
from frames.baseline import composition_only
from frames.errors import conformal_threshold
from frames.store import write
from reference_model import BRANCHES, RELEASE, changed_release, held_out_frames, manifest, training_frames


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> list[Claim]:
    folder = tmp_path_factory.mktemp("claims")
    found = []
    for described in manifest().branches:
        name = described.name
        write(folder / f"{name}.lmdb", held_out_frames(name))
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
        found.append(Claim(name, folder / f"{name}.lmdb", (), energies, numbers, frames))
    return found


def states(model: Path, claims: list[Claim]) -> dict[str, str]:
    found: dict[str, str] = {}
    for claim, measured in zip(claims, remeasured(model, claims), strict=True):
        assert isinstance(measured, Measured), measured
        found |= {one.what: one.state for one in compared(claim, measured)}
    return found


def test_what_the_trainer_published_comes_out_again(claims: list[Claim]) -> None:
    found = states(RELEASE, claims)
    assert len(found) == 5 * len(BRANCHES)
    assert set(found.values()) == {"matches"}


def test_another_weight_comes_out_otherwise(claims: list[Claim], tmp_path: Path) -> None:
    found = states(changed_release(tmp_path / "model.pt"), claims[:1])
    assert found["silicon.force_rmse_mev_per_angstrom"] == "differs"
    assert found["silicon.baseline_force_rmse_mev_per_angstrom"] == "matches"


def test_frames_that_were_left_out_stay_out(claims: list[Claim]) -> None:
    without = replace(claims[0], left_out=(0,))
    (measured,) = remeasured(RELEASE, [without])
    assert isinstance(measured, Measured)
    assert measured.frames == len(held_out_frames("silicon")) - 1
    first, *_ = compared(without, measured)
    assert (first.what, first.state) == ("silicon.frames", "differs")


def test_a_branch_that_cannot_be_measured_says_why_and_the_others_are(claims: list[Claim], tmp_path: Path) -> None:
    lost = replace(claims[0], held_out=tmp_path / "nowhere")
    none, measured = remeasured(RELEASE, [lost, claims[1]])
    assert isinstance(none, str)
    assert "NotADataset" in none
    assert isinstance(measured, Measured)


def test_a_process_that_dies_is_no_answer(claims: list[Claim], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(NotMeasured, match="exit code 1"):
        list(remeasured(RELEASE, claims))

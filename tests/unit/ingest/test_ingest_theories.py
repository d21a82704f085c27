"""The level of theory: who tells it, and what counts as a disagreement."""

import pytest
from contracts.base import LevelOfTheory, TheoryMismatch
from ingest.theories import level_of_theory, mismatches


def test_files_tell_first_and_the_contributor_fills_in() -> None:
    declared = LevelOfTheory(code="VASP", functional="PBE", basis="PAW")
    merged = level_of_theory({"code": "VASP 6.4", "cutoff_ev": 400.0}, declared)
    assert merged == LevelOfTheory(code="VASP 6.4", functional="PBE", cutoff_ev=400.0, basis="PAW")


@pytest.mark.parametrize(
    ("field", "declared", "found", "same"),
    [
        ("code", "vasp", "VASP 6.4.2", True),
        ("code", "QE", "Quantum ESPRESSO 6.7MaX", True),
        ("code", "pw.x 7.2", "Quantum ESPRESSO 6.7MaX", True),
        ("code", "CP2K 2023.1", "CP2K 2024.2", True),
        ("code", "VASP", "Quantum ESPRESSO 6.7MaX", False),
        ("code", "our own code 2.1", "VASP 6.4.2", False),
        ("functional", "pbe", "PBE", True),
        ("functional", "PBE (PAW)", "PBE", True),
        ("functional", "PE", "PBE", True),
        ("functional", "PBEsol", "PBE", False),
        ("functional", "PBE-D3", "PBE", False),
        ("functional", "B3LYP", "B3-LYP", True),
        ("cutoff_ev", 400.0, 400.9, True),
        ("cutoff_ev", 400.0, 520.0, False),
        ("k_points", "2x2x2", "2 2 2 0 0 0", True),
        ("k_points", "4 4 4", "2 2 2 0 0 0", False),
        ("k_points", "Gamma", "gamma", True),
        ("k_points", "Gamma", "2 2 2 0 0 0", False),
        ("basis", "PAW_PBE H", "PAW_PBE H 15Jun2001, PAW_PBE C 08Apr2002", True),
        ("basis", "DZVP", "TZVP-MOLOPT-GTH", False),
    ],
)
def test_spelling_is_no_disagreement(field: str, declared: str | float, found: str | float, same: bool) -> None:
    told = LevelOfTheory.model_validate({field: declared})
    mismatch = mismatches({field: found}, told)
    assert (mismatch == ()) is same
    if not same:
        assert mismatch[0].field == field


def test_a_disagreement_shows_both_words() -> None:
    told = LevelOfTheory(functional="PBEsol", cutoff_ev=400, k_points="1 1 1")
    assert mismatches({"functional": "PBE", "cutoff_ev": 326.537, "code": "VASP 6"}, told) == (
        TheoryMismatch(field="functional", declared="PBEsol", found="PBE"),
        TheoryMismatch(field="cutoff_ev", declared="400 eV", found="326.537 eV"),
    )
    assert mismatches({"functional": "PBE"}, None) == ()
    several = mismatches({"functional": "several: PBE; SCAN"}, LevelOfTheory(functional="PBE"))
    assert several[0].found == "several: PBE; SCAN"

"""What the demo contributes is what it says: real calculations, two of them damaged, and none."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from onemachine.demo.archives import NAN_FRAME, TRUNCATED_FRAME, Contributions, prepare, with_nan_force
from onemachine.settings import DEPLOY


@pytest.fixture(scope="module")
def contributions(tmp_path_factory: pytest.TempPathFactory) -> Contributions:
    return prepare(DEPLOY / "demo", tmp_path_factory.mktemp("contributor") / "archives")


def outputs(archive: Path) -> dict[str, str]:
    """Frame → its scf.out."""
    with tarfile.open(archive) as tar:
        found = {}
        for member in tar:
            if member.name.endswith("scf.out"):
                file = tar.extractfile(member)
                assert file is not None
                found[member.name.split("/")[1]] = file.read().decode()
        return found


def test_exactly_two_calculations_of_the_damaged_archive_differ_from_their_source(contributions: Contributions) -> None:
    whole, damaged = outputs(contributions.b.archive), outputs(contributions.c.archive)
    assert whole.keys() == damaged.keys()
    differing = {frame for frame in whole if whole[frame] != damaged[frame]}
    assert differing == {TRUNCATED_FRAME, NAN_FRAME}


def test_the_truncated_calculation_ends_before_its_forces(contributions: Contributions) -> None:
    text = outputs(contributions.c.archive)[TRUNCATED_FRAME]
    assert "iteration #" in text
    assert "Forces acting on atoms" not in text
    assert "JOB DONE" not in text


def test_one_force_is_not_a_number_and_all_else_is_whole(contributions: Contributions) -> None:
    text = outputs(contributions.c.archive)[NAN_FRAME]
    assert text.count("NaN") == 3
    assert "JOB DONE" in text


def test_an_output_without_forces_cannot_get_a_nan() -> None:
    with pytest.raises(ValueError, match="no line begins with"):
        with_nan_force(b"no forces here\n")


def test_the_notes_hold_no_calculation(contributions: Contributions) -> None:
    with zipfile.ZipFile(contributions.d.archive) as notes:
        assert {Path(name).suffix for name in notes.namelist()} == {".txt", ".csv"}


def test_every_archive_has_the_frames_that_the_provenance_tells(contributions: Contributions) -> None:
    silicon, water = contributions.base
    assert len(outputs(silicon.archive)) == 48
    assert len(outputs(contributions.a.archive)) == 64
    assert len(outputs(contributions.b.archive)) == 24
    assert water.archive.read_text().count("Lattice=") == 76


def test_entries_are_described_by_files_that_exist(contributions: Contributions) -> None:
    described = [one.description for one in (*contributions.base, contributions.a, contributions.b)]
    assert all(path is not None and path.read_text().startswith("## ") for path in described)

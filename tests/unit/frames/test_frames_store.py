"""The LMDB store: what is written is read back, whatever the mixture."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from frames.frame import Frame, element_counts, formula
from frames.store import NotADataset, iterate, read, write
from hypothesis import given, settings
from hypothesis import strategies as st


def make_frame(seed: int, natoms: int, periodic: bool, virial: bool) -> Frame:
    rng = np.random.default_rng(seed)
    return Frame(
        numbers=rng.integers(1, 119, natoms),
        coords=rng.normal(0, 3, (natoms, 3)),
        cell=np.diag(rng.uniform(3, 9, 3)) if periodic else None,
        energy=float(rng.normal(-100, 10)),
        forces=rng.normal(0, 1, (natoms, 3)),
        virial=rng.normal(0, 1, (3, 3)) if virial else None,
        source=f"folder/{seed % 3}.out",
        index=seed % 7,
    )


def assert_same(left: Frame, right: Frame) -> None:
    for name in ("numbers", "coords", "cell", "forces", "virial"):
        one, other = getattr(left, name), getattr(right, name)
        assert (one is None) == (other is None), name
        if one is not None:
            np.testing.assert_array_equal(one, other, err_msg=name)
    assert (left.energy, left.source, left.index) == (right.energy, right.source, right.index)


@given(
    kinds=st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(1, 9), st.booleans(), st.booleans()),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=25)
def test_round_trip_of_any_mixture(
    kinds: list[tuple[int, int, bool, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    frames = [make_frame(*kind) for kind in kinds]
    path = tmp_path_factory.mktemp("store") / "x.lmdb"
    assert write(path, iter(frames)) == len(frames)
    back = read(path)
    assert len(back) == len(frames)
    for left, right in zip(frames, back, strict=True):
        assert_same(left, right)


def test_equal_frames_give_equal_bytes_and_one_file(tmp_path: Path) -> None:
    frames = [make_frame(seed, 5, True, True) for seed in range(40)]
    for name in ("a.lmdb", "b.lmdb"):
        write(tmp_path / name, frames)
    assert [file.name for file in (tmp_path / "a.lmdb").iterdir()] == ["data.mdb"]
    assert (tmp_path / "a.lmdb/data.mdb").read_bytes() == (tmp_path / "b.lmdb/data.mdb").read_bytes()


def test_the_map_grows_with_the_dataset(tmp_path: Path) -> None:
    frames = (make_frame(seed % 5, 5000, True, False) for seed in range(300))
    assert write(tmp_path / "big.lmdb", frames) == 300
    assert (tmp_path / "big.lmdb/data.mdb").stat().st_size > 1 << 26
    assert sum(1 for _ in iterate(tmp_path / "big.lmdb")) == 300


def test_no_frames_and_existing_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        write(tmp_path / "none.lmdb", [])
    write(tmp_path / "one.lmdb", [make_frame(1, 2, False, False)])
    with pytest.raises(FileExistsError, match="written once"):
        write(tmp_path / "one.lmdb", [make_frame(1, 2, False, False)])


def test_what_is_no_dataset_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotADataset, match=r"holds no data\.mdb"):
        read(tmp_path / "absent.lmdb")
    (tmp_path / "junk.lmdb").mkdir()
    (tmp_path / "junk.lmdb/data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(NotADataset, match="not an LMDB file"):
        read(tmp_path / "junk.lmdb")


def test_formula_and_counts() -> None:
    assert formula([8, 1, 1]) == "H2O"
    assert formula(np.array([14, 6])) == "CSi"
    with pytest.raises(ValueError, match="without atoms"):
        formula([])
    counts = element_counts([Frame(np.array([8, 1, 1]), np.zeros((3, 3)), None, 0.0, np.zeros((3, 3)))])
    assert counts.shape == (1, 118)
    assert (counts[0, 0], counts[0, 7], counts.sum()) == (2, 1, 3)


def test_of_wanted_positions_only_those_are_read(tmp_path: Path) -> None:
    frames = [make_frame(seed, 3, True, False) for seed in range(40)]
    write(tmp_path / "some.lmdb", frames)
    for wanted in ({0, 7, 39}, set(), {12, 99}):
        found = list(iterate(tmp_path / "some.lmdb", wanted))
        assert len(found) == len(wanted & set(range(40)))
        for position, one in zip(sorted(wanted), found, strict=False):
            assert_same(frames[position], one)


def test_arrays_of_another_number_of_atoms_are_refused(tmp_path: Path) -> None:
    """Records of alike frames share all but their numbers: one of another length would not be readable."""
    frame = make_frame(1, 4, periodic=True, virial=True)
    with pytest.raises(ValueError, match="not those of 4 atoms"):
        write(tmp_path / "x.lmdb", [replace(frame, forces=frame.forces[:3])])

"""deepmd-kit's own loader and dpdata read what `frames.store` wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from frames.frame import SYMBOLS, Frame
from frames.store import read, write


def make_frame(seed: int, numbers: list[int], periodic: bool = True, virial: bool = True) -> Frame:
    rng = np.random.default_rng(seed)
    cell = np.eye(3) * 6.0 + rng.normal(0, 0.1, (3, 3))
    return Frame(
        numbers=np.array(numbers),
        coords=rng.uniform(0, 1, (len(numbers), 3)) @ cell,
        cell=cell if periodic else None,
        energy=float(rng.normal(-50, 1)),
        forces=rng.normal(0, 1, (len(numbers), 3)),
        virial=rng.normal(0, 1, (3, 3)) if virial else None,
        source="a/b.out",
        index=seed,
    )


@pytest.fixture
def mixed() -> list[Frame]:
    """Several compositions and sizes; some frames without a virial, some open."""
    frames = [make_frame(i, [14] * 8) for i in range(6)]
    frames += [make_frame(10 + i, [6, 14, 6, 14], virial=False) for i in range(6)]
    frames += [make_frame(20 + i, [8, 1, 1, 8], periodic=i % 2 == 0) for i in range(6)]
    return frames


def test_deepmd_loader_gives_the_same_numbers(mixed: list[Frame], tmp_path: Path) -> None:
    from deepmd.dpmodel.utils.lmdb_data import LmdbDataReader

    path = tmp_path / "mixed.lmdb"
    write(path, mixed)
    reader = LmdbDataReader(str(path), list(SYMBOLS), batch_size=1)
    assert len(reader) == len(mixed)
    for index, frame in enumerate(mixed):
        loaded = reader[index]
        np.testing.assert_array_equal(loaded["atype"], frame.numbers - 1)
        np.testing.assert_allclose(loaded["coord"].reshape(-1, 3), frame.coords, rtol=1e-6)
        np.testing.assert_allclose(loaded["force"].reshape(-1, 3), frame.forces, rtol=1e-6)
        assert loaded["energy"].item() == pytest.approx(frame.energy, rel=1e-12)
        assert ("virial" in loaded) == (frame.virial is not None)
        box = loaded["box"].reshape(3, 3)
        if frame.cell is not None:
            np.testing.assert_allclose(box, frame.cell, rtol=1e-6)
        else:
            assert (np.diag(box) >= np.ptp(frame.coords, axis=0) + 50).all()
    reader.close()
    assert read(path)[-1].cell is None


def test_a_wholly_open_dataset_has_no_box(tmp_path: Path) -> None:
    from deepmd.dpmodel.utils.lmdb_data import LmdbDataReader

    write(tmp_path / "open.lmdb", [make_frame(i, [8, 1, 1], periodic=False) for i in range(3)])
    reader = LmdbDataReader(str(tmp_path / "open.lmdb"), list(SYMBOLS), batch_size=1)
    assert "box" not in reader[0]
    reader.close()


def test_dpdata_reads_every_composition(mixed: list[Frame], tmp_path: Path) -> None:
    import dpdata

    write(tmp_path / "mixed.lmdb", mixed[:12])
    systems = dpdata.MultiSystems.from_file(str(tmp_path / "mixed.lmdb"), fmt="deepmd/lmdb")
    assert systems.get_nframes() == 12
    assert {system.formula for system in systems} == {"Si2C2", "Si8C0"}


def test_deepmd_trains_on_it(mixed: list[Frame], tmp_path: Path) -> None:
    """Three steps of a tiny network on a file of several compositions, open frames and missing virials."""
    write(tmp_path / "train.lmdb", mixed)
    write(tmp_path / "held-out.lmdb", mixed[::4])
    descriptor = {"type": "se_atten", "sel": 12, "rcut": 4.0, "rcut_smth": 3.0, "neuron": [4, 8], "attn_layer": 0}
    recipe = {
        "model": {"type_map": list(SYMBOLS), "descriptor": descriptor, "fitting_net": {"neuron": [8, 8]}},
        "learning_rate": {"type": "exp", "start_lr": 1e-3, "stop_lr": 1e-4},
        "loss": {"type": "ener", "start_pref_v": 0.1, "limit_pref_v": 0.1},
        "training": {
            "training_data": {"systems": "train.lmdb", "batch_size": "auto:16"},
            "validation_data": {"systems": "held-out.lmdb", "batch_size": 1},
            "numb_steps": 3,
            "disp_freq": 1,
            "save_freq": 100,
        },
    }
    (tmp_path / "input.json").write_text(json.dumps(recipe))
    threads = {"OMP_NUM_THREADS": "1", "DP_INTRA_OP_PARALLELISM_THREADS": "1", "DP_INTER_OP_PARALLELISM_THREADS": "1"}
    command = [sys.executable, "-m", "deepmd", "--pt", "train", "input.json", "--skip-neighbor-stat"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | threads, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = np.atleast_2d(np.loadtxt(tmp_path / "lcurve.out"))
    assert rows[-1, 0] == 3
    assert np.isfinite(rows[:, 1:7]).all()

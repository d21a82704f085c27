"""The per-frame table: every frame, every rule with unit and threshold, in CSV and Parquet alike."""

import csv
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from contracts.artifacts import FrameVerdict
from frames.frame import Frame
from metric.domain.records import Records
from metric.domain.survey import Survey, survey
from metric.domain.table import Table, by_position, table
from metric.settings import MetricSettings
from metric.tables import write_tables

LIMITS = MetricSettings(blobs_url="file:///unused").limits()


def frame(number: int, **changes: object) -> Frame:
    coords = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 3.35]])
    forces = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    plain = Frame(np.array([14, 14]), coords, 9 * np.eye(3), -7.0, forces, None, "run/数据 1.out", number)
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture
def found() -> Survey:
    loud = np.array([[0.0, 0.0, 30.0], [0.0, 0.0, -30.0]])
    skewed = np.eye(3)
    skewed[0, 1] = 3e-2
    frames = [
        frame(0),
        frame(1, forces=2 * loud, converged=True),
        frame(2, forces=loud, known=True),
        frame(3, virial=skewed, converged=False, source="=cmd|' /C calc'!A0"),
        frame(4, source='@a,"b"\n'),
    ]
    tagged = [("train" if k < 3 else "held-out", k % 3, one) for k, one in enumerate(frames)]
    return survey(tagged, LIMITS)  # type: ignore[arg-type]


def made(found: Survey) -> Table:
    verdicts = (
        FrameVerdict(
            split="train",
            index=0,
            verdict="covered",
            covered=True,
            max_force_error_ev_per_angstrom=0.125,
            energy_error_mev_per_atom=-2.5,
            descriptor_distance=1.5,
        ),
        FrameVerdict(split="train", index=1, verdict="failed"),
        FrameVerdict(split="train", index=2, verdict="suspect", covered=False, max_force_error_ev_per_angstrom=0.5),
    )
    return table(found, by_position(found, verdicts, 0.25, "silicon"))


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_has_all_that_was_measured_and_decided(found: Survey, tmp_path: Path) -> None:
    files = write_tables(made(found), tmp_path, {"dataset": "d/1"})
    rows = read_csv(files["frames.csv"])
    assert [row["verdict"] for row in rows] == ["covered", "failed", "suspect", "failed", "not-sampled"]
    first = rows[0]
    assert (first["split"], first["index"], first["source"], first["frame"]) == ("train", "0", "run/数据 1.out", "0")
    assert (first["formula"], first["atoms"], first["energy_ev"]) == ("Si2", "2", "-7.0")
    assert (first["covered"], first["nearest_branch"], first["covered_up_to_ev_per_angstrom"]) == (
        "true",
        "silicon",
        "0.25",
    )
    assert first["max_force_error_ev_per_angstrom"] == "0.125"
    assert first["energy_error_mev_per_atom"] == "-2.5"
    assert first["descriptor_distance"] == "1.5"
    assert [row["force_cap_level"] for row in rows] == ["pass", "fail", "warn", "pass", "pass"]
    assert [row["force_cap_ev_per_angstrom"] for row in rows] == ["1.0", "60.0", "30.0", "1.0", "1.0"]
    assert {
        (row["force_cap_warns_above_ev_per_angstrom"], row["force_cap_fails_above_ev_per_angstrom"]) for row in rows
    } == {("20.0", "50.0")}
    assert [row["virial_symmetry_level"] for row in rows] == ["", "", "", "fail", ""]
    assert [row["scf_converged_level"] for row in rows] == ["unknown", "pass", "unknown", "fail", "unknown"]
    assert [row["scf_converged"] for row in rows] == ["", "true", "", "false", ""]
    assert [row["duplicates_level"] for row in rows] == ["pass", "pass", "warn", "pass", "pass"]
    assert {row["covered"] for row in rows[3:]} == {""} == {row["nearest_branch"] for row in rows[3:]}


def test_every_rule_has_value_level_and_thresholds(found: Survey) -> None:
    names = [column.name for column in made(found).columns]
    assert len(set(names)) == len(names)
    for rule in ("force_cap", "min_distance", "net_force", "energy_outlier", "virial_symmetry"):
        columns = [name for name in names if name.startswith(rule)]
        assert f"{rule}_level" in columns
        assert sum("_warns_" in name for name in columns) == 1
        assert sum("_fails_" in name for name in columns) == 1
    assert {"scf_converged_level", "duplicates_level"} <= set(names)


def test_no_cell_of_the_csv_is_a_formula_and_the_path_survives(found: Survey, tmp_path: Path) -> None:
    files = write_tables(made(found), tmp_path, {})
    rows = read_csv(files["frames.csv"])
    assert [row["source"] for row in rows[3:]] == ["'=cmd|' /C calc'!A0", '\'@a,"b"\n']
    text = files["frames.csv"].read_bytes()
    assert text.startswith(b"split,index,source,frame,")
    assert text.count(b"\r\n") == 6
    assert pq.read_table(files["frames.parquet"])["source"].to_pylist()[3:] == ["=cmd|' /C calc'!A0", '@a,"b"\n']


def test_parquet_has_types_units_and_the_same_values(found: Survey, tmp_path: Path) -> None:
    files = write_tables(made(found), tmp_path, {"dataset": "d/1", "model_version": "1.2"})
    read = pq.read_table(files["frames.parquet"])
    assert read.schema.metadata[b"model_version"] == b"1.2"
    field = read.schema.field("max_force_error_ev_per_angstrom")
    assert field.metadata[b"unit"] == "eV/Å".encode()
    assert field.metadata[b"description"]
    assert str(read.schema.field("index").type) == "int64"
    assert read["covered"].to_pylist() == [True, None, False, None, None]
    for row, told in zip(read.to_pylist(), read_csv(files["frames.csv"]), strict=True):
        for name, value in row.items():
            if isinstance(value, float):
                assert float(told[name]) == value
            elif value is None:
                assert told[name] == ""


def test_memory_does_not_grow_with_the_table(tmp_path: Path) -> None:
    def most(frames: int) -> int:
        made = table(alike(frames), by_position(alike(frames), (), None, None))
        tracemalloc.start()
        files = write_tables(made, tmp_path, {})
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert pq.read_metadata(files["frames.parquet"]).num_rows == frames
        return peak

    # A block or two of rows are in memory at a time.
    assert most(50_000) < 1.3 * most(20_000)


def alike(frames: int) -> Survey:
    """A survey of so many frames, all the same but for their index."""
    one = survey([("train", 0, frame(0))], LIMITS)
    rows = np.repeat(one.records.rows, frames)
    rows["index"] = np.arange(frames)
    records = Records(rows, one.records.sources, one.records.formulas, one.records.counts)
    levels = {rule: np.repeat(found, frames) for rule, found in one.levels.items()}
    return Survey(records, LIMITS, levels, np.repeat(one.worst, frames), one.checks)


def test_tables_are_written_without_pandas_which_can_be_imported_all_the_same(tmp_path: Path) -> None:
    """Loading it takes a second of a metric run's cold start."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom metric.domain.table import Column\n"
        "from metric.tables import write_tables\n"
        "kinds = {'text': ['a', None], 'whole': [1, None], 'number': [0.5, None], 'truth': [True, None]}\n"
        "class Small:\n"
        "    columns = [Column(kind, kind, 'eV', '') for kind in kinds]\n"
        "    def blocks(self): yield list(kinds.values())\n"
        "write_tables(Small(), Path(sys.argv[1]), {})\n"
        "assert 'pandas' not in sys.modules\n"
        "import pandas\nassert pandas.DataFrame({'a': [1]}).shape == (1, 1)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    assert pq.read_table(tmp_path / "frames.parquet").to_pylist()[0] == {
        "text": "a",
        "whole": 1,
        "number": 0.5,
        "truth": True,
    }

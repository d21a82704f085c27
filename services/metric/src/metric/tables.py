"""The per-frame table as files: CSV for people and spreadsheets, Parquet for programs."""

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from metric.domain.table import Cell, Column, Table

CSV = "frames.csv"
PARQUET = "frames.parquet"
_TYPES = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}
# A spreadsheet takes a cell that begins so for a formula, and a path may come from anybody.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_tables(table: Table, folder: Path, about: dict[str, str]) -> dict[str, Path]:
    """File name → path in `folder`. `about` goes into the Parquet file's metadata. Memory holds a block of rows."""
    _without_pandas()
    files = {CSV: folder / CSV, PARQUET: folder / PARQUET}
    schema = pa.schema([_field(column) for column in table.columns], metadata=about)
    # RFC 4180: lines end with CR LF, quotes double.
    with (
        files[CSV].open("w", encoding="utf-8", errors="backslashreplace", newline="") as text,
        pq.ParquetWriter(files[PARQUET], schema, compression="zstd") as parquet,
    ):
        writer = csv.writer(text)
        writer.writerow(column.name for column in table.columns)
        for block in table.blocks():
            parquet.write_batch(
                pa.record_batch(
                    [pa.array(cells, type=field.type) for cells, field in zip(block, schema, strict=True)],
                    schema=schema,
                )
            )
            told = [_csv(cells, column) for cells, column in zip(block, table.columns, strict=True)]
            writer.writerows(zip(*told, strict=True))
    return files


def _without_pandas() -> None:
    """pyarrow imports pandas for its first array, to know its types again: seconds, for types that are not used here.

    It asks once and remembers that there is none; whatever needs pandas itself imports it as before.
    """
    if "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([], type=pa.null())
    finally:
        sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """Looks for modules before all others, and says that there is no pandas."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """Raises ModuleNotFoundError."""
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def _field(column: Column) -> pa.Field:
    metadata = {"unit": column.unit, "description": column.description}
    return pa.field(column.name, _TYPES[column.kind], metadata={key: value for key, value in metadata.items() if value})


def _csv(cells: list[Cell], column: Column) -> Sequence[Cell]:
    """A column's cells as CSV has them; numbers as they are."""
    if column.kind == "truth":
        return [None if cell is None else "true" if cell else "false" for cell in cells]
    if column.kind == "text":
        return [f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell for cell in cells]
    return cells

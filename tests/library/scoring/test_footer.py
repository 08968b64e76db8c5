"""Files of Parquet that are joined without being decoded."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mlapi.scoring.assemble import assemble
from mlapi.storage import Storage


def table(start: int, count: int) -> pa.Table:
    """Return rows of many types, some of them missing."""
    numbers = range(start, start + count)
    columns = {
        "number": pa.array(numbers, pa.int64()),
        "value": pa.array([None if number % 3 else number / 7 for number in numbers], pa.float32()),
        "word": pa.array([f"word {number % 5}" for number in numbers]),
        "flag": pa.array([number % 2 == 0 for number in numbers]),
        "moment": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * count),
        "list": pa.array([[number, None] for number in numbers]),
        "nothing": pa.nulls(count),
    }
    return pa.table(columns)


def joined(tmp_path: Path, tables: Sequence[pa.Table], **options: Any) -> bytes:
    storage = Storage(tmp_path.as_uri())
    for number, one in enumerate(tables):
        parquet.write_table(one, tmp_path / f"{number}.parquet", **options)
    paths = [f"{number}.parquet" for number in range(len(tables))]
    return b"".join(assemble(storage, paths, "parquet", [], lambda: None))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"row_group_size": 7},
        {"write_page_index": True, "compression": "zstd"},
        {"use_dictionary": False, "data_page_version": "2.0", "write_statistics": False},
    ],
)
def test_files_that_are_joined_hold_all_their_rows_in_order(tmp_path: Path, options: dict[str, Any]) -> None:
    content = joined(tmp_path, [table(0, 200), table(200, 1), table(201, 99)], **options)
    file = parquet.ParquetFile(io.BytesIO(content))
    assert file.read().equals(table(0, 300))
    assert file.schema_arrow == table(0, 1).schema
    places = [file.metadata.row_group(group).column(0).data_page_offset for group in range(file.num_row_groups)]
    assert places == sorted(set(places))
    assert file.read_row_group(file.num_row_groups - 1).column("number")[-1].as_py() == 299


def test_one_file_stays_what_it_was(tmp_path: Path) -> None:
    content = joined(tmp_path, [table(0, 200)])
    assert parquet.read_table(io.BytesIO(content)).equals(table(0, 200))
    assert len(content) == pytest.approx((tmp_path / "0.parquet").stat().st_size, abs=10)


def test_files_with_other_columns_are_not_joined(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different columns"):
        joined(tmp_path, [table(0, 2), table(2, 2).drop_columns(["word"])])

"""Files of Parquet that are damaged, hold what a result cannot, or take much more memory than they are long."""

import io
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from mlapi.errors import ScoringFailed
from mlapi.scoring import parquet as bounded
from mlapi.storage import Storage

Score = Callable[..., dict[str, Any]]

ZSTD = b"\x28\xb5\x2f\xfd"
"""What each compressed page begins with."""


def table_of(row: dict[str, Any], cells: pa.Array) -> pa.Table:
    """Return good rows that have another column."""
    return pa.Table.from_pylist([row] * len(cells)).append_column("x", cells)


def tables(path: Path) -> list[pa.Table]:
    groups = range(parquet.ParquetFile(path).num_row_groups)
    return list(bounded.tables(Storage(path.parent.as_uri()), path.name, groups))


@pytest.mark.parametrize("place", ["page", "block", "footer", "end"])
def test_a_damaged_file_fails_and_says_so(score: Score, row: dict[str, Any], tmp_path: Path, place: str) -> None:
    file = io.BytesIO()
    cells = pa.array([str(n * n) for n in range(9999)])
    parquet.write_table(table_of(row, cells), file, compression="zstd", use_dictionary=False)
    content = bytearray(file.getvalue())
    footer = int.from_bytes(content[-8:-4], "little") + 8
    places = {"page": 4, "block": content.index(ZSTD), "footer": len(content) - footer, "end": len(content) - 4}
    content[places[place] : places[place] + 4] = b"\xff" * 4
    (tmp_path / "in.parquet").write_bytes(content)
    with pytest.raises(ScoringFailed, match="is not Parquet that can be read"):
        score(tmp_path / "in.parquet", tmp_path / "out.csv")


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1], pa.timestamp("ns")),
        pa.array([1], pa.time64("ns")),
        pa.array([4_000_000], pa.int32()).cast(pa.date32()),
        pa.array([b"\xff"]),
        pa.array([{"a": b"\xff"}]),
    ],
    ids=lambda cells: str(cells.type),
)
def test_a_column_that_json_has_no_place_for_is_named(
    score: Score, row: dict[str, Any], tmp_path: Path, cells: pa.Array
) -> None:
    parquet.write_table(table_of(row, cells), tmp_path / "in.parquet")
    with pytest.raises(ScoringFailed, match=r"The column x, which holds .* cannot be written as jsonl"):
        score(tmp_path / "in.parquet", tmp_path / "out.jsonl")
    assert score(tmp_path / "in.parquet", tmp_path / "out.parquet")["rows"] == 1


def test_a_column_that_only_some_rows_spoil_is_named_and_a_good_one_is_not(
    score: Score, row: dict[str, Any], tmp_path: Path
) -> None:
    cells = pa.array([date(2026, 1, 1)] * 5)
    table = table_of(row, cells).append_column("y", pa.array([b"a"] * 4 + [b"\xff"]))
    parquet.write_table(table, tmp_path / "in.parquet")
    for form in ("csv", "jsonl"):
        with pytest.raises(ScoringFailed, match="The column y, which holds binary"):
            score(tmp_path / "in.parquet", tmp_path / f"out.{form}")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_text_that_is_not_utf_8_is_refused(score: Score, row: dict[str, Any], tmp_path: Path, form: str) -> None:
    parquet.write_table(table_of(row, pa.array([b"a", b"\xff"]).view(pa.string())), tmp_path / "in.parquet")
    with pytest.raises(ScoringFailed, match="The column x holds what is not UTF-8 text"):
        score(tmp_path / "in.parquet", tmp_path / f"out.{form}")


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())], ids=["text", "dictionary"])
def test_few_bytes_that_stand_for_many_are_read_in_pieces(tmp_path: Path, kind: pa.DataType) -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array(["a" * 10_000]))
    parquet.write_table(pa.table({"x": words.cast(kind)}), tmp_path / "in.parquet")
    assert (tmp_path / "in.parquet").stat().st_size < 10_000
    found = tables(tmp_path / "in.parquet")
    assert sum(map(len, found)) == 10_000
    assert max(table.nbytes for table in found) < 2 * bounded.BYTES


def test_rows_that_take_too_much_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 2**20)
    parquet.write_table(pa.table({"x": ["a" * 10_000] * 1000}), tmp_path / "in.parquet")
    with pytest.raises(ScoringFailed, match="1000 rows of the file take more than 1 MiB"):
        tables(tmp_path / "in.parquet")


def test_long_rows_are_read_few_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "MOST_BYTES", 2 * bounded.FEW_BYTES)
    long = pa.table({"x": [f"{number:0100000}" for number in range(200)]})
    parquet.write_table(long, tmp_path / "in.parquet", use_dictionary=False)
    assert pa.concat_tables(tables(tmp_path / "in.parquet")).equals(long)

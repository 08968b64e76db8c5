"""Writing what came of a part, in the format that the result is to have: parts are joined as they are."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import csv, parquet
from pydantic_core import from_json, to_json

from ..ml.features import Features
from ..ml.table import to_number
from .formats import Format
from .read import AS_JSON

FORMULA = "^[=+\\-@\t\r＝＋－＠]"  # noqa: RUF001 - some programs take these for the same
"""What begins a cell that spreadsheets would run as a formula, unless it is a number."""
ODD = np.isin(np.arange(256), [*b"=+-@\t\r", 0xEF])
"""Bytes that such a cell may begin with, in UTF-8."""
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""What is a number, as a regular expression."""
SPECIAL = '[",\r\n]'
"""Characters for which a cell of CSV is put into quotes."""

AS_THEY_ARE = csv.WriteOptions(include_header=False, quoting_style="none", batch_size=8192)
"""Writes CSV without quotes, and refuses cells that need them."""

Write = Callable[[pa.Table], None]
"""Writes some rows."""


@contextmanager
def writing(features: type[Features], file: IO[bytes], form: Format, first: pa.Table) -> Iterator[Write]:
    """Write tables with these features that are like the first. CSV gets no header: only the result has one."""
    if form == "csv":
        yield lambda table: _put(file, csv_lines(_plain(table).columns))
    elif form == "jsonl":
        yield lambda table: _put(file, _json_lines(features, table))
    else:
        schema = _typed(features, _plain(first)).schema
        words = [field.name for field in schema if pa.types.is_string(field.type)]
        with parquet.ParquetWriter(file, schema, use_dictionary=words) as writer:
            yield lambda table: writer.write_table(_typed(features, _plain(table)))


def unwritable(form: Format, table: pa.Table) -> pa.Field | None:
    """Return the first column that a format has no place for; None if there is none."""
    for field in table.schema:
        alone = table.select([field.name])
        try:
            if form == "csv":
                csv_lines(alone.columns)
            elif form == "jsonl":
                to_json(alone.to_pylist(), inf_nan_mode="null")
            else:
                parquet.write_table(alone, pa.BufferOutputStream())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, ValueError, OverflowError):
            return field
    return None


def _put(file: IO[bytes], content: bytes) -> None:
    file.write(content)


def csv_lines(columns: Sequence[Any]) -> bytes:
    """Join columns of cells to the lines of a CSV file; none of them has a name of its own."""
    cells = [_cells(column) for column in columns]
    lines = pa.BufferOutputStream()
    try:
        csv.write_csv(pa.table(cells, [str(place) for place in range(len(cells))]), lines, AS_THEY_ARE)
    except pa.ArrowInvalid:  # a cell needs quotes
        return _quoted_lines(cells)
    return bytes(lines.getvalue())


def _cells(column: Any) -> Any:
    """Return what is written of a column: numbers, or texts that are harmless."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column
    texts = pc.cast(column, pa.string())
    return _harmless(texts) if _is_text(column.type) else texts


def _quoted_lines(columns: Sequence[Any]) -> bytes:
    """Join columns of cells where some need quotes, and those alone get them."""
    cells = [_quoted(pc.cast(column, pa.string())) for column in columns]
    lines = pc.binary_join_element_wise(*cells, ",", null_handling="replace", null_replacement="")
    joined = pc.binary_join_element_wise(lines, "", "\n")
    chunks = joined.chunks if isinstance(joined, pa.ChunkedArray) else [joined]
    return b"".join(_bytes(chunk) for chunk in chunks)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _bytes(texts: pa.StringArray) -> bytes:
    """Return texts one after the other, as the array holds them."""
    return bytes(memoryview(texts.buffers()[2])[: pc.sum(pc.binary_length(texts)).as_py()]) if len(texts) else b""


def _plain(table: pa.Table) -> pa.Table:
    """Return cells that were kept as JSON as the texts that are shown of them."""
    for place, field in enumerate(table.schema):
        if field.metadata == AS_JSON:
            texts = [_shown(cell) for cell in table.column(place).to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    return table


def _shown(cell: str | None) -> str | None:
    """Return a JSON string without its quotes, anything else as JSON."""
    value = None if cell is None else from_json(cell)
    return value if isinstance(value, str) else cell


def _harmless(cells: Any) -> Any:
    """Keep spreadsheets from running cells as formulas: an apostrophe before them shows as nothing."""
    chunks = cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]
    if not any(map(_begins_oddly, chunks)):
        return cells
    formula = pc.match_substring_regex(cells, FORMULA)
    formula = pc.and_not(formula, pc.match_substring_regex(cells, NUMBER))
    return pc.if_else(formula, pc.binary_join_element_wise("'", cells, ""), cells)


def _begins_oddly(texts: pa.StringArray) -> bool:
    """Tell whether a text may be a formula, by its first byte: ten times as fast as an expression can."""
    if not len(texts):
        return False
    _, places, letters = texts.buffers()
    ends = np.frombuffer(places, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    starts = ends[:-1][ends[:-1] < ends[1:]]
    return len(starts) > 0 and bool(ODD[np.frombuffer(letters, np.uint8)[starts]].any())


def _quoted(cells: Any) -> Any:
    special = pc.match_substring_regex(cells, SPECIAL)
    if not pc.any(special).as_py():
        return cells
    escaped = pc.replace_substring(cells, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', escaped, '"', ""), cells)


def _json_lines(features: type[Features], table: pa.Table) -> bytes:
    """Return an object a line."""
    names = [field.name for field in table.schema if field.metadata == AS_JSON]
    rows = _typed(features, table).to_pylist()
    for row in rows:
        row.update({name: from_json(row[name]) for name in names if row[name] is not None})
    return b"".join(to_json(row, inf_nan_mode="null") + b"\n" for row in rows)


def _typed(features: type[Features], table: pa.Table) -> pa.Table:
    """Give columns of CSV that hold a feature's numbers their type."""
    for column in features.columns():
        place = table.schema.get_field_index(column.name)
        if column.kind == "number" and pa.types.is_string(table.schema.field(place).type):
            table = table.set_column(place, column.name, _numbers(table.column(place)))
    return table


def _numbers(cells: pa.ChunkedArray) -> Any:
    cells = pc.if_else(pc.equal(cells, ""), None, cells)
    try:
        return pc.cast(cells, pa.float64())
    except pa.ArrowInvalid:
        return pa.chunked_array(
            [[None if cell is None else to_number(cell) for cell in cells.to_pylist()]], pa.float64()
        )

"""Putting parts together: the result in one file, and the list of rejected rows."""

from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import parquet
from pydantic_core import from_json, to_json

from ...ml import Model
from ...ml.table import to_number
from ...storage import Storage
from .formats import Format
from .read import AS_JSON

FORMULA = "^[=+\\-@\t\r＝＋－＠]"  # noqa: RUF001 - some programs take these for the same
"""What begins a cell that spreadsheets would run as a formula, unless it is a number."""
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
SPECIAL = '[",\r\n]'
"""Characters for which a cell of CSV is put into quotes."""

Check = Callable[[], None]


def tables_of(storage: Storage, folder: str, parts: Sequence[int], check: Check) -> Iterator[pa.Table]:
    """Read what came of parts; `check` is called in between and may raise to end it."""
    for number in parts:
        check()
        with storage.reader(f"{folder}/parts/{number:06}") as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                yield pa.Table.from_batches([batch])


def assemble(tables: Iterator[pa.Table], form: Format, target: Storage, path: str) -> None:
    """Write one file from tables of one schema."""
    with target.writer(path) as file:
        {"csv": _write_csv, "jsonl": _write_lines, "parquet": _write_parquet}[form](file, tables)


def assemble_rejects(storage: Storage, folder: str, most: int, to: tuple[Storage, str]) -> None:
    """Write the list of rejected rows, as CSV with their line and the reason."""
    target, path = to
    with target.writer(path) as file:
        file.write(b"line,reason\n")
        for name in storage.paths(f"{folder}/rejects"):
            some = storage.read(f"{folder}/rejects/{name}").splitlines(keepends=True)[:most]
            most -= len(some)
            file.write(b"".join(some))


def _write_csv(file: IO[bytes], tables: Iterator[pa.Table]) -> None:
    for number, table in enumerate(tables):
        if number == 0:
            file.write(_rows([pa.array([name]) for name in table.schema.names]))
        file.write(_rows(_plain(table).columns))


def _rows(columns: Sequence[Any]) -> bytes:
    """Join columns of cells to the lines of a CSV file."""
    cells = [
        _quoted(_harmless(pc.cast(column, pa.string()))) if _is_text(column.type) else pc.cast(column, pa.string())
        for column in columns
    ]
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
    formula = pc.match_substring_regex(cells, FORMULA)
    if not pc.any(formula).as_py():
        return cells
    formula = pc.and_not(formula, pc.match_substring_regex(cells, NUMBER))
    return pc.if_else(formula, pc.binary_join_element_wise("'", cells, ""), cells)


def _quoted(cells: Any) -> Any:
    special = pc.match_substring_regex(cells, SPECIAL)
    if not pc.any(special).as_py():
        return cells
    escaped = pc.replace_substring(cells, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', escaped, '"', ""), cells)


def _write_lines(file: IO[bytes], tables: Iterator[pa.Table]) -> None:
    for table in tables:
        names = [field.name for field in table.schema if field.metadata == AS_JSON]
        rows = _typed(table).to_pylist()
        for row in rows:
            row.update({name: from_json(row[name]) for name in names if row[name] is not None})
        file.write(b"".join(to_json(row, inf_nan_mode="null") + b"\n" for row in rows))


def _write_parquet(file: IO[bytes], tables: Iterator[pa.Table]) -> None:
    first = _typed(_plain(next(tables)))
    words = [field.name for field in first.schema if pa.types.is_string(field.type)]
    with parquet.ParquetWriter(file, first.schema, use_dictionary=words) as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(_typed(_plain(table)))


def _typed(table: pa.Table) -> pa.Table:
    """Give columns of CSV that hold a feature's numbers their type."""
    for column in Model.Features.columns():
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

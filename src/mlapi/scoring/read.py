"""Reading a part: its rows as a table, each with its line, and those that are no rows at all with what is wrong."""

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv
from pydantic_core import from_json

from ..errors import ScoringFailed
from ..ml.features import Features
from ..storage import Storage
from .cut import Part
from .formats import Format
from .parquet import tables
from .rows import row_lines

CELLS = 2_000_000
"""Cells of JSON Lines that are held at once: a short row takes one for each column, too."""

AS_JSON = {b"json": b"1"}
"""Marks a column of JSON Lines that is no feature: each cell is kept as the JSON that it was."""

LARGEST = float(np.finfo(np.float32).max)
"""The largest number that a model takes."""

Reject = tuple[int, str]
"""The line of a row, and why it cannot be scored."""


class Rows(NamedTuple):
    """Some rows of a file."""

    table: pa.Table
    """Their cells as they came: those of CSV are texts."""
    lines: NDArray[np.int64]
    """The line of each, or its number in Parquet."""
    rejects: list[Reject]
    """What looked like a row and is none."""


def read(  # noqa: PLR0913, PLR0917 - the file, and what is wanted of it
    features: type[Features], storage: Storage, path: str, form: Format, columns: Sequence[str], part: Part
) -> Iterator[Rows]:
    """Read a part of a file with these features, in as many pieces as memory demands."""
    if form == "parquet":
        yield from _parquet(storage, path, part)
        return
    content = storage.read(path, part.start, part.end)
    if form == "csv":
        yield _csv(content, columns, part.first)
    else:
        yield from _json(features, content, columns, part.first)


def _csv(content: bytes, columns: Sequence[str], first: int) -> Rows:
    ragged: list[Any] = []

    def skip(row: Any) -> str:
        ragged.append((row.number, row.actual_columns))
        return "skip"

    table = csv.read_csv(
        io.BytesIO(content),
        csv.ReadOptions(use_threads=False, column_names=columns, block_size=len(content) + 1),
        csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
        csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.binary()), null_values=[]),
    )
    lines = row_lines(content, first)
    if len(lines) != len(table) + len(ragged):  # or rows would get the lines of others
        raise ScoringFailed(f"Line {first}: from here on, the quoting is not that of CSV.")
    rejects = [(int(lines[number - 1]), f"has {cells} cells, the header {len(columns)}") for number, cells in ragged]
    lines = np.delete(lines, [number - 1 for number, _ in ragged])
    return _texts(Rows(table, lines, rejects), suspicious=b"\0" in content)


def _texts(rows: Rows, *, suspicious: bool) -> Rows:
    """Turn the bytes of cells into texts, and reject the rows where that cannot be done."""
    if not suspicious:
        try:
            return rows._replace(
                table=rows.table.cast(pa.schema([(name, pa.string()) for name in rows.table.schema.names]))
            )
        except pa.ArrowInvalid:
            pass
    good = np.array(
        [all(map(_is_text, cells)) for cells in zip(*rows.table.to_pydict().values(), strict=True)], dtype=bool
    )
    rejects = rows.rejects + [(int(line), "is not UTF-8 text") for line in rows.lines[~good]]
    return _texts(Rows(rows.table.filter(pa.array(good)), rows.lines[good], rejects), suspicious=False)


def _is_text(cell: bytes) -> bool:
    try:
        return "\0" not in cell.decode()
    except UnicodeDecodeError:
        return False


def parse(line: bytes) -> dict[str, Any] | None:
    """Read a line of JSON; None if it is no object."""
    try:
        row = from_json(line, allow_inf_nan=False)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _json(features: type[Features], content: bytes, columns: Sequence[str], first: int) -> Iterator[Rows]:
    known, rejects, lines, kept = set(columns), [], [], []
    for line, text in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), first):
        if not text.strip():
            continue
        row = parse(text)
        problem = "is not a JSON object" if row is None else _wrong(features, row, known)
        if problem or row is None:
            rejects.append((line, problem))
            continue
        lines.append(line)
        kept.append(row)
        if len(kept) * len(columns) >= CELLS:
            yield Rows(_json_table(features, columns, kept), np.array(lines, dtype=np.int64), rejects)
            rejects, lines, kept = [], [], []
    yield Rows(_json_table(features, columns, kept), np.array(lines, dtype=np.int64), rejects)


def _wrong(features: type[Features], row: dict[str, Any], known: set[str]) -> str:
    """Say what is wrong with an object; nothing if it can be put into the table."""
    if not row.keys() <= known:
        return "has a member that the first row has not"
    for column in features.columns():
        value = row.get(column.name)
        if value is None and not column.optional:
            return f"{column.name}: Field required"
        wanted = (int, float) if column.kind == "number" else str
        if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
            return f"{column.name}: must be a {'number' if column.kind == 'number' else 'string'}"
        if isinstance(value, int) and abs(value) > LARGEST:
            return f"{column.name}: is too large"
    return ""


def _json_table(features: type[Features], columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> pa.Table:
    kinds = {column.name: pa.float64() if column.kind == "number" else pa.string() for column in features.columns()}
    fields, arrays = [], []
    for name in columns:
        cells = [row.get(name) for row in rows]
        if name in kinds:
            fields.append(pa.field(name, kinds[name]))
            arrays.append(_array(cells, kinds[name]))
            continue
        texts = [None if cell is None else json.dumps(cell, ensure_ascii=False) for cell in cells]
        fields.append(pa.field(name, pa.string(), metadata=AS_JSON))
        arrays.append(pa.array(texts, pa.string()))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _array(cells: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(cells, kind)
    except pa.ArrowInvalid:  # an integer that no float64 is equal to: the API takes the nearest
        return pa.array([None if cell is None else float(cell) for cell in cells], kind)


def _parquet(storage: Storage, path: str, part: Part) -> Iterator[Rows]:
    first = part.first
    for table in tables(storage, path, range(part.start, part.end)):
        yield Rows(table, np.arange(first, first + len(table)), [])
        first += len(table)

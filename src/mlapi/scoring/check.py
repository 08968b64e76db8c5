"""Checking rows against the features, a column at a time. What is not surely good is looked at again, row by row.

So a row is judged as one that is sent to the API, word for word, and a good file at the speed of arrays.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute as pc
from pydantic import ValidationError

from ..ml.features import Column, Features
from ..ml.table import TableError, read_row
from .read import Reject, Rows

NUMBER = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""Cells that are read as numbers at once."""


class Checked(NamedTuple):
    """Rows that are good."""

    table: pa.Table
    """Their cells as they came."""
    lines: NDArray[np.int64]
    """The line of each."""
    X: NDArray[Any]
    """What the model takes, as `Features.matrix` returns it."""
    rejects: list[Reject]
    """Those that are not good."""


def check(features: type[Features], rows: Rows) -> Checked:
    """Keep the good rows, and say what is wrong with the others."""
    columns = features.columns()
    read = [_read(column, rows.table.column(column.name)) for column in columns]
    good = np.logical_and.reduce([fine for _, fine in read])
    rejects = list(rows.rejects)
    rescued: dict[int, tuple[Any, ...]] = {}
    for place in map(int, np.flatnonzero(~good)):
        try:
            rescued[place] = _row(features, rows, place)
            good[place] = True
        except TableError as error:
            rejects.append((error.line, error.message))
    values = [value for value, _ in read]
    if good.all():
        return Checked(rows.table, rows.lines, _matrix(features, values, rescued, rows.table), rejects)
    kept = rows.table.filter(pa.array(good))
    return Checked(kept, rows.lines[good], _matrix(features, values, rescued, kept, good), rejects)


def _read(column: Column, cells: pa.ChunkedArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a column as the matrix holds it, NaN for missing, and which cells are surely good."""
    if column.kind == "text":
        length = pc.fill_null(pc.utf8_length(cells), -1).to_numpy()
        nul = pc.fill_null(pc.match_substring(cells, "\0"), False).to_numpy()
        return np.zeros(len(cells)), (length >= column.min_length) & (length <= column.max_length) & ~nul
    from_text = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
    if from_text:
        cells = pc.if_else(pc.equal(cells, ""), None, cells)
    missing = cells.is_null().to_numpy()
    if column.kind == "category":
        found = pc.index_in(cells, value_set=pa.array(column.choices, cells.type))
        values = pc.cast(found, pa.float64()).to_numpy()
    else:
        values = _numbers(cells).to_numpy() if from_text else pc.cast(cells, pa.float64(), safe=False).to_numpy()
    return values, (values >= column.low) & (values <= column.high) | (missing & column.optional)


def _numbers(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Read texts as numbers, null where they are none."""
    try:
        return pc.cast(cells, pa.float64())
    except pa.ArrowInvalid:
        return pc.cast(pc.if_else(pc.match_substring_regex(cells, NUMBER), cells, None), pa.float64())


def _row(features: type[Features], rows: Rows, place: int) -> tuple[Any, ...]:
    """Read one row as the API would; raise `TableError` if it is not acceptable."""
    line = int(rows.lines[place])
    cells = [rows.table.column(name)[place].as_py() for name in features.names()]
    if all(pa.types.is_string(rows.table.schema.field(name).type) for name in features.names()):
        return read_row(features, ["" if cell is None else cell for cell in cells], line)
    given = {
        column.name: float(cell) if column.kind == "number" else cell
        for column, cell in zip(features.columns(), cells, strict=True)
        if cell is not None
    }
    try:
        return features.model_validate(given).values()
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise TableError(f"{fault['loc'][0]}: {fault['msg']}", line) from None


def _matrix(
    features: type[Features],
    values: Sequence[NDArray[np.float64]],
    rescued: dict[int, tuple[Any, ...]],
    table: pa.Table,
    good: NDArray[np.bool_] | None = None,
) -> NDArray[Any]:
    """Return what the model takes, straight from the columns unless the model prepares its rows itself.

    Args:
        features: What a row is made of.
        values: Those of each column, as the matrix holds them.
        rescued: Rows that are good at second sight, by their place.
        table: The rows that are good.
        good: Which are; None if all.

    """
    own = features.matrix.__func__ is not Features.matrix.__func__  # type: ignore[attr-defined]
    if own or features.is_text():
        return features.matrix(_values(features, table))
    X = np.empty((len(values[0]), len(values)), np.float32)
    for place, column in enumerate(values):
        X[:, place] = column
    for place, row in rescued.items():
        X[place] = features.matrix([row])[0]
    return X if good is None else X[good]


def _values(features: type[Features], table: pa.Table) -> list[tuple[Any, ...]]:
    """Return rows that are good as the values that `Features.matrix` takes."""
    columns = features.columns()
    if len(columns) == 1:
        return [(text,) for text in table.column(columns[0].name).to_pylist()]
    every = Rows(table, np.arange(len(table)), [])
    return [_row(features, every, place) for place in range(len(table))]

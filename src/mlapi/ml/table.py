"""CSV tables: columns matched by name, every cell checked, every fault named with its line."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

if TYPE_CHECKING:
    from .features import Features


class TableError(ValueError):
    """A table is not what it should be: `message` says how, `line` where (1 is the header)."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.message = message
        self.line = line


def read_rows(file: TextIO, columns: Sequence[str], *, others: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's line number and its cells in the order of `columns`, however the header orders them.

    Args:
        file: A table, opened with `newline=""`.
        columns: What to read.
        others: Whether there may be other columns too, which are passed over.

    Raises:
        TableError: the header lacks a column, has an unknown one or one twice; a row has another number of cells; the
            quoting is broken.

    """
    reader = csv.reader(file, strict=True)
    try:
        header = next(reader, [])
        order = _order(header, columns, others=others)
        for cells in reader:
            if not cells:
                continue  # a blank line, as many programs leave at the end
            if len(cells) != len(header):
                raise TableError(f"has {len(cells)} cells, the header {len(header)}", reader.line_num)
            yield reader.line_num, [cells[i] for i in order]
    except csv.Error as error:
        raise TableError(f"is not valid CSV: {error}", reader.line_num) from error


def _order(header: Sequence[str], columns: Sequence[str], *, others: bool) -> list[int]:
    """Return where each of `columns` stands in the header."""
    names = [name.strip() for name in header]
    names[:1] = [name.removeprefix("\ufeff") for name in names[:1]]
    if len(names) == 1 and ";" in names[0]:
        raise TableError("separate the columns by commas, not by semicolons", 1)
    for name in columns:
        if names.count(name) != 1:
            raise TableError(f"must name the column {name} once, not {names.count(name)} times", 1)
    if len(names) > len(columns) and not others:
        raise TableError(f"has {len(names)} columns; expected are {', '.join(columns)} alone", 1)
    return [names.index(name) for name in columns]


def to_number(cell: str) -> float:
    """Read a cell as a number in decimal notation.

    Raises:
        ValueError: it is not one.

    """
    # float() alone would also take "1_000", "nan", "infinity" and digits of other scripts.
    if not set(cell) <= set("0123456789+-.eE \t"):
        raise ValueError("must be a number")
    try:
        return float(cell)
    except ValueError:
        raise ValueError("must be a number") from None


def read_row(features: "type[Features]", cells: Sequence[str], line: int) -> tuple[Any, ...]:
    """Return the values of a row whose cells are in the order of the features.

    Raises:
        TableError: a cell is not acceptable; the message begins with its column.

    """
    values: dict[str, Any] = {}
    for column, cell in zip(features.columns(), cells, strict=True):
        if not cell and column.optional:
            continue
        if not cell and column.kind != "text":
            raise TableError(f"{column.name}: is missing", line)
        values[column.name] = _read(column.name, to_number, cell, line) if column.kind == "number" else cell
    try:
        return features(**values).values()
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise TableError(f"{fault['loc'][0]}: {fault['msg']}", line) from error


def read_examples(  # noqa: PLR0913 - what to read, and how the file spells it
    path: Path,
    features: "type[Features]",
    target: str,
    read_target: Callable[[str], float],
    *,
    header: Mapping[str, str] | None = None,
    missing: Sequence[str] = (),
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read examples from a UTF-8 CSV file: the features, and a column `target` that `read_target` understands.

    Args:
        path: The file. Columns that are neither a feature nor the target are passed over.
        features: What a row is made of.
        target: Name of the column that holds what is to be predicted.
        read_target: Reads a cell of that column; raises `ValueError`.
        header: What the column of a feature is called, for those called otherwise than the feature.
        missing: What stands for a missing value, beside an empty cell.

    Returns:
        The features as `Features.matrix` returns them, shape (rows, features), and the targets, shape (rows,).

    Raises:
        ValueError: a cell is not acceptable; the message says in which line and column.

    """
    X, y = [], []
    columns = [(header or {}).get(name, name) for name in features.names()]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for line, (*cells, wanted) in read_rows(file, [*columns, target], others=True):
                X.append(read_row(features, ["" if cell in missing else cell for cell in cells], line))
                y.append(_read(target, read_target, wanted, line))
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not UTF-8 text. Spreadsheets call that 'CSV UTF-8' when they save") from None
    if not X:
        raise TableError("holds no rows", 1)
    return features.matrix(X), np.array(y)


def _read(name: str, read: Callable[[str], float], cell: str, line: int) -> float:
    try:
        return read(cell)
    except ValueError as error:
        raise TableError(f"{name}: {error}", line) from None

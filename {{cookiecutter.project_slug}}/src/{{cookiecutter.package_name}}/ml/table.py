"""CSV tables: columns matched by name, every cell checked, every fault named with its line."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

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


def read_rows(file: TextIO, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row's line number and its cells in the order of `columns`, however the header orders them.

    Raises:
        TableError: the header lacks a column, has an unknown one or one twice; a row has another number of cells; the
            quoting is broken.

    """
    reader = csv.reader(file, strict=True)
    try:
        order = _order(next(reader, []), columns)
        for cells in reader:
            if not cells:
                continue  # a blank line, as many programs leave at the end
            if len(cells) != len(columns):
                raise TableError(f"has {len(cells)} cells, the header {len(columns)}", reader.line_num)
            yield reader.line_num, [cells[i] for i in order]
    except csv.Error as error:
        raise TableError(f"is not valid CSV: {error}", reader.line_num) from error


def _order(header: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Return where each of `columns` stands in the header."""
    names = [name.strip() for name in header]
    names[:1] = [name.removeprefix("\ufeff") for name in names[:1]]
    if len(names) == 1 and ";" in names[0]:
        raise TableError("separate the columns by commas, not by semicolons", 1)
    for name in columns:
        if names.count(name) != 1:
            raise TableError(f"must name the column {name} once, not {names.count(name)} times", 1)
    if len(names) > len(columns):
        raise TableError(f"has {len(names)} columns; expected are {', '.join(columns)} alone", 1)
    return [names.index(name) for name in columns]


def to_number(cell: str, name: str, line: int) -> float:
    """Read a cell as a number in decimal notation.

    Raises:
        TableError: it is not one.

    """
    # float() alone would also take "1_000", "nan", "infinity" and digits of other scripts.
    if not set(cell) <= set("0123456789+-.eE \t"):
        raise TableError(f"{name} must be a number", line)
    try:
        return float(cell)
    except ValueError:
        raise TableError(f"{name} must be a number", line) from None


def read_examples(
    path: Path, features: "type[Features]", *, target: str, labels: Sequence[str]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Read labelled examples from a UTF-8 CSV file.

    Returns:
        The features, shape (rows, features), and the index of each row's label, shape (rows,).

    Raises:
        ValueError: a cell is not acceptable; the message says in which line and column.

    """
    names = features.names()
    X, y = [], []
    with path.open(encoding="utf-8", newline="") as file:
        for line, (*cells, label) in read_rows(file, [*names, target]):
            if label not in labels:
                raise TableError(f"{target} must be one of {', '.join(labels)}", line)
            numbers = {name: to_number(cell, name, line) for name, cell in zip(names, cells, strict=True)}
            try:
                X.append(features(**numbers).values())
            except ValidationError as error:
                fault = error.errors(include_input=False, include_url=False)[0]
                raise TableError(f"{fault['loc'][0]}: {fault['msg']}", line) from error
            y.append(labels.index(label))
    if not X:
        raise TableError("holds no rows", 1)
    return features.matrix(X), np.array(y, dtype=np.int64)

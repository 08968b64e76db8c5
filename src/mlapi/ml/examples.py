"""The examples that a model learns from and is evaluated on: read, checked, split, and kept as a table."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Dataset, SupervisedModel
from .download import Archive
from .features import Column
from .table import read_rows

TEST_SHARE = 0.2
"""Share of the examples that is held back to evaluate the model."""
SPLIT_SEED = 0
"""Seed of that choice. It is not a hyperparameter, so that versions are compared on the same examples."""


def read(model: type[SupervisedModel], archive: Archive | None) -> Dataset:
    """Return the examples of a model, downloaded from an archive or the bundled ones, checked.

    Raises:
        ValueError: they cannot be had, or are not what the model promises.

    """
    data = model.dataset(archive.fetch() if archive else None)
    check(model, data)
    return data


def check(model: type[SupervisedModel], data: Dataset) -> None:
    """Make sure that the examples are what `Features` and `labels` promise: a model learns nonsense without complaint.

    Raises:
        ValueError: they are not; the message says where.

    """
    names = model.Features.names()
    if data.X.ndim != 2 or data.X.shape != (len(data.y), len(names)):  # noqa: PLR2004 - rows and columns
        raise ValueError(f"the examples must have {len(names)} features and a target each; X is {data.X.shape}")
    for place, column in enumerate(model.Features.columns()):
        values = data.X[:, place]
        fits = _text_fits(values) if column.kind == "text" else _number_fits(column, values)
        if not fits.all():
            raise ValueError(
                f"{column.name} of example {fits.argmin()} (counted from 0) is not what Features promises: "
                f"{column.range}"
            )
    model.check_targets(data.y)


def _number_fits(column: Column, values: NDArray[np.float32]) -> NDArray[np.bool_]:
    inside = (np.float32(column.low) <= values) & (values <= np.float32(column.high))
    return inside | np.isnan(values) if column.optional else inside


def _text_fits(values: NDArray[Any]) -> NDArray[np.bool_]:
    # Not how long they are: that holds for what comes in, of which `Features.matrix` may make something else.
    return np.array([isinstance(text, str) for text in values])


def split(model: type[SupervisedModel], data: Dataset) -> tuple[Dataset, Dataset]:
    """Hold back a share of the examples; return those to learn from and those held back."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(data.y))
    training, test = train_test_split(
        rows, test_size=TEST_SHARE, random_state=SPLIT_SEED, stratify=model.strata(data.y)
    )
    return data.rows(training), data.rows(test)


def write_table(model: type[SupervisedModel], path: Path, data: Dataset) -> None:
    """Write the examples as a CSV file that `read_table` reads back the same: equal data give equal bytes.

    It holds what the model sees: numbers in their shortest exact form, words for categories, texts as `Features.matrix`
    returned them.

    Raises:
        ValueError: they are not read back the same.

    """
    columns = model.Features.columns()
    # A lone carriage return in a text would be taken for the end of a line if the text were not quoted.
    dialect: Any = {"quoting": csv.QUOTE_ALL if model.Features.is_text() else csv.QUOTE_MINIMAL}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n", **dialect)
        writer.writerow([*model.Features.names(), model.target])
        for row, target in zip(data.X, data.y, strict=True):
            cells = [_to_cell(column, value) for column, value in zip(columns, row, strict=True)]
            writer.writerow([*cells, model.labels[target] if model.labels else repr(float(target))])
    again = read_table(model, path, data.source)
    if not (np.array_equal(again.X, data.X, equal_nan=data.X.dtype != object) and np.array_equal(again.y, data.y)):
        raise ValueError("the examples cannot be kept as a table: X does not hold what Features.matrix is to return")


def read_table(model: type[SupervisedModel], path: Path, source: str) -> Dataset:
    """Read what `write_table` wrote.

    Raises:
        ValueError: the file holds something else.

    """
    columns = model.Features.columns()
    X, y = [], []
    with path.open(encoding="utf-8", newline="") as file:
        for _, (*cells, target) in read_rows(file, [*model.Features.names(), model.target]):
            X.append([_to_value(column, cell) for column, cell in zip(columns, cells, strict=True)])
            y.append(model.labels.index(target) if model.labels else float(target))
    values = np.array(X, dtype=object if model.Features.is_text() else np.float32)
    return Dataset(values.reshape(len(X), len(columns)), np.array(y), source)


def _to_cell(column: Column, value: Any) -> str:
    if column.kind == "text":
        return str(value)
    if np.isnan(value):
        return ""
    return column.choices[int(value)] if column.kind == "category" else str(value)


def _to_value(column: Column, cell: str) -> Any:
    if column.kind == "text":
        return cell
    if not cell:
        return np.nan
    return column.choices.index(cell) if column.kind == "category" else float(cell)

"""Rows in, predictions out."""

import io
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ..errors import BadInput, Fault, PredictionOverflow, TooLarge
from ..ml import Model
from ..ml.base import Answer
from ..ml.table import TableError, read_row, read_rows
from .champion import Served


class ComputedBy(BaseModel):
    """What computed the predictions."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str
    """Name of the model."""
    version: str
    """Version that computed these predictions."""


class Prediction(Model.Predictions, ComputedBy):
    """The predictions, one for each row and in the same order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": Model.name, "version": "1", **Model.example_answer().lists()}]}
    )


def predict(version: Served, X: NDArray[Any]) -> tuple[dict[str, Any], Answer]:
    """Predict rows as `Features.matrix` returns them; return the members of a `Prediction`, and the same in arrays.

    They are not made one: to check our own numbers would take as long as to write them.

    Raises:
        PredictionOverflow: the model computed a number that is not finite.

    """
    answer = version.answer(X)
    if not answer.finite:
        raise PredictionOverflow("The model computed a value that is not a finite number for one of these rows.")
    version.seen(X, answer)
    return {"model": Model.name, "version": version.version, **answer.lists()}, answer


def read_csv(content: bytes, max_rows: int) -> list[tuple[Any, ...]]:
    """Read the rows of a CSV file; return their values in the order of the features.

    Raises:
        BadInput: the table or a cell is not acceptable; it says in which line.
        TooLarge: there are more than `max_rows` rows.

    """
    rows: list[tuple[Any, ...]] = []
    try:
        text = content.decode("utf-8")
        for line, cells in read_rows(io.StringIO(text, newline=""), Model.Features.names()):
            if len(rows) == max_rows:
                raise TooLarge(f"At most {max_rows} rows are answered at once.")
            rows.append(read_row(Model.Features, cells, line))
    except UnicodeDecodeError:
        raise BadInput("The file is not UTF-8 text.") from None
    except TableError as error:
        raise BadInput("The table is not acceptable.", [Fault(f"line {error.line}", error.message)]) from None
    if not rows:
        raise BadInput("The table holds no rows.")
    return rows

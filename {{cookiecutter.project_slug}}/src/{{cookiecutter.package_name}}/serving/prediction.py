"""Rows in, predictions out."""

import io
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import BadInput, Fault, PredictionOverflow, TooLarge
from ..ml import Model
from ..ml.table import TableError, read_rows, to_number
from .champion import Served


class Prediction(BaseModel):
    """The predictions, one for each row and in the same order."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str = Field(examples=[Model.name])
    """Name of the model."""
    version: str = Field(examples=["1"])
    """Version that computed these predictions."""
    prediction: list[int] = Field(examples=[[0]])
    """Index of the most probable class of each row."""
    label: list[str] = Field(examples=[[Model.labels[0]]])
    """Name of that class."""
    probability: list[list[float]] = Field(examples=[[[1.0] + [0.0] * (len(Model.labels) - 1)]])
    """Probability of every class for each row, 0 to 1, in the order of the labels."""


def predict(version: Served, rows: Sequence[Sequence[float]]) -> Prediction:
    """Predict rows whose values are in the order of the features.

    Raises:
        PredictionOverflow: the model computed a probability that is not a finite number.

    """
    classes = version.model.predict(Model.Features.matrix(rows))
    if not np.isfinite(classes.probability).all():
        raise PredictionOverflow("The model computed a value that is not a finite number for one of these rows.")
    index = classes.index.tolist()
    return Prediction(
        model=Model.name,
        version=version.version,
        prediction=index,
        label=[Model.labels[i] for i in index],
        probability=classes.probability.tolist(),
    )


def read_csv(content: bytes, max_rows: int) -> list[tuple[float, ...]]:
    """Read the rows of a CSV file; return their values in the order of the features.

    Raises:
        BadInput: the table or a cell is not acceptable; it says in which line.
        TooLarge: there are more than `max_rows` rows.

    """
    names = Model.Features.names()
    rows: list[tuple[float, ...]] = []
    line = 1
    try:
        text = content.decode("utf-8")
        for line, cells in read_rows(io.StringIO(text, newline=""), names):
            if len(rows) == max_rows:
                raise TooLarge(f"At most {max_rows} rows are answered at once.")
            values = {name: to_number(cell, name, line) for name, cell in zip(names, cells, strict=True)}
            rows.append(Model.Features(**values).values())
    except UnicodeDecodeError:
        raise BadInput("The file is not UTF-8 text.") from None
    except TableError as error:
        raise BadInput("The table is not acceptable.", [Fault(f"line {error.line}", error.message)]) from None
    except ValidationError as error:
        faults = [Fault(f"line {line}: {fault['loc'][0]}", fault["msg"]) for fault in error.errors()]
        raise BadInput("A value is not acceptable.", faults) from None
    if not rows:
        raise BadInput("The table holds no rows.")
    return rows

"""Rows in, predictions out."""

import io
from functools import cache
from typing import Any

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ..errors import BadInput, Fault, PredictionOverflow, TooLarge
from ..ml.base import Answer, Lists, SupervisedModel
from ..ml.features import Features
from ..ml.table import TableError, read_row, read_rows
from ..monitoring.metrics import Metrics
from .champion import Champion, Served
from .shadow import Shadow


class ComputedBy(BaseModel):
    """What computed the predictions."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str
    """Name of the model."""
    version: str
    """Version that computed these predictions."""


@cache
def prediction_of(model: type[SupervisedModel]) -> type[BaseModel]:
    """Return the pydantic model of an answer: the predictions of a model, and what computed them."""
    example: dict[str, Any] = {"model": model.name, "version": "1", **model.example_answer().lists()}

    class Prediction(model.Predictions, ComputedBy):  # type: ignore[name-defined, misc]
        """The predictions, one for each row and in the same order."""

        model_config = ConfigDict(json_schema_extra={"examples": [example]})

    return Prediction


def predict(version: Served, X: NDArray[Any]) -> Answer:
    """Predict rows as `Features.matrix` returns them, and note them to tell drift.

    Raises:
        PredictionOverflow: the model computed a number that is not finite.

    """
    answer = version.answer(X)
    if not answer.finite:
        raise PredictionOverflow("The model computed a value that is not a finite number for one of these rows.")
    version.seen(X, answer)
    return answer


def members(version: Served, lists: Lists) -> dict[str, Any]:
    """Return the members of a `prediction_of` the model.

    It is not made one: to check our own numbers would take as long as to write them.
    """
    return {"model": version.model.name, "version": version.version, **lists}


class Predictor:
    """Predicts for callers: what it predicts is counted, and compared with the shadow if there is one."""

    def __init__(self, champion: Champion, shadow: Shadow, metrics: Metrics) -> None:
        self._champion = champion
        self._shadow = shadow
        self._metrics = metrics

    def predict(self, version: Served, X: NDArray[Any]) -> Answer:
        """Predict rows as `predict` does, and raise as it does."""
        answer = predict(version, X)
        self._metrics.predicted(version.version, len(X))
        if (shadow := self._champion.shadow) is not None:
            self._shadow.offer(shadow, X, answer)
        return answer


def read_csv(features: type[Features], content: bytes, max_rows: int) -> list[tuple[Any, ...]]:
    """Read the rows of a CSV file; return their values in the order of the features.

    Raises:
        BadInput: the table or a cell is not acceptable; it says in which line.
        TooLarge: there are more than `max_rows` rows.

    """
    rows: list[tuple[Any, ...]] = []
    try:
        text = content.decode("utf-8")
        for line, cells in read_rows(io.StringIO(text, newline=""), features.names()):
            if len(rows) == max_rows:
                raise TooLarge(f"At most {max_rows} rows are answered at once.")
            rows.append(read_row(features, cells, line))
    except UnicodeDecodeError:
        raise BadInput("The file is not UTF-8 text.") from None
    except TableError as error:
        raise BadInput("The table is not acceptable.", [Fault(f"line {error.line}", error.message)]) from None
    if not rows:
        raise BadInput("The table holds no rows.")
    return rows

"""How good a trained model is on the examples held back: its metrics, and the numbers behind its figures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .base import Dataset, Interval, SupervisedModel

MOST_ROWS = 10_000
"""Rows at most of a plot that has one for each example, so that big data do not make unreadable files."""
GROUPS = 5
"""Groups of examples that a calibration is shown in."""

Plot = Mapping[str, NDArray[Any]]
"""The numbers behind a figure: columns by name, all of the same length."""


class Evaluation(NamedTuple):
    """How good a model is."""

    metrics: dict[str, float]
    """The metrics by name, the model's `score` among them."""
    plots: dict[str, Plot]
    """What there is to draw, by name: what `figures` can draw."""


def evaluate(
    model: type[SupervisedModel],
    compute: Callable[[NDArray[Any]], NDArray[np.float32]],
    interval: Interval | None,
    held_back: Dataset,
) -> Evaluation:
    """Evaluate a trained model on examples that it has not seen.

    Args:
        model: Its class.
        compute: Computes its output for some rows, as the service will.
        interval: How far its values may be off; None if it predicts classes.
        held_back: The examples.

    """
    output = compute(held_back.X)
    return Evaluation(model.evaluate(output, held_back.y, interval), plots(model, output, held_back.y, interval))


def plots(
    model: type[SupervisedModel], output: NDArray[np.float32], y: NDArray[Any], interval: Interval | None
) -> dict[str, Plot]:
    """Return the numbers behind the figures that fit the kind of model.

    Args:
        model: The class of the model.
        output: What the model computed for some examples; shape (rows, classes), or one value a row.
        y: Their true targets; shape (rows,).
        interval: How far its values may be off; None if it predicts classes.

    """
    if model.kind == "classification":
        return {"confusion": confusion(model.labels, output, y), "calibration": calibration(output, y)}
    return {"residuals": residuals(output, y), "coverage": coverage(output, y, interval)}


def confusion(labels: Sequence[str], output: NDArray[np.float32], y: NDArray[np.int64]) -> Plot:
    """Return `actual` and `predicted` class of each example, by name; `labels` are in the order of their index."""
    names = np.array(labels, dtype=object)
    return {"actual": names[y[:MOST_ROWS]], "predicted": names[output[:MOST_ROWS].argmax(axis=1)]}


def calibration(output: NDArray[np.float32], y: NDArray[np.int64]) -> Plot:
    """Return for groups of answers of like `confidence` (the mean probability) the share of right ones and the rows."""
    sure, right = output.max(axis=1), output.argmax(axis=1) == y
    edges = np.linspace(1 / output.shape[1], 1, GROUPS + 1)
    return _by_group(np.clip(np.digitize(sure, edges) - 1, 0, GROUPS - 1), confidence=sure, accuracy=right)


def residuals(output: NDArray[np.float32], y: NDArray[np.float64]) -> Plot:
    """Return `predicted` value and `residual` (what is missing to the true value) of each example."""
    value = output.reshape(len(y))[:MOST_ROWS].astype(np.float64)
    return {"predicted": value, "residual": y[:MOST_ROWS] - value}


def coverage(output: NDArray[np.float32], y: NDArray[np.float64], interval: Interval | None) -> Plot:
    """Return for groups of like `predicted` value (the mean) the share of true values `inside` their intervals."""
    value = output.reshape(len(y)).astype(np.float64)
    inside = np.abs(value - y) <= (interval.half_width if interval else 0)
    return _by_group(np.argsort(np.argsort(value, kind="stable")) * GROUPS // len(y), predicted=value, inside=inside)


def _by_group(group: NDArray[np.int64], **columns: NDArray[Any]) -> Plot:
    """Return the mean of each column in each group that has rows, and the number of these."""
    found, place, rows = np.unique(group, return_inverse=True, return_counts=True)
    means = {
        name: np.bincount(place, weights=values.astype(np.float64), minlength=len(found)) / rows
        for name, values in columns.items()
    }
    return {**means, "rows": rows}

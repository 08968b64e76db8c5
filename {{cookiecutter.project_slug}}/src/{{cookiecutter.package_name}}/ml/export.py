"""From scikit-learn to ONNX, and the gate that proves the export equal to the original.

Converters can be silently wrong: a scaled tree, for instance, may agree on every training row and differ on rounded
measurements. So the gate also tries random rows, rows rounded the way people measure, and the edges of what is
accepted.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from .base import Classes, Classifier
from .onnx import OnnxClassifier

TOLERANCE = 1e-5
"""Largest accepted difference of a probability: some ten float32 roundings of sums of many trees."""
RANDOM_ROWS = 5_000
"""Rows of each random kind that the gate tries."""
OPSET = {"": 21, "ai.onnx.ml": 3}
"""Fixed versions of the operators, so that the same model gives the same bytes."""


def sklearn_to_onnx(estimator: Any, name: str, columns: int) -> bytes:
    """Convert a trained scikit-learn classifier; `columns` is the number of features."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    graph = to_onnx(
        estimator,
        initial_types=[("X", FloatTensorType([None, columns]))],
        options={id(estimator): {"zipmap": False}},
        target_opset=OPSET,
    )
    graph.graph.name = name  # a random name by default, which would change the digest at every export
    return bytes(graph.SerializeToString(deterministic=True))


class Parity(BaseModel):
    """How an exported model compares with its original."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    rows: int
    """Rows compared."""
    label_differences: int
    """Rows on which the two name different classes, exact ties left out."""
    largest_difference: float
    """Largest absolute difference of a probability."""
    tolerance: float = TOLERANCE
    """Largest accepted difference of a probability."""
    worst_row: list[float] = []
    """The row on which the probabilities differ most."""

    @property
    def passed(self) -> bool:
        """Whether the export may serve."""
        return self.label_differences == 0 and self.largest_difference <= self.tolerance


def compare(original: Classifier, exported: OnnxClassifier, X: NDArray[np.float32]) -> Parity:
    """Compare an exported model with its original on the examples `X`, shape (rows, features), and many rows beside."""
    rows = probing_rows(X, original.Features.bounds(), original.hyperparameters.seed)
    ours, theirs = original.predict(rows), exported.predict(rows)
    differences = np.abs(ours.probability - theirs.probability).max(axis=1)
    return Parity(
        rows=len(rows),
        label_differences=int(np.count_nonzero((ours.index != theirs.index) & ~_ties(ours))),
        largest_difference=float(differences.max()),
        worst_row=rows[differences.argmax()].tolist(),
    )


def _ties(answer: Classes) -> NDArray[np.bool_]:
    """Tell which rows have two most probable classes within the tolerance: either is a right answer."""
    second, first = np.sort(answer.probability, axis=1)[:, -2:].T
    return np.asarray(first - second <= TOLERANCE)


def probing_rows(X: NDArray[np.float32], bounds: NDArray[np.float64], seed: int) -> NDArray[np.float32]:
    """Return rows likely to show a difference: the examples `X`, random ones, rounded ones and edges.

    Args:
        X: Examples; shape (rows, features).
        bounds: Lowest and highest accepted values; shape (2, features).
        seed: Seed of the random rows.

    Returns:
        Some 26 000 rows more than `X`; shape (more rows, features).

    """
    random = np.random.default_rng(seed)
    low, high = X.min(axis=0), X.max(axis=0)
    near = random.uniform(low, high, (RANDOM_ROWS, X.shape[1]))
    anywhere = random.uniform(bounds[0], bounds[1], (RANDOM_ROWS, X.shape[1]))
    edges = random.choice([0, 1], (256, X.shape[1]))
    return np.concatenate([
        X,
        near,
        # Thresholds lie half-way between rounded measurements, so rounded rows meet them exactly.
        *(near.round(digits) for digits in (0, 1, 2)),
        anywhere,
        np.where(edges, bounds[1], bounds[0]),
        np.nextafter(X, np.float32(np.inf)),
        np.nextafter(X, np.float32(-np.inf)),
    ]).clip(*bounds).astype(np.float32)  # fmt: skip

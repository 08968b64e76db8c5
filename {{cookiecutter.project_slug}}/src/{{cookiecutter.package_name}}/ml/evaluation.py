"""How good a trained model is, on examples it has not seen."""

import numpy as np
from numpy.typing import NDArray

from .base import Classes

SCORE = "balanced_accuracy"
"""The metric that decides whether a new version may replace the champion: mean recall of the classes, 0 to 1."""


def evaluate(answer: Classes, y: NDArray[np.int64]) -> dict[str, float]:
    """Compare a classifier's answer with the truth.

    Returns:
        `accuracy`, `balanced_accuracy` and `macro_f1`, each 0 to 1 with 1 the best, and `log_loss` in nats, 0 the best.

    """
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

    probability = answer.probability.astype(np.float64)  # float32 adds up to 1 only nearly
    classes = np.arange(answer.probability.shape[1])
    return {
        "accuracy": float(accuracy_score(y, answer.index)),
        "balanced_accuracy": float(balanced_accuracy_score(y, answer.index)),
        "macro_f1": float(f1_score(y, answer.index, average="macro", labels=classes, zero_division=0)),
        "log_loss": float(log_loss(y, probability / probability.sum(axis=1, keepdims=True), labels=classes)),
    }


def confusion(answer: Classes, y: NDArray[np.int64]) -> list[list[int]]:
    """Count how often each class (outer list) was taken for each class (inner list)."""
    counts = np.zeros((answer.probability.shape[1],) * 2, dtype=int)
    np.add.at(counts, (y, answer.index), 1)
    return [[int(count) for count in row] for row in counts]


def histograms(X: NDArray[np.float32], names: tuple[str, ...], bins: int = 10) -> dict[str, dict[str, list[float]]]:
    """Summarise each feature by the deciles of its training values: the reference that drift is measured against.

    Returns:
        For each name its `edges` (inner bin edges, rising) and `counts` (rows in each bin, one more than edges).

    """
    result = {}
    for name, column in zip(names, X.T.astype(np.float64), strict=True):
        edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)[1:-1]))
        counts = np.bincount(np.searchsorted(edges, column, side="right"), minlength=len(edges) + 1)
        result[name] = {"edges": edges.tolist(), "counts": counts.astype(float).tolist()}
    return result

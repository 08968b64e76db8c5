"""What the training data look like: the reference that drift is measured against."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import Features

PREDICTION = "(prediction)"
"""Name of what the model answers, among the names of the features, which have no brackets."""

Histogram = Mapping[str, list[float]]
"""How values are spread: `edges`, the inner edges of the bins, rising; `counts`, the rows in each bin, one more than
edges; `missing`, the rows without a value."""


def measures(features: type[Features], X: NDArray[Any]) -> Mapping[str, NDArray[np.float64]]:
    """Return the numbers that drift is watched in, by name, each of shape (rows,): the features, or a text's length."""
    if features.is_text():
        (name,) = features.names()
        return {f"{name}_length": np.array([len(text) for text in X[:, 0]], dtype=np.float64)}
    return dict(zip(features.names(), X.T.astype(np.float64), strict=True))


def histograms(features: type[Features], X: NDArray[Any], bins: int = 10) -> dict[str, dict[str, list[float]]]:
    """Summarise each measure by the deciles of its training values."""
    return {name: histogram(values, bins) for name, values in measures(features, X).items()}


def histogram(values: NDArray[Any], bins: int = 10) -> dict[str, list[float]]:
    """Summarise values by their deciles; shape (rows,)."""
    known = values[~np.isnan(values)].astype(np.float64)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.array([])
    result = {"edges": edges.tolist(), "counts": [0.0] * (len(edges) + 1), "missing": [float(len(values) - len(known))]}
    counts = np.bincount(place(known, result), minlength=len(edges) + 1)
    return {**result, "counts": counts.astype(float).tolist()}


def place(values: NDArray[np.float64], reference: Histogram) -> NDArray[np.int64]:
    """Return the bin of each value; shape (rows,)."""
    return np.searchsorted(reference["edges"], values, side="right")

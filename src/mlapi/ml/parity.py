"""The gate that proves an exported model equal to the original.

Converters can be silently wrong: a scaled tree, for instance, may agree on every training row and differ on rounded
measurements. So the gate also tries the rows of `probing`.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from .base import SupervisedModel

TOLERANCE = 1e-5
"""Largest accepted difference of an output, as a share of its range: some ten float32 roundings of many summands."""


class Parity(BaseModel):
    """How an exported model compares with its original."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    rows: int
    """Rows compared."""
    label_differences: int
    """Rows on which the two name different classes, exact ties left out."""
    largest_difference: float
    """Largest difference of a probability, or of a value as a share of the largest one."""
    tolerance: float = TOLERANCE
    """Largest accepted difference."""
    worst_row: list[Any] = []
    """The row on which the two differ most."""

    @property
    def passed(self) -> bool:
        """Whether the export may serve."""
        return self.label_differences == 0 and self.largest_difference <= self.tolerance


def compare(
    original: "SupervisedModel", exported: Callable[[NDArray[Any]], NDArray[np.float32]], X: NDArray[Any]
) -> Parity:
    """Compare what an exported model computes with its original.

    Args:
        original: The trained model.
        exported: Computes the output of some rows, as the service will.
        X: The examples to try, and to make many other rows from; shape (rows, features).

    """
    from .probing import probing_rows  # what serves reads what was found, and needs no random numbers

    rows = probing_rows(original.Features, X, original.hyperparameters.seed)
    differences, other = original.differences(original.compute(rows), exported(rows))
    worst = np.where(other, np.inf, np.nan_to_num(differences, nan=np.inf)).argmax()
    return Parity(
        rows=len(rows),
        label_differences=int(np.count_nonzero(other)),
        largest_difference=float(np.nan_to_num(differences, nan=np.inf).max()),
        worst_row=rows[worst].tolist(),
    )

"""An order of rows in which those that are alike stand together, for models made of many trees.

A processor guesses at each branch of a tree which way a row goes, from how the rows before it went, and loses some 20
instructions' time with each wrong guess. Rows in the order in which they came are hard to guess; neighbours that are
alike go the same way. So sorting them first saves more than it costs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BITS = 3
"""How finely a feature is looked at: in eighths of its range. Measured: 2, 3, 4 and 6 differ little."""
MOST = 64 // BITS
"""Features that are looked at: as many as a number of 64 bits has room for."""


def alike(X: NDArray[Any]) -> NDArray[np.intp]:
    """Return the places of rows in an order in which those that are alike stand together; shape (rows,).

    They are sorted by which eighth of its range each feature lies in, the first features first. Missing values are
    taken for the lowest.
    """
    X = X[:, :MOST]
    low, high = np.fmin.reduce(X, axis=0), np.fmax.reduce(X, axis=0)
    with np.errstate(all="ignore"):  # a feature that is always the same, missing or infinite
        eighths = np.nan_to_num((X - low) * ((2**BITS - 1) / (high - low)), posinf=0, neginf=0).astype(np.uint64)
    key = eighths[:, 0]
    for feature in eighths.T[1:]:
        key = (key << np.uint64(BITS)) | feature
    return np.argsort(key)

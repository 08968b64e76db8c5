"""Whether a model computes each row by itself, so that it does not matter which others it is computed with.

Models made of trees do. Those that multiply matrices need not: libraries take other steps for one row than for many,
and the last bits of a sum depend on its order. A caller would then get another answer, if only by a hundred-millionth,
depending on who else calls. So it is tried, on the machine that serves.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .features import Features

STEP = (5**0.5 - 1) / 2
"""The golden ratio: its multiples, less what is before the point, fill the range from 0 to 1 evenly."""
PIECES = (*[1] * 32, *[2] * 8, 5, 5, 33)
"""How many rows are computed at once, beside all."""
ROWS = sum(PIECES)
"""Rows that it is tried on."""
NEAR = 0.05
"""How far from the example every second row lies, as a share of what is accepted. Far from all that a model has learned
from, its numbers may be so large that they hide the last bits of others."""


def is_rowwise(compute: Callable[[NDArray[Any]], NDArray[np.float32]], features: type[Features]) -> bool:
    """Tell whether a model computed the same for some rows in pieces and all together, to the last bit.

    For texts the answer is no: to read them takes so long that computing them together would gain little.
    """
    if features.is_text():
        return False
    X = spread(features)
    starts = np.cumsum((0, *PIECES))
    try:
        pieces = [compute(X[start:end]) for start, end in pairwise(starts)]
        return np.concatenate(pieces).tobytes() == compute(X).tobytes()
    except Exception:  # noqa: BLE001 - a model may refuse such rows; that it predicts is shown elsewhere
        return False


def spread(features: type[Features]) -> NDArray[np.float32]:
    """Return rows of numbers that differ in every feature, within what is accepted; shape (`ROWS`, features)."""
    low, high = features.bounds()
    place = np.outer(np.arange(1, ROWS + 1), STEP * np.arange(1, len(low) + 1)) % 1
    rows = low + place * (high - low)
    (example,) = features.matrix([features.example().values()])
    near = np.where(np.isnan(example), low, example) + NEAR * (place - 0.5) * (high - low)
    rows[::2] = near.clip(low, high)[::2]
    words = [column.kind == "category" for column in features.columns()]
    return np.asarray(np.where(words, rows.round(), rows), dtype=np.float32)

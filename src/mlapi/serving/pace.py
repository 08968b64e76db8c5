"""How large a request may be that is computed in the event loop, which depends on how long a version computes.

While a request is computed there, all other callers wait. In a thread it holds up nobody, but to get there and back
takes longer than most small requests do. So a version is timed when it is loaded, on the machine that serves.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from ..ml.features import Features
from ..ml.rowwise import spread

SMALL = 8 * 2**10
"""Bytes of the largest request that is ever computed in the event loop, and of the largest batch: to read it and to
write its answer takes a millisecond or two, whatever the version."""
LONGEST_SECONDS = 0.005
"""How long a version may compute in the event loop: less than other callers would notice."""
TIMES = 2
"""How often it is timed. The quickest counts, since everything else on the machine makes it only slower."""
ENOUGH_SECONDS = 0.1
"""A version that takes so long is not timed again."""


def largest(compute: Callable[[NDArray[Any]], Any], features: type[Features]) -> int:
    """Return how many bytes a request may have that a version computes in the event loop: `SMALL` at most.

    It is 0 for a version that takes too long for a single row, or refuses the rows that it is timed with.
    """
    size = len(to_json(features.example().values()))
    most = max(2, SMALL // size)
    try:
        one = _seconds(compute, features, 1)
        if one > LONGEST_SECONDS:
            return 0
        many = _seconds(compute, features, most)
    except Exception:  # noqa: BLE001 - that it predicts is shown elsewhere
        return 0
    if many <= LONGEST_SECONDS:
        return SMALL
    rows = 1 + (most - 1) * (LONGEST_SECONDS - one) / (many - one)  # what each row adds, it adds evenly
    return min(SMALL, int(rows * size))


def _seconds(compute: Callable[[NDArray[Any]], Any], features: type[Features], count: int) -> float:
    """Return how long a version takes for so many rows."""
    rows = [features.example().values()] * count
    X = None if features.is_text() else np.resize(spread(features), (count, len(features.columns())))
    least = float("inf")
    for _ in range(TIMES):
        begun = perf_counter()
        compute(features.matrix(rows) if X is None else X)  # to read texts is a part of what takes time
        took = perf_counter() - begun
        least = min(least, took)
        if took > ENOUGH_SECONDS:
            break
    return least

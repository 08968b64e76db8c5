"""A version that is tried on real requests and answers none: what it says is compared with what was sent."""

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..ml.base import Answer

if TYPE_CHECKING:
    from .champion import Served

MOST_WAITING = 100
"""Requests, or several computed together, that may wait for the shadow. What comes while so many wait is not compared:
callers come first."""

log = logging.getLogger(__name__)


class Counts(Protocol):
    """Where the comparison is told."""

    def compared(self, version: str, rows: int, disagreements: int) -> None:
        """Count rows that a shadow was compared on, and those that it would have answered otherwise."""


class Shadow:
    """Compares in a thread of its own, behind the callers' backs."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._waiting = 0

    def offer(self, shadow: "Served", X: NDArray[Any], sent: Answer) -> None:
        """Compare a shadow's answer with the one that was sent, unless too many wait."""
        if self._waiting < MOST_WAITING:
            self._waiting += 1
            self._thread.submit(self._compare, shadow, X, sent).add_done_callback(self._done)

    def _compare(self, shadow: "Served", X: NDArray[Any], sent: Answer) -> None:
        try:
            disagreements = int(np.count_nonzero(shadow.answer(X).disagrees(sent)))
        except Exception:  # the boundary of the thread: a shadow that fails disagrees, about all rows
            log.exception("the shadow, version %s, cannot answer", shadow.version)
            disagreements = len(X)
        self._counts.compared(shadow.version, len(X), disagreements)

    def _done(self, _: object) -> None:
        self._waiting -= 1

    def close(self) -> None:
        """Finish what is being compared, and forget what waits."""
        self._thread.shutdown(cancel_futures=True)

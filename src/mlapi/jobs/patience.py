"""How long a job waits for what it needs and is away."""

import time
from collections.abc import Callable
from typing import TypeVar

from ..errors import Unavailable

PATIENCE = 120
"""Seconds that a job waits for a storage or a cluster that is away."""

T = TypeVar("T")


def patient(step: Callable[[], T], wait: Callable[[], None]) -> T:
    """Take a step again and again while a storage or a cluster is away, for as long as it may be."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return step()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
        except Exception:
            wait()  # which tells if the job is no longer ours, and its files may be gone for that reason
            raise
        wait()

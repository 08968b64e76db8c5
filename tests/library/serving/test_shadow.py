import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sample.ml import Model

from mlapi.serving import shadow
from mlapi.serving.champion import Served
from mlapi.serving.shadow import Shadow


class Counted:
    """What was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    def compared(self, version: str, rows: int, disagreements: int) -> None:
        self.told.append((version, rows, disagreements))


X = Model.Features.matrix([Model.Features.example().values()] * 3)


def test_a_shadow_that_answers_alike_agrees_and_another_does_not(constant: Callable[..., Served]) -> None:
    counted = Counted()
    compared = Shadow(counted)
    sent = constant().answer(X)
    compared.offer(constant(), X, sent)
    other: Any = constant()
    other.runtime.output = other.runtime.output[:, ::-1] if Model.labels else other.runtime.output + 1e9
    compared.offer(other, X, sent)
    compared._thread.shutdown()  # noqa: SLF001 - to wait for it
    assert counted.told == [("42", 3, 0), ("42", 3, 3)]


def test_a_shadow_that_fails_disagrees_and_harms_nobody(constant: Callable[..., Served]) -> None:
    counted = Counted()
    compared = Shadow(counted)
    broken: Any = constant()
    sent = broken.answer(X)
    broken.runtime.output = np.zeros((1, 1, 1), dtype=np.float32)
    compared.offer(broken, X, sent)
    compared._thread.shutdown()  # noqa: SLF001
    assert counted.told == [("42", 3, 3)]


def test_callers_never_wait_for_a_slow_shadow(constant: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MOST_WAITING", 5)
    counted, free = Counted(), threading.Event()
    compared = Shadow(counted)
    slow: Any = constant()
    sent, compute = slow.answer(X), slow.runtime.compute
    slow.runtime.compute = lambda X: (free.wait(300), compute(X))[1]
    for _ in range(50):
        compared.offer(slow, X, sent)
    free.set()
    compared._thread.shutdown()  # noqa: SLF001
    assert len(counted.told) == 5

from collections.abc import Callable
from typing import Any

import pytest
from numpy.typing import NDArray
from pydantic_core import to_json

from mlapi.ml.features import Features, number, text
from mlapi.serving import pace
from mlapi.serving.pace import LONGEST_SECONDS, SMALL, largest


class Parcel(Features):
    """A parcel."""

    width: float = number(example=1, low=-2, high=2, unit="cm")
    """How wide it is."""
    weight: float = number(example=9e4, low=0, high=1e5, unit="g")
    """How heavy it is."""


class Remark(Features):
    """A text."""

    said: str = text(example="well", min_length=1, max_length=9)
    """What was said."""


Takes = Callable[[float, float], Callable[[NDArray[Any]], None]]
FEATURES = pytest.mark.parametrize("features", [Parcel, Remark])


@pytest.fixture
def takes(monkeypatch: pytest.MonkeyPatch) -> Takes:
    """Return what makes a model that takes so many seconds for a call, and so many for each row, by a clock of ours."""
    now = [0.0]
    monkeypatch.setattr(pace, "perf_counter", lambda: now[0])

    def model(call: float, row: float) -> Callable[[NDArray[Any]], None]:
        def compute(X: NDArray[Any]) -> None:
            now[0] += call + row * len(X)

        return compute

    return model


def rows_of(size: int, features: type[Features]) -> float:
    return size / len(to_json(features.example().values()))


@FEATURES
def test_a_quick_model_computes_all_small_requests_in_the_event_loop(takes: Takes, features: type[Features]) -> None:
    assert largest(takes(1e-5, 1e-7), features) == SMALL


@FEATURES
def test_a_model_computes_there_what_it_computes_in_time(takes: Takes, features: type[Features]) -> None:
    """30 rows take 0.002 + 30 * 0.0001 seconds."""
    assert rows_of(largest(takes(0.002, 0.0001), features), features) == pytest.approx(30, abs=0.2)


@FEATURES
@pytest.mark.parametrize("call", [LONGEST_SECONDS * 1.01, 30.0])
def test_a_model_that_takes_long_for_one_row_computes_nothing_there(
    takes: Takes, features: type[Features], call: float
) -> None:
    assert largest(takes(call, 0), features) == 0


def test_a_model_is_timed_by_its_quickest_call(takes: Takes) -> None:
    calls = iter([takes(0, 9e-5), takes(0, 1e-6)] * 2)

    def varying(X: NDArray[Any]) -> None:
        next(calls)(X)

    assert largest(varying, Parcel) == SMALL


def test_a_model_that_takes_very_long_is_called_once(takes: Takes) -> None:
    slow, calls = takes(30, 0), []

    def counted(X: NDArray[Any]) -> None:
        calls.append(len(X))
        slow(X)

    assert largest(counted, Parcel) == 0
    assert calls == [1]


def test_a_model_that_refuses_the_rows_that_it_is_timed_with_computes_nothing_there() -> None:
    def refuse(_: NDArray[Any]) -> None:
        raise ValueError("a parcel like this there is none")

    assert largest(refuse, Parcel) == 0

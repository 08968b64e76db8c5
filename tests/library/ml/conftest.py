"""Small models of each kind, so that what they share is tested whatever the service predicts."""

from collections.abc import Iterator
from typing import Any

import pytest
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rig.toys import Dear, Mood, Rent


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Train in one thread: for data as small as these, several wait for each other, and long on a busy machine."""
    with threadpool_limits(1):
        yield


@pytest.fixture(params=[Rent, Dear, Mood], ids=["regression", "classification", "text"])
def toy(request: pytest.FixtureRequest) -> Any:
    """A small model class of each kind in turn."""
    return request.param


@pytest.fixture
def rent() -> type[Rent]:
    """The regressor."""
    return Rent


@pytest.fixture
def dear() -> type[Dear]:
    """The classifier of rows with a category and a value that may be missing."""
    return Dear


@pytest.fixture
def mood() -> type[Mood]:
    """The classifier of texts."""
    return Mood

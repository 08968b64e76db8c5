"""What a worker sees to beside its jobs, without a database."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from mlapi.errors import JobsUnavailable
from mlapi.jobs import worker


class Chore:
    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.kept = 0

    def keep(self) -> None:
        self.kept += 1
        if self.fault:
            raise self.fault


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Jobs of nobody, and leases that hold."""
    monkeypatch.setattr(worker, "SWEEP_SECONDS", 0.001)
    return SimpleNamespace(executors=set), SimpleNamespace(holds=lambda _name: True)


class Stopping(threading.Event):
    """Stops a worker at its third look."""

    looks = 0

    def wait(self, _timeout: float | None = None) -> bool:
        self.looks += 1
        return self.looks > 3


def test_a_chore_that_fails_as_nobody_foresaw_is_told_and_ends_neither_worker_nor_other_chores(
    fakes: tuple[Any, Any], caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = Chore(OverflowError("nobody foresaw this")), Chore()
    worker._watch(*fakes, "1", Stopping(), [bad, good])  # noqa: SLF001 - it ends with the process otherwise
    assert (bad.kept, good.kept) == (3, 3)
    assert "Traceback" in caplog.text
    assert "nobody foresaw this" in caplog.text


def test_a_database_that_is_away_is_told_in_one_line(fakes: tuple[Any, Any], caplog: pytest.LogCaptureFixture) -> None:
    worker._watch(*fakes, "1", Stopping(), [Chore(JobsUnavailable("It is away."))])  # noqa: SLF001 - likewise
    assert "It is away." in caplog.text
    assert "Traceback" not in caplog.text

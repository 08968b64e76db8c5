"""What a child process tells the one that waits for it."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from package_name.errors import ClusterUnavailable
from package_name.settings import Settings
from package_name.training.candidate import order
from package_name.training.child import NICENESS, run_in_child

PATIENCE = 300
"""Seconds that a child may take, which stands back for all else on a busy machine."""


def test_a_training_in_a_child_process_tells_that_its_cluster_is_away(settings: Settings) -> None:
    what = order(settings.model_copy(update={"cluster_url": "tcp://127.0.0.1:9"}), Path("job"), {})
    with pytest.raises(ClusterUnavailable, match="cannot be reached"):
        run_in_child(what, lambda _progress, _phase: None, lambda: None, PATIENCE)


def test_a_training_stands_back_for_everything_else_on_the_machine(settings: Settings) -> None:
    found: set[tuple[int, int]] = set()

    def look() -> None:
        with suppress(OSError):  # a thread or the child has just ended
            for children in Path("/proc/self/task").glob("*/children"):
                for child in map(int, children.read_text().split()):
                    found.add((os.getpriority(os.PRIO_PROCESS, child), os.sched_getscheduler(child)))

    what = order(settings.model_copy(update={"cluster_url": "tcp://127.0.0.1:9"}), Path("job"), {})
    with pytest.raises(ClusterUnavailable):
        run_in_child(what, lambda _progress, _phase: None, look, PATIENCE)
    assert (NICENESS, os.SCHED_IDLE) in found

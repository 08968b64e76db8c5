"""What a child process tells the one that waits for it."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import ClusterUnavailable
from mlapi.training.candidate import order
from mlapi.training.child import NICENESS, run_in_child

from rig.eager import EAGER_TRAINING
from rig.processes import children_of

PATIENCE = 300
"""Seconds that a child may take."""


@pytest.fixture
def what(settings: Settings) -> dict[str, Any]:
    """The order for a training on a cluster that cannot be reached: nobody knows how to speak to it."""
    return order(Model, settings.model_copy(update={"cluster_url": "unknown://127.0.0.1:9"}), Path("job"), {})


def test_a_training_in_a_child_process_tells_that_its_cluster_is_away(
    what: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", EAGER_TRAINING)
    with pytest.raises(ClusterUnavailable, match="cannot be reached"):
        run_in_child(what, lambda _progress, _phase: None, lambda: None, PATIENCE)


def test_a_training_stands_back_for_everything_else_on_the_machine(what: dict[str, Any]) -> None:
    class Seen(Exception):
        pass

    def look() -> None:
        for child in children_of(os.getpid()):
            with suppress(OSError):  # it has just ended
                if (os.getpriority(os.PRIO_PROCESS, child), os.sched_getscheduler(child)) == (NICENESS, os.SCHED_IDLE):
                    raise Seen

    with pytest.raises(Seen):
        run_in_child(what, lambda _progress, _phase: None, look, PATIENCE)

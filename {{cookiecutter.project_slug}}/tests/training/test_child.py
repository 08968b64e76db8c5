"""What a child process tells the one that waits for it."""

from pathlib import Path

import pytest

from package_name.errors import ClusterUnavailable
from package_name.settings import Settings
from package_name.training.candidate import order
from package_name.training.child import run_in_child

PATIENCE = 60
"""Seconds that a child may take."""


def test_a_training_in_a_child_process_tells_that_its_cluster_is_away(settings: Settings) -> None:
    what = order(settings.model_copy(update={"cluster_url": "tcp://127.0.0.1:9"}), Path("job"), {})
    with pytest.raises(ClusterUnavailable, match="cannot be reached"):
        run_in_child(what, lambda _progress, _phase: None, lambda: None, PATIENCE)

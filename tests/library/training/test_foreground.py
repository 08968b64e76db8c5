"""Training here and now, with the help of a cluster."""

from pathlib import Path
from typing import Any

import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi import cluster as reach
from mlapi.training.foreground import train_now

from rig.cluster import Cluster


@pytest.mark.filterwarnings("ignore")  # of the cluster's library
def test_a_training_that_asks_joblib_for_help_gets_it_from_the_cluster(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client
    from sklearn.model_selection import GridSearchCV

    monkeypatch.setattr(reach, "REACH_SECONDS", 60)
    build = Model.build
    monkeypatch.setattr(Model, "build", lambda self: GridSearchCV(build(self), {}, cv=3))
    settings = Settings(models_dir=tmp_path / "models", data_dir=tmp_path / "var", cluster_url=cluster.url)
    with Client(cluster.url, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        before = client.run_on_scheduler(done_by)
        assert train_now(Model, settings, {}, "always", lambda _progress, _phase: None)["version"] == "1"
        assert client.run_on_scheduler(done_by) > before


def done_by(dask_scheduler: Any) -> int:
    """Tell how often anything changed in a scheduler's tasks."""
    return int(dask_scheduler.transition_counter)

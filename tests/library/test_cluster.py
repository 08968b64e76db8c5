"""Work on a cluster, whose processes may be killed."""

import os
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample.ml import Model

from mlapi.cluster import cores, spread
from mlapi.errors import ClusterUnavailable
from mlapi.jobs.patience import patient

from rig.cluster import Cluster, end
from rig.ports import hold_port, port_of
from rig.service import PATIENCE, wait_for


@pytest.fixture(autouse=True)
def _busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a cluster on a busy machine answer late."""
    monkeypatch.setattr("mlapi.cluster.REACH_SECONDS", 60)


def held_up(marks: Path, X: Any) -> Any:
    """Leave a mark of this process, as one that works on the rows, and wait until one of the cluster is dead."""
    (marks / str(os.getpid())).touch()
    deadline = time.monotonic() + PATIENCE
    while not (marks / "dead").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return X


def test_without_a_cluster_every_core_of_this_machine_works() -> None:
    with spread(None) as at_once:
        assert at_once == cores() == len(os.sched_getaffinity(0))


@pytest.mark.filterwarnings("ignore")  # of the cluster's library
def test_a_grid_search_runs_on_the_cluster(cluster: Cluster) -> None:
    from sklearn.model_selection import GridSearchCV

    data = Model.dataset()
    with spread(cluster.url) as at_once:
        assert at_once == 2
        search = GridSearchCV(Model().build(), {}, cv=3).fit(data.X, data.y)
    assert search.best_score_ > 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("victim", ["worker", "scheduler"])
def test_a_search_succeeds_although_a_process_of_the_cluster_dies(
    cluster: Cluster, victim: str, tmp_path: Path
) -> None:
    """Checklist 32."""
    from sklearn.dummy import DummyClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    data = Model.dataset()
    waits = FunctionTransformer(partial(held_up, tmp_path))
    model = make_pipeline(waits, DummyClassifier())  # as both kinds of target allow
    search = GridSearchCV(model, {"dummyclassifier__random_state": list(range(5))}, cv=2, error_score="raise")
    url = cluster.url

    def once() -> float:
        with spread(url):
            if killer.ident is None:
                killer.start()
            return float(search.fit(data.X, data.y > np.median(data.y)).best_score_)

    def kill() -> None:
        busy = wait_for(
            lambda: [worker for worker in cluster.workers if (tmp_path / str(worker.pid)).exists()], "work to begin"
        )
        end(busy[:1] if victim == "worker" else [cluster.scheduler, *cluster.workers])
        (tmp_path / "dead").touch()
        if victim == "worker":
            return
        cluster.start_scheduler(url)
        cluster.start_worker()

    killer = threading.Thread(target=kill)
    assert 0 < patient(once, partial(time.sleep, 0.1)) <= 1
    killer.join()
    assert (tmp_path / "dead").exists()


def test_a_cluster_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlapi.cluster.REACH_SECONDS", 0.1)
    with hold_port() as nobody, pytest.raises(ClusterUnavailable), spread(f"tcp://127.0.0.1:{port_of(nobody)}"):
        pass

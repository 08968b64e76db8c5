"""Work on a cluster, whose processes may be killed."""

import os
import threading
import time
from functools import partial
from typing import Any

import numpy as np
import pytest

from package_name.cluster import cores, spread
from package_name.errors import ClusterUnavailable
from package_name.jobs.patience import patient
from package_name.ml import Model

from rig.cluster import Cluster, end


def after(seconds: float, X: Any) -> Any:
    """Let time pass, as work on the rows would."""
    time.sleep(seconds)
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
def test_a_search_succeeds_although_a_process_of_the_cluster_dies(cluster: Cluster, victim: str) -> None:
    """Checklist 32."""
    from sklearn.dummy import DummyClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    data = Model.dataset()
    slow = make_pipeline(FunctionTransformer(partial(after, 0.2)), DummyClassifier())  # as both kinds of target allow
    search = GridSearchCV(slow, {"dummyclassifier__random_state": list(range(20))}, cv=2, error_score="raise")
    url, dead = cluster.url, threading.Event()

    def once() -> float:
        with spread(url):
            if killer.ident is None:
                killer.start()
            return float(search.fit(data.X, data.y > np.median(data.y)).best_score_)

    def kill() -> None:
        end([cluster.workers[0]] if victim == "worker" else [cluster.scheduler, *cluster.workers])
        dead.set()
        if victim == "worker":
            return
        cluster.start_scheduler(url)
        cluster.start_worker()

    killer = threading.Timer(1, kill)
    assert 0 < patient(once, partial(time.sleep, 0.5)) <= 1
    assert dead.is_set()  # before the search had ended
    killer.join()


def test_a_cluster_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("package_name.cluster.REACH_SECONDS", 1)
    with pytest.raises(ClusterUnavailable), spread("tcp://127.0.0.1:9"):
        pass

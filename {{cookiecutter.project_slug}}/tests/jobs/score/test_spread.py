"""Parts scored on a cluster: a scheduler and two workers, processes on this machine, which may be killed."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

from package_name.errors import ClusterUnavailable
from package_name.jobs.candidate import run_in_child
from package_name.jobs.patience import patient
from package_name.jobs.score import cut, run
from package_name.jobs.score.foreground import Place, score_now
from package_name.jobs.score.spread import cores, spread
from package_name.jobs.train import order, train_now
from package_name.ml import Model
from package_name.settings import Settings
from package_name.storage import Storage

Write = Callable[..., Path]

PATIENCE = 60
"""Seconds that a process of the cluster may take to start."""


def after(seconds: float, X: Any) -> Any:
    """Let time pass, as work on the rows would."""
    time.sleep(seconds)
    return X


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self.url = ""
        self.scheduler = self.start_scheduler("tcp://127.0.0.1:0")
        self.workers = [self.start_worker(), self.start_worker()]

    def start_scheduler(self, url: str) -> "subprocess.Popen[bytes]":
        host, _, port = url.removeprefix("tcp://").rpartition(":")
        log = self._directory / f"scheduler-{time.monotonic_ns()}"
        process = self._start(log, "scheduler", "--host", host, "--port", port, "--no-dashboard")
        deadline = time.monotonic() + PATIENCE
        while "Scheduler at:" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        self.url = log.read_text().partition("Scheduler at:")[2].split()[0]
        return process

    def start_worker(self) -> "subprocess.Popen[bytes]":
        log = self._directory / f"worker-{time.monotonic_ns()}"
        return self._start(log, "worker", self.url, "--nthreads", "1", "--no-dashboard", "--no-nanny")

    def _start(self, log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-W", "ignore", "-m", "dask", *arguments]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=self._directory)  # noqa: S603
        self._stack.callback(end, [process])
        return process


def end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # The processes of the cluster have the package, but not its tests: those functions travel whole.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    from distributed import Client

    with ExitStack() as stack:
        cluster = Cluster(tmp_path_factory.mktemp("cluster"), stack)
        with Client(cluster.url, set_as_default=False) as client:  # type: ignore[no-untyped-call]
            client.wait_for_workers(len(cluster.workers), PATIENCE)
        yield cluster


@pytest.fixture
def source(write: Write, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of some forty parts."""
    monkeypatch.setattr(cut, "PART_BYTES", 5000)
    return write("in.csv", [{"id": number, **row} for number in range(200_000 // (5 + len(str(row))))])


def quiet(_progress: run.Progress, _of: int) -> None:
    """Show nothing."""


def test_without_a_cluster_every_core_of_this_machine_works() -> None:
    with spread(None) as at_once:
        assert at_once == cores() == len(os.sched_getaffinity(0))


@pytest.mark.filterwarnings("ignore")  # of the cluster's library
def test_a_cluster_gives_the_same_to_the_byte_and_a_grid_search_runs_there_too(
    cluster: Cluster, trained: Settings, source: Path, tmp_path: Path
) -> None:
    from sklearn.model_selection import GridSearchCV

    score_now(trained, str(source), str(tmp_path / "here.csv"), None, quiet)
    score_now(trained, str(source), str(tmp_path / "there.csv"), cluster.url, quiet)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    data = Model.dataset()
    with spread(cluster.url) as at_once:
        assert at_once == 2
        search = GridSearchCV(Model().build(), {}, cv=3).fit(data.X, data.y)
    assert search.best_score_ > 0


@pytest.mark.filterwarnings("ignore")
def test_a_training_that_asks_joblib_for_help_gets_it_from_the_cluster(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client
    from sklearn.model_selection import GridSearchCV

    build = Model.build
    monkeypatch.setattr(Model, "build", lambda self: GridSearchCV(build(self), {}, cv=3))
    settings = Settings(models_dir=tmp_path / "models", data_dir=tmp_path / "var", cluster_url=cluster.url)
    with Client(cluster.url, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        before = client.run_on_scheduler(done_by)
        assert train_now(settings, {}, "always", lambda _progress, _phase: None)["version"] == "1"
        assert client.run_on_scheduler(done_by) > before


def done_by(dask_scheduler: Any) -> int:
    """Tell how often anything changed in a scheduler's tasks."""
    return int(dask_scheduler.transition_counter)


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


@pytest.mark.filterwarnings("ignore")
def test_a_worker_and_the_scheduler_of_a_cluster_may_die(
    cluster: Cluster, trained: Settings, source: Path, tmp_path: Path
) -> None:
    """Checklist 32; without its scheduler the cluster is unavailable, and what was done is not done again."""
    score_now(trained, str(source), str(tmp_path / "here.csv"), None, quiet)
    files, folder = tmp_path.as_uri(), "job"
    run.prepare(trained, files, folder, (files, source.name, "csv"), ["csv"])
    plan = run.plan_of(files, folder)
    first = run.score_some(plan, cluster.url)
    assert 0 < first.done < len(plan.parts)
    threading.Timer(0.1, end, [[cluster.workers[0]]]).start()
    second = run.score_some(plan, cluster.url)
    assert second.done > first.done
    threading.Timer(0.1, end, [[cluster.scheduler]]).start()
    with suppress(ClusterUnavailable):  # it may die before, while or after they work
        run.score_some(plan, cluster.url)
    cluster.scheduler.wait(PATIENCE)
    with pytest.raises(ClusterUnavailable):
        run.score_some(plan, cluster.url)
    held = run.progress_of(plan)
    assert held.done >= second.done
    url = cluster.url
    end(cluster.workers)
    cluster.start_scheduler(url)
    cluster.start_worker()
    while run.progress_of(plan).done < len(plan.parts):
        run.score_some(plan, url)
    place = Place(Storage(files), "there.csv", "csv")
    run.finish(plan, {place.form: (place.storage, place.path)}, (place.storage, "rejects.csv"), lambda: None)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


def test_a_cluster_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("package_name.jobs.score.spread.REACH_SECONDS", 1)
    with pytest.raises(ClusterUnavailable), spread("tcp://127.0.0.1:9"):
        pass


def test_a_training_in_a_child_process_tells_that_its_cluster_is_away(settings: Settings) -> None:
    what = order(settings.model_copy(update={"cluster_url": "tcp://127.0.0.1:9"}), "job", {})
    with pytest.raises(ClusterUnavailable, match="cannot be reached"):
        run_in_child(what, lambda _progress, _phase: None, lambda: None, PATIENCE)

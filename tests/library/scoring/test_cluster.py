"""Parts scored on a cluster, whose processes may be killed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi import cluster as reach
from mlapi.errors import ClusterUnavailable
from mlapi.scoring import cut, run
from mlapi.scoring.foreground import Place, score_now
from mlapi.storage import Storage

from rig.cluster import PATIENCE, Cluster, end

if TYPE_CHECKING:
    import subprocess

Write = Callable[..., Path]


@pytest.fixture
def source(write: Write, row: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of some forty parts."""
    monkeypatch.setattr(cut, "PART_BYTES", 5000)
    return write("in.csv", [{"id": number, **row} for number in range(200_000 // (5 + len(str(row))))])


@pytest.fixture(autouse=True)
def _the_cluster_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach the cluster on a busy machine, too."""
    monkeypatch.setattr(reach, "REACH_SECONDS", PATIENCE)


@contextmanager
def killed_meanwhile(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Kill a process in a moment; it may be before, while or after the block does its work."""
    timer = threading.Timer(0.1, end, [[process]])
    timer.start()
    try:
        yield
    finally:
        timer.join()


def quiet(_progress: run.Progress, _of: int) -> None:
    """Show nothing."""


@pytest.mark.filterwarnings("ignore")  # of the cluster's library
def test_a_cluster_gives_the_same_to_the_byte(
    cluster: Cluster, trained: Settings, source: Path, tmp_path: Path
) -> None:
    score_now(Model, trained, str(source), str(tmp_path / "here.csv"), quiet)
    there = trained.model_copy(update={"cluster_url": cluster.url})
    score_now(Model, there, str(source), str(tmp_path / "there.csv"), quiet)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()


@pytest.mark.filterwarnings("ignore")
def test_a_worker_and_the_scheduler_of_a_cluster_may_die(
    cluster: Cluster, trained: Settings, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 32; without its scheduler the cluster is unavailable, and what was done is not done again."""
    score_now(Model, trained, str(source), str(tmp_path / "here.csv"), quiet)
    files, folder = tmp_path.as_uri(), "job"
    run.prepare(Model, trained, files, folder, (files, source.name, "csv"), ["csv"])
    plan = run.plan_of(files, folder)
    _, first = run.score_some(Model, plan, cluster.url)
    assert 0 < first.done < len(plan.parts)
    with killed_meanwhile(cluster.workers[0]):
        _, second = run.score_some(Model, plan, cluster.url)
    assert second.done > first.done
    with monkeypatch.context() as soon:
        soon.setattr(reach, "REACH_SECONDS", 2)
        with suppress(ClusterUnavailable), killed_meanwhile(cluster.scheduler):
            run.score_some(Model, plan, cluster.url)
        with pytest.raises(ClusterUnavailable):
            run.score_some(Model, plan, cluster.url)
    held = run.progress_of(plan)
    assert held.done >= second.done
    url = cluster.url
    end(cluster.workers)
    cluster.start_scheduler(url)
    cluster.start_worker()
    while run.progress_of(plan).done < len(plan.parts):
        run.score_some(Model, plan, url)
    place = Place(Storage(files), "there.csv", "csv")
    run.finish(Model, plan, {place.form: (place.storage, place.path)}, (place.storage, "rejects.csv"), lambda: None)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()

"""The worker as its users run it: real processes that are killed, stopped and started again."""

import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import JobFinished
from mlapi.jobs import batch, store, train, worker
from mlapi.jobs.job import Job
from mlapi.monitoring.jobs import JobMetrics

from rig.bench import PATIENCE, Bench, wait_for
from rig.eager import EAGER_TRAINING
from rig.names import PREFIX
from rig.processes import children_of, is_alive

BLOCKED = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
"""Asks PostgreSQL for sessions that wait for what another holds."""

CUT_OFF = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
"""Ends what holds a worker's name, as PostgreSQL does a few seconds after the worker's machine was cut off."""


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """A file; the trainings that are told of it end when it is gone."""
    path = tmp_path / "hold"
    path.touch()
    return path


def test_a_real_training_is_published_and_promoted_once(bench: Bench) -> None:
    """The whole way, with nothing faked; progress only rises."""
    bench.start(PYTHONPATH=EAGER_TRAINING)
    job_id = bench.submit()
    shown = [0.0]

    def done() -> Job | None:
        job = bench.jobs.get(job_id)
        shown.append(job.progress)
        return job if job.done else None

    job = wait_for(done, "the training to end", 300)
    assert (job.state, job.error) == ("succeeded", None)
    assert job.result is not None
    assert job.result["metrics"][Model.score] > 0.5
    assert (job.result["version"], job.result["promoted"]) == ("1", True)
    assert bench.registry.versions() == [bench.registry.champion()] == ["1"]
    assert shown == sorted(shown)
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.created_at <= job.started_at <= job.finished_at
    assert not list(bench.registry.candidate("").glob("*"))
    with pytest.raises(JobFinished):
        bench.jobs.cancel(job_id)
    assert bench.jobs.get(job_id) == job


def test_a_worker_waits_longer_for_its_database_than_a_caller(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several make it at once on a busy machine."""
    monkeypatch.setattr(store, "OPENING_PATIENCE", 0)
    for name, stand_in in {
        "_stop_on_signals": threading.Event,
        "_configure": lambda *_: None,
        "_launch": lambda: None,
        "_watch": lambda *_: None,
        "_stop": lambda jobs, _name: jobs.close(),
    }.items():
        monkeypatch.setattr(worker, name, stand_in)
    for kind in (train, batch):
        monkeypatch.setattr(kind, "register", lambda *_: None)
    worker.run(Model, settings, JobMetrics())


def test_a_job_survives_workers_killed_at_any_moment(bench: Bench, hold: Path) -> None:
    """Checklist 32."""
    job_id = bench.submit(hold=str(hold))
    shown = 0.0
    for _ in range(2):
        worker = bench.start()
        bench.wait(job_id, "running")
        time.sleep(random.uniform(0, 1.2))
        children = children_of(worker.pid)
        worker.kill()
        worker.wait()
        wait_for(lambda: not any(map(is_alive, children)), "the orphans to end")  # noqa: B023 - asked at once
        assert bench.jobs.get(job_id).progress >= shown
        shown = bench.jobs.get(job_id).progress
    hold.unlink()
    bench.start()
    job = bench.wait(job_id, "succeeded")
    assert job.result is not None
    assert bench.registry.versions() == [job.result["version"]] == ["1"]


def test_trainings_run_one_by_one_and_those_of_a_dead_worker_go_on_elsewhere(bench: Bench, hold: Path) -> None:
    """Checklist 32 and 36."""
    workers = [bench.start(), bench.start()]
    wait_for(lambda: len(ready(bench)) == len(workers), "both workers to be ready")
    first = bench.submit(hold=str(hold))
    bench.wait(first, "running", progress=0.01)
    second = bench.submit()  # not before: on SQLite both workers may take a job in the same moment, and one then waits
    (busy,) = [worker for worker in workers if children_of(worker.pid)]
    assert len(children_of(busy.pid)) == 1
    busy.kill()
    busy.wait()
    wait_for(lambda: any(children_of(worker.pid) for worker in workers if worker is not busy), "the other to take over")
    assert bench.jobs.get(second).state == "queued"
    hold.unlink()
    bench.wait(first, "succeeded")
    bench.wait(second, "succeeded")
    assert bench.registry.versions() == ["2", "1"]


def test_a_worker_cut_off_in_the_midst_of_a_write_holds_nobody_up(bench: Bench, hold: Path, tmp_path: Path) -> None:
    """Checklist 32; the database gives up what the worker began, and with it the locks."""
    if bench.settings.database_url is None:
        pytest.skip("a file is on one machine, which is not cut off from itself")
    worker, job_id = bench.start(), bench.submit(hold=str(hold))
    bench.wait(job_id, "running", progress=0.01)
    with psycopg.connect(bench.settings.database_url.get_secret_value()) as database:
        database.execute("SELECT FROM dbos.workflow_status WHERE workflow_uuid = %s FOR UPDATE", [job_id])
        wait_for(lambda: bool(database.execute(BLOCKED).fetchall()), "the worker to write")
        worker.send_signal(signal.SIGSTOP)
        database.execute(CUT_OFF)
    bench.start(**{f"{PREFIX}DATA_DIR": str(tmp_path / "elsewhere")})
    wait_for(lambda: bench.log.read_text().count("pretending") == 2, "the job to go on")
    hold.unlink()
    bench.wait(job_id, "succeeded")
    worker.send_signal(signal.SIGCONT)
    assert worker.wait(PATIENCE) == 0
    assert "meanwhile another worker took its name" in bench.log.read_text()
    assert bench.registry.versions() == ["1"]


def ready(bench: Bench) -> list[str]:
    return [line for line in bench.log.read_text().splitlines() if line.endswith("is ready")]


def test_a_stopped_worker_leaves_its_job_to_the_next_which_ends_it_when_it_is_cancelled(
    bench: Bench, hold: Path
) -> None:
    """Checklist 40; the worker is stopped by the end of its parent, which is as good as a signal."""
    worker = bench.start("--exit-with-parent")
    job_id = bench.submit(hold=str(hold))
    bench.wait(job_id, "running", progress=0.01)
    (child,) = children_of(worker.pid)
    assert worker.stdin
    worker.stdin.close()
    assert worker.wait(PATIENCE) == 0
    wait_for(lambda: not is_alive(child), "the child to end")
    job, record = bench.jobs.get(job_id), bench.jobs.record(job_id)
    assert (job.state, job.done, job.error) == ("queued", False, None)
    assert job.progress > 0
    assert record.recovery_attempts == 0  # a stop is not held against the job

    worker, following = bench.start(), bench.submit()
    bench.wait(job_id, "running")
    (child,) = wait_for(lambda: children_of(worker.pid), "the child of the next worker")
    job = bench.jobs.cancel(job_id)
    assert (job.state, job.done) == ("cancelled", True)
    assert job.started_at is not None
    wait_for(lambda: not is_alive(child), "the child of the cancelled job to end")
    bench.wait(following, "succeeded")
    assert bench.jobs.get(job_id).state == "cancelled"
    wait_for(lambda: not list(bench.registry.candidate("").glob("*")), "what is left of both to be removed")


def test_jobs_that_cannot_succeed_fail_with_one_sentence_while_others_run(bench: Bench, hold: Path) -> None:
    """Checklist 32; also: the worker calls nobody, and nothing that it keeps is a pickle."""
    worker = bench.start()
    killed = bench.submit(die=True)
    refused = bench.submit(refuse="the exported model differs")
    wrong, surprise = bench.submit(fail="ValueError"), bench.submit(fail="KeyError")
    good = bench.submit()
    errors = {job_id: bench.wait(job_id, "failed").error or "" for job_id in (killed, refused, wrong, surprise)}
    assert "memory ran out" in errors[killed]
    assert errors[refused] == "the exported model differs"
    assert errors[wrong] == "The training failed: in ...: ValueError"
    assert "KeyError" in errors[surprise]
    bench.wait(good, "succeeded")
    worker.terminate()
    assert worker.wait(PATIENCE) == 0
    bench.start(**{f"{PREFIX}TRAIN_TIMEOUT_SECONDS": "0.5"})
    slow = bench.wait(bench.submit(hold=str(hold)), "failed")
    assert "0.5 seconds" in (slow.error or "")
    assert bench.registry.versions() == ["1"]
    # The log tells more of what nobody foresaw, and only of that.
    assert bench.log.read_text().count("Traceback") == 1
    assert not bench.connections.exists()
    if bench.settings.database_url is None:  # the same code writes both databases
        with closing(sqlite3.connect(bench.settings.data_dir / "jobs.sqlite")) as database:
            for table in ("workflow_status", "operation_outputs"):
                kinds = database.execute(f"SELECT DISTINCT serialization FROM {table}").fetchall()
                assert kinds == [("portable_json",)]


def test_a_version_serves_although_it_could_not_be_recorded(bench: Bench) -> None:
    """The MLflow server is away."""
    bench.start(**{f"{PREFIX}MLFLOW_URL": "http://127.0.0.1:1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"})
    job = bench.wait(bench.submit(), "succeeded")
    assert job.result is not None
    assert (job.result["promoted"], bench.registry.champion()) == (True, "1")
    assert job.result["tracking"].startswith("Not recorded: ")

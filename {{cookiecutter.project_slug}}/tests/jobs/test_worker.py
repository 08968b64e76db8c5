"""The worker as its users run it: real processes that are killed, stopped and started again."""

import random
import sqlite3
import time
from contextlib import closing

import pytest

from package_name.errors import JobFinished
from package_name.ml import Model
from package_name.settings import PREFIX

from rig.bench import Bench, is_alive, wait_for


def test_a_real_training_is_published_and_promoted_once(bench: Bench) -> None:
    """The whole way, with nothing faked; progress only rises."""
    bench.start(PYTHONPATH="")
    job_id = bench.submit()
    shown = [0.0]
    while not (job := bench.jobs.get(job_id)).done:
        shown.append(job.progress)
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


def test_a_job_survives_workers_killed_at_any_moment(bench: Bench) -> None:
    """Checklist 32."""
    job_id = bench.submit(seconds=1.2)
    shown = 0.0
    for _ in range(2):
        worker = bench.start()
        bench.wait(job_id, "running")
        time.sleep(random.uniform(0, 1.2))  # noqa: S311 - the moment is the point
        children = bench.children(worker)
        worker.kill()
        worker.wait()
        wait_for(lambda: not any(map(is_alive, children)), "the orphans to end", 5)  # noqa: B023 - asked at once
        assert bench.jobs.get(job_id).progress >= shown
        shown = bench.jobs.get(job_id).progress
    bench.start()
    job = bench.wait(job_id, "succeeded")
    assert job.result is not None
    assert bench.registry.versions() == [job.result["version"]] == ["1"]


def test_trainings_run_one_by_one_and_those_of_a_dead_worker_go_on_elsewhere(bench: Bench) -> None:
    """Checklist 32 and 36."""
    workers = [bench.start(), bench.start()]
    first, second = bench.submit(seconds=1.5), bench.submit()
    bench.wait(first, "running", progress=0.2)
    assert bench.jobs.get(second).state == "queued"
    wait_for(lambda: len(ready(bench)) == len(workers), "both workers to be ready")
    (busy,) = [worker for worker in workers if bench.children(worker)]
    busy.kill()
    busy.wait()
    killed = time.monotonic()
    wait_for(lambda: any(bench.children(worker) for worker in workers if worker is not busy), "the other to take over")
    assert time.monotonic() - killed < 10
    bench.wait(first, "succeeded")
    bench.wait(second, "succeeded")
    assert bench.registry.versions() == ["2", "1"]


def ready(bench: Bench) -> list[str]:
    return [line for line in bench.log.read_text().splitlines() if line.endswith("is ready")]


def test_a_stopped_worker_leaves_its_job_to_the_next_which_ends_it_when_it_is_cancelled(bench: Bench) -> None:
    """Checklist 40; the worker is stopped by the end of its parent, which is as good as a signal."""
    worker = bench.start("--exit-with-parent")
    job_id = bench.submit(seconds=60)
    bench.wait(job_id, "running", progress=0.01)
    (child,) = bench.children(worker)
    assert worker.stdin
    worker.stdin.close()
    assert worker.wait(10) == 0
    assert not is_alive(child)
    job, record = bench.jobs.get(job_id), bench.jobs.record(job_id)
    assert (job.state, job.done, job.error) == ("queued", False, None)
    assert job.progress > 0
    assert record.recovery_attempts == 0  # a stop is not held against the job

    worker, following = bench.start(), bench.submit()
    bench.wait(job_id, "running")
    (child,) = wait_for(lambda: bench.children(worker), "the child of the next worker")
    job = bench.jobs.cancel(job_id)
    assert (job.state, job.done) == ("cancelled", True)
    assert job.started_at is not None
    wait_for(lambda: not is_alive(child), "the child of the cancelled job to end", 3)
    bench.wait(following, "succeeded")
    assert bench.jobs.get(job_id).state == "cancelled"
    assert not list(bench.registry.candidate("").glob("*"))


def test_jobs_that_cannot_succeed_fail_with_one_sentence_while_others_run(bench: Bench) -> None:
    """Checklist 32; also: the worker calls nobody, and nothing that it keeps is a pickle."""
    bench.start(**{f"{PREFIX}TRAIN_TIMEOUT_SECONDS": "8"})
    killed = bench.submit(die=True)
    refused = bench.submit(refuse="the exported model differs")
    wrong, surprise = bench.submit(fail="ValueError"), bench.submit(fail="KeyError")
    slow, good = bench.submit(seconds=60), bench.submit()
    errors = {job_id: bench.wait(job_id, "failed").error or "" for job_id in (killed, refused, wrong, surprise, slow)}
    assert "memory ran out" in errors[killed]
    assert errors[refused] == "the exported model differs"
    assert errors[wrong] == "The training failed: in ...: ValueError"
    assert "KeyError" in errors[surprise]
    assert "8 seconds" in errors[slow]
    bench.wait(good, "succeeded")
    assert bench.registry.versions() == ["1"]
    # The log tells more of what nobody foresaw, and only of that.
    assert bench.log.read_text().count("Traceback") == 1
    assert not bench.connections.exists()
    if bench.settings.database_url is None:  # the same code writes both databases
        with closing(sqlite3.connect(bench.settings.data_dir / "jobs.sqlite")) as database:
            for table in ("workflow_status", "operation_outputs"):
                kinds = database.execute(f"SELECT DISTINCT serialization FROM {table}").fetchall()  # noqa: S608
                assert kinds == [("portable_json",)]


def test_a_version_serves_although_it_could_not_be_recorded(bench: Bench) -> None:
    """The MLflow server is away."""
    bench.start(**{f"{PREFIX}MLFLOW_URL": "http://127.0.0.1:1"})
    job = bench.wait(bench.submit(), "succeeded")
    assert job.result is not None
    assert (job.result["promoted"], bench.registry.champion()) == (True, "1")
    assert job.result["tracking"].startswith("Not recorded: ")

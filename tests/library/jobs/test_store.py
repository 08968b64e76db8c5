import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sample.settings import Settings

from mlapi.errors import BadInput, JobNotFound, JobsUnavailable
from mlapi.jobs import store
from mlapi.jobs.store import SILENT, Jobs

from rig.names import PREFIX
from rig.sample import python_path


@pytest.fixture
def jobs(settings: Settings) -> Iterator[Jobs]:
    jobs = Jobs(settings)
    yield jobs
    jobs.close()


def test_a_job_is_queued_found_listed_and_cancelled(jobs: Jobs) -> None:
    job = jobs.submit("train", {"hyperparameters": {"seed": 1}})
    assert (job.kind, job.state, job.progress, job.result, job.error) == ("train", "queued", 0.0, None, None)
    assert jobs.get(job.id) == job
    assert jobs.list().jobs == [job]
    cancelled = jobs.cancel(job.id)
    assert cancelled.state == "cancelled"
    assert cancelled.finished_at is not None
    assert jobs.cancel(job.id) == cancelled


@pytest.mark.parametrize("job_id", ["../", "a/../b", "\0", "\ud800", "x" * 300, "", "0" * 31 + "G", "%2e", "0" * 32])
def test_a_hostile_id_names_no_job(settings: Settings, job_id: str) -> None:
    """Checklist 11 and 19."""
    jobs = Jobs(settings)
    for question in (jobs.get, jobs.cancel):
        with pytest.raises(JobNotFound):
            question(job_id)
    jobs.close()


def test_a_hostile_id_does_not_even_open_the_database(settings: Settings) -> None:
    with pytest.raises(JobNotFound):
        Jobs(settings).get("../../etc/passwd")
    assert not settings.data_dir.exists()


def test_concurrent_submissions_with_one_key_are_one_job(jobs: Jobs) -> None:
    """Checklist 36."""
    with ThreadPoolExecutor(10) as pool:
        submitted = list(pool.map(lambda _: jobs.submit("train", {}, "a key"), range(10)))
    assert len({job.id for job in submitted}) == 1
    jobs.cancel(submitted[0].id)
    assert jobs.submit("train", {}, "a key").state == "cancelled"
    assert jobs.submit("train", {}, "another \ud800\0").id != submitted[0].id
    assert len(jobs.list().jobs) == 2


@pytest.mark.parametrize("limit", [1, 4, 11])
def test_pages_follow_each_other_newest_first_while_jobs_arrive(jobs: Jobs, limit: int) -> None:
    submitted = [jobs.submit("train", {}).id for _ in range(11)]
    page = jobs.list(limit)
    listed = [job.id for job in page.jobs]
    while page.cursor:
        jobs.submit("train", {})
        page = jobs.list(limit, page.cursor)
        listed += [job.id for job in page.jobs]
    assert listed == submitted[::-1]


@pytest.mark.parametrize(
    "cursor", ["", "x", "W10=", "WzEsMiwzXQ==", "WzFlOTk5LDBd", "e30=", "é", "\ud800", "WyJhIiwgMV0="]
)
def test_a_cursor_that_no_page_gave_is_refused(jobs: Jobs, cursor: str) -> None:
    with pytest.raises(BadInput):
        jobs.list(cursor=cursor)


def test_processes_that_start_at_once_make_one_database(settings: Settings) -> None:
    program = (
        "from mlapi.jobs import store\n"
        "from mlapi.jobs.store import Jobs\n"
        "from sample.settings import Settings\n"
        "store.PATIENCE = store.OPENING_PATIENCE = 60\n"
        "jobs = Jobs(Settings())\n"
        "print(jobs.submit('train', {}).id)\n"
        "jobs.close()\n"
    )
    environment = {
        "PYTHONPATH": python_path(),
        f"{PREFIX}DATA_DIR": str(settings.data_dir),
        f"{PREFIX}DATABASE_URL": settings.jobs_url(),
    }
    started = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ids = {process.communicate()[0].strip() for process in started}
    assert [process.returncode for process in started] == [0, 0]
    jobs = Jobs(settings)
    assert {job.id for job in jobs.list().jobs} == ids
    jobs.close()


def test_arguments_are_kept_as_json(jobs: Jobs, settings: Settings) -> None:
    if settings.database_url is not None:
        pytest.skip("the same code writes both databases; this looks into a file")
    job = jobs.submit("train", {"hyperparameters": {"seed": 1}})
    with sqlite3.connect(settings.data_dir / "jobs.sqlite") as database:
        (kind,) = database.execute("SELECT serialization FROM workflow_status").fetchone()
        (kept,) = database.execute("SELECT inputs FROM workflow_input").fetchone()
    database.close()
    assert kind == "portable_json"
    assert json.loads(kept) == {"namedArgs": {}, "positionalArgs": [{"hyperparameters": {"seed": 1}}]}
    assert jobs.get(job.id) == job


def test_a_locked_database_is_unavailable_soon_and_then_works_again(
    jobs: Jobs, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checklist 39; our own limit ends the waiting, and not the one of the library, which is half a minute."""
    if settings.database_url is not None:
        pytest.skip("PostgreSQL is not locked as a whole")
    job = jobs.submit("train", {})
    other = sqlite3.connect(settings.data_dir / "jobs.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with monkeypatch.context() as soon:
        soon.setattr(store, "PATIENCE", 0.1)
        with pytest.raises(JobsUnavailable, match=SILENT):
            jobs.get(job.id)
    other.execute("ROLLBACK")
    other.close()
    assert jobs.get(job.id) == job


def test_a_database_that_is_gone_is_unavailable_and_comes_back(settings: Settings) -> None:
    """Checklist 39."""
    if settings.database_url is not None:
        pytest.skip("stopping the server is no business of a test")
    settings.data_dir.write_text("a file where the directory should be")
    jobs = Jobs(settings)
    with pytest.raises(JobsUnavailable):
        jobs.submit("train", {})
    settings.data_dir.unlink()
    assert jobs.submit("train", {}).state == "queued"
    jobs.close()


@pytest.mark.parametrize("url", ["postgresql://user:secret@127.0.0.1:9/none", "postgresql://:secret@/"])
def test_a_database_that_cannot_be_reached_is_unavailable_and_its_password_is_not_told(url: str) -> None:
    jobs = Jobs(Settings(database_url=url))
    with pytest.raises(JobsUnavailable) as raised:
        jobs.list()
    assert "secret" not in str(raised.value)

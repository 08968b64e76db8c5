"""Files scored by real workers, on both databases."""

import csv
import io
import itertools
import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import Unavailable
from mlapi.jobs import patience
from mlapi.jobs.expiry import Expiry
from mlapi.jobs.store import POLL_SECONDS
from mlapi.jobs.worker import SWEEP_SECONDS
from mlapi.scoring.foreground import score_now
from mlapi.scoring.run import PARTS_A_CORE
from mlapi.storage import Storage

from rig.bench import PATIENCE, Bench, wait_for
from rig.names import PREFIX
from rig.sample import python_path

if TYPE_CHECKING:
    import subprocess

KILLS = int(os.environ.get("KILLS", "3"))
"""How often the worker is killed; KILLS=50 takes some minutes."""
SMALL_PARTS = python_path(Path(__file__).parent / "small_parts")
"""Value of PYTHONPATH with which parts are small, so that a job has many."""
PART_BYTES = 8000
"""As small as that."""
ROW = dict(Model.Features.example())
GROUP = PARTS_A_CORE * len(os.sched_getaffinity(0))
"""Parts that a worker scores between two looks at whether to go on."""


def table(rows: int, seed: int = 0) -> bytes:
    """Write good rows, each with an id."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", *ROW])
    for number in range(rows):
        writer.writerow([f"{seed}-{number}", *ROW.values()])
    return file.getvalue().encode()


def groups(count: int) -> bytes:
    """Write a file of so many groups of parts, and a little more."""
    return table(count * GROUP * PART_BYTES // len(table(1).splitlines()[1]))


@pytest.fixture
def hold(bench: Bench) -> Path:
    """A file, whose number says from which part on parts wait; nor do they any more when it is gone."""
    path = bench.log.with_name("hold")
    path.write_text(str(GROUP))
    bench.environment["HOLD_PARTS"] = str(path)
    return path


@pytest.fixture(autouse=True)
def _champion(bench: Bench, trained: Settings) -> None:
    """Let the workers have a model."""
    bench.settings.models_dir.parent.mkdir(exist_ok=True)
    bench.settings.models_dir.symlink_to(trained.models_dir.resolve())
    bench.environment |= {"PYTHONPATH": SMALL_PARTS, "TOLD_PARTS": str(bench.log.with_name("parts"))}


def test_a_file_is_scored_and_its_job_tells_what_came_of_it(bench: Bench, trained: Settings, tmp_path: Path) -> None:
    content = table(3000) + b"bad\n"
    bench.start()
    job = bench.wait(bench.score(bench.upload(content)), "succeeded", "failed")
    assert job.result is not None, job.error
    assert (job.kind, job.rows, job.rejected, job.progress) == ("score", 3000, 1, 1.0)
    assert job.rows_per_second
    assert job.result["formats"] == ["csv"]
    (tmp_path / "in.csv").write_bytes(content)
    score_now(Model, trained, str(tmp_path / "in.csv"), str(tmp_path / "out.csv"), lambda _progress, _of: None)
    assert bench.result(job.id) == (tmp_path / "out.csv").read_bytes()
    left = Storage(bench.settings.files_url()).paths(f"jobs/{job.id}")
    assert left == ["model", "plan", "rejects.csv", "result.csv"]


def test_a_file_that_cannot_be_scored_fails_at_once_with_the_reason(bench: Bench) -> None:
    bench.start()
    job = bench.wait(bench.score(bench.upload(b"a,b\n1,2\n")), "failed")
    assert "must have the column" in (job.error or "")
    job = bench.wait(bench.score("uploads/none.csv"), "failed")
    assert job.error == "The file to score is not there."
    job = bench.wait(bench.score(bench.upload(table(0) + b"," * (len(ROW) + 1) + b"\n")), "failed")
    assert (job.error or "").startswith(f"No row can be scored. Line 2: has {len(ROW) + 2} cells")


def test_jobs_survive_workers_killed_at_random_moments(bench: Bench, trained: Settings, tmp_path: Path) -> None:
    """Checklist 32; `KILLS=50 pytest -s -k random_moments tests/library/jobs/test_batch.py` is the long run."""
    contents = [table(20_000 + 3000 * KILLS, seed) for seed in range(4)]
    environment = {f"{PREFIX}SCORE_JOBS": "4", "PART_SECONDS": "0.2"}
    jobs = [bench.score(bench.upload(content, f"{seed}.csv")) for seed, content in enumerate(contents)]
    shown = dict.fromkeys(jobs, 0.0)
    kills = 0
    chance = random.Random(7)
    while kills < KILLS and not all(bench.jobs.get(job).done for job in jobs):
        before = len(parts_told(bench))
        worker = bench.start(**environment)
        if kills % 5:  # in the midst of its work; else most likely while it starts
            wait_for(lambda: len(parts_told(bench)) > before or all_done(bench, jobs), "a part")  # noqa: B023
        time.sleep(chance.uniform(0, 2))
        worker.kill()
        worker.wait()
        kills += 1
        for job in jobs:
            progress = bench.jobs.get(job).progress
            assert progress >= shown[job]
            shown[job] = progress
    bench.start(**environment)
    for job, content, seed in zip(jobs, contents, itertools.count(), strict=False):
        ended = bench.wait(job, "succeeded", "failed", seconds=300)
        assert (ended.state, ended.error) == ("succeeded", None)
        (tmp_path / "in.csv").write_bytes(content)
        score_now(Model, trained, str(tmp_path / "in.csv"), str(tmp_path / f"{seed}.csv"), lambda _progress, _of: None)
        assert bench.result(job) == (tmp_path / f"{seed}.csv").read_bytes()
        ids = [line.partition(b",")[0] for line in bench.result(job).splitlines()[1:]]
        assert len(ids) == len(set(ids)) == ended.rows == content.count(b"\n") - 1
    again = Counter(parts_told(bench))
    repeated = sum(again.values()) - len(again)
    print(f"{kills} kills, {len(again)} parts, {repeated} of them scored again, 4 jobs succeeded")
    assert repeated <= kills * GROUP


def parts_told(bench: Bench, job: str = "") -> list[str]:
    """Name the parts that were begun, of one job or all, as often as they were."""
    told = bench.log.with_name("parts")
    return [part for part in told.read_text().split() if job in part] if told.exists() else []


def all_done(bench: Bench, jobs: list[str]) -> bool:
    return all(bench.jobs.get(job).done for job in jobs)


def test_a_job_of_a_dead_worker_goes_on_elsewhere(bench: Bench, hold: Path) -> None:
    """Checklist 32: within ten seconds, on a machine that does what a worker asks of it at once."""
    assert 2 * SWEEP_SECONDS + POLL_SECONDS < 10
    first = bench.start()
    content = groups(3)
    job = bench.score(bench.upload(content))
    bench.wait(job, "running", progress=0.01)
    second = bench.start()
    wait_for(lambda: bench.log.read_text().count("is ready") == 2, "the second worker")
    before = bench.jobs.record(job).executor_id
    first.kill()
    wait_for(lambda: bench.jobs.record(job).executor_id not in {before, None}, "the second worker to take it up")
    hold.unlink()
    assert bench.wait(job, "succeeded").rows == content.count(b"\n") - 1
    assert second.poll() is None


def stop(worker: "subprocess.Popen[bytes]", bench: Bench) -> None:
    """Let a worker stand still, but not while it holds a lock of the database, which all others would wait for."""
    while True:
        worker.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, worker.pid, os.WSTOPPED)
        if not bench.is_locked():
            return
        worker.send_signal(signal.SIGCONT)
        # Stopped again at once, it would get no further, and hold the lock for ever.
        wait_for(lambda: not bench.is_locked(), "the lock to be free")


def test_a_worker_that_comes_back_after_its_job_went_elsewhere_changes_nothing(bench: Bench, hold: Path) -> None:
    """Checklist 32; a worker that stands still keeps its name, so only its end sets the job free."""
    first = bench.start()
    content = groups(3)
    job = bench.score(bench.upload(content))
    bench.wait(job, "running", progress=0.01)
    stop(first, bench)
    other = bench.jobs.record(job).executor_id
    bench.jobs.hand_back(other or "")  # as when its lock was lost with its connection
    second = bench.start()
    hold.unlink()
    ended = bench.wait(job, "succeeded")
    result = bench.result(job)
    second.terminate()
    assert second.wait(PATIENCE) == 0
    first.send_signal(signal.SIGCONT)
    bench.wait(bench.score(bench.upload(groups(3), "other.csv")), "succeeded")  # by the first: it is at work again
    first.terminate()
    assert first.wait(PATIENCE) == 0
    assert bench.jobs.get(job) == ended
    assert bench.result(job) == result
    assert result.count(b"\n") == content.count(b"\n")


def test_a_job_that_is_cancelled_ends_after_the_parts_at_hand(bench: Bench, hold: Path) -> None:
    bench.start()
    job = bench.score(bench.upload(groups(10)))
    bench.wait(job, "running", progress=0.01)
    cancelled = bench.jobs.cancel(job)
    assert cancelled.state == "cancelled"
    hold.unlink()
    bench.wait(bench.score(bench.upload(groups(5), "other.csv")), "succeeded")  # the other would get on as much
    assert len(parts_told(bench, job)) <= 2 * GROUP
    assert bench.jobs.get(job).progress < 1
    assert bench.jobs.get(job).state == "cancelled"


def test_a_poison_job_is_given_up_while_others_succeed(bench: Bench) -> None:
    """Checklist 32; a row of it ends the worker."""
    bench.environment["POISON"] = "poison"
    poison = bench.score(bench.upload(table(10).replace(b"0-5,", b"poison,"), "poison.csv"))
    others = [bench.score(bench.upload(table(50, seed), f"{seed}.csv")) for seed in range(6)]
    deadline = time.monotonic() + 900
    while not all_done(bench, [poison, *others]) and time.monotonic() < deadline:
        worker = bench.start()
        wait_for(lambda: worker.poll() is not None or all_done(bench, [poison, *others]), "an end", 300)  # noqa: B023
        worker.kill()
        worker.wait()
    assert [bench.jobs.get(job).state for job in others] == ["succeeded"] * 6
    given_up = bench.jobs.get(poison)
    assert (given_up.state, "given up" in (given_up.error or "")) == ("failed", True)


@pytest.mark.parametrize("count", [int(os.environ.get("SMALL_JOBS", "24"))])
def test_many_small_jobs_on_three_workers_run_once_each(bench: Bench, count: int) -> None:
    """Checklist 32 and 36; SMALL_JOBS=600 is the long run."""
    source = bench.upload(table(5))
    jobs = [bench.score(source) for _ in range(count)]
    for _ in range(3):
        bench.start()
    for job in jobs:
        assert bench.wait(job, "succeeded", "failed", seconds=600).rows == 5
    runs = Counter(part.rpartition("/")[0] for part in parts_told(bench))
    assert runs == dict.fromkeys((f"jobs/{job}" for job in jobs), 1)


def test_a_job_goes_on_after_a_redeploy(bench: Bench, hold: Path) -> None:
    """Checklist 40; the workers are stopped and others started, which is not held against the job."""
    content = groups(4)
    job = bench.score(bench.upload(content))
    for done in (1, 2):
        hold.write_text(str(done * GROUP))
        worker = bench.start()
        bench.wait(job, "running", progress=0.15 * done)
        worker.terminate()
        bench.wait(job, "queued")
        hold.unlink()
        assert worker.wait(PATIENCE) == 0
    bench.start()
    assert bench.wait(job, "succeeded").rows == content.count(b"\n") - 1


def test_concurrent_submissions_with_one_key_are_one_job(bench: Bench) -> None:
    """Checklist 36."""
    source = bench.upload(table(5))
    with ThreadPoolExecutor(10) as pool:
        jobs = set(pool.map(lambda _: bench.score(source, key="one"), range(10)))
    assert len(jobs) == 1


def test_files_are_removed_when_their_time_has_come(bench: Bench) -> None:
    source = bench.upload(table(5))
    bench.start()
    done, failed = bench.score(source), bench.score("uploads/none")
    bench.wait(done, "succeeded")
    bench.wait(failed, "failed")
    storage = Storage(bench.settings.files_url())
    storage.write(f"jobs/{failed}/parts/000000", b"left")
    storage.write(f"jobs/{'0' * 32}/result.csv", b"nobody's")
    expiry = Expiry(bench.settings, bench.jobs)
    expiry.keep()
    assert list(storage.folders("jobs")) == [done]
    assert storage.size(source)
    expiry.remove(datetime.now(UTC) + timedelta(seconds=bench.settings.keep_results_seconds + 60))
    assert list(storage.folders("jobs")) == []
    assert list(storage.paths("uploads")) == []


def test_an_upload_is_kept_for_as_long_as_its_job_waits(bench: Bench) -> None:
    job = bench.score(bench.upload(table(5)))
    expiry = Expiry(bench.settings, bench.jobs)
    storage = Storage(bench.settings.files_url())
    later = datetime.now(UTC) + timedelta(seconds=bench.settings.keep_results_seconds + 60)
    expiry.remove(later)
    assert list(storage.paths("uploads")) == ["file.csv"]
    bench.jobs.cancel(job)
    expiry.remove(later)
    assert list(storage.paths("uploads")) == []


def test_a_full_disk_fails_the_job_and_says_so(bench: Bench) -> None:
    """Checklist 34."""
    bench.start(**{f"{PREFIX}MIN_FREE_BYTES": str(2**60)})
    job = bench.wait(bench.score(bench.upload(table(5))), "failed")
    assert "too little room on the disk" in (job.error or "")


def test_a_storage_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def step() -> str:
        asked.append(None)
        if len(asked) < 3:
            raise Unavailable("away")
        return "done"

    assert patience.patient(step, lambda: None) == "done"
    monkeypatch.setattr(patience, "PATIENCE", -1)
    asked.clear()
    with pytest.raises(Unavailable):
        patience.patient(step, lambda: None)

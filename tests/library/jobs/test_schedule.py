from datetime import UTC, datetime, timedelta

import pytest
from sample.settings import Settings

from mlapi.jobs import schedule
from mlapi.jobs.schedule import Schedule, next_after

from rig.bench import Bench, wait_for
from rig.names import PREFIX

YEARLY = "0 0 1 1 *"
YEARS = timedelta(days=5 * 365)


def test_the_next_training_waits_in_the_queue_once_however_many_workers_see_to_it(bench: Bench) -> None:
    yearly = bench.settings.model_copy(update={"train_schedule": YEARLY})
    for _ in range(3):
        worker = Schedule(yearly, bench.jobs)
        worker.keep()
        worker.keep()
    (job,) = bench.jobs.list().jobs
    assert (job.kind, job.state, job.owner) == ("train", "queued", None)
    other = bench.settings.model_copy(update={"train_schedule": "0 0 2 1 *"})
    Schedule(other, bench.jobs).keep()
    assert bench.jobs.get(job.id).state == "cancelled"
    Schedule(bench.settings, bench.jobs).keep()
    assert all(job.state == "cancelled" for job in bench.jobs.list().jobs)


def test_a_training_that_was_missed_runs_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs while five trainings come due: the first of them is late, the others never were."""
    yearly = bench.settings.model_copy(update={"train_schedule": YEARLY})
    submit = bench.jobs.submit
    # The queue goes by the machine's clock: what would be due five years ago is due at once.
    monkeypatch.setattr(bench.jobs, "submit", lambda *given, **named: submit(*given, **(named | {"delay": 0.01})))
    monkeypatch.setattr(schedule, "next_after", lambda _cron, moment: next_after(YEARLY, moment - YEARS))
    Schedule(yearly, bench.jobs).keep()
    (late,) = bench.jobs.list().jobs
    bench.start(**{f"{PREFIX}TRAIN_SCHEDULE": YEARLY})
    assert bench.wait(late.id, "succeeded").kind == "train"
    wait_for(lambda: len(bench.jobs.list().jobs) > 1, "the next training to be queued")
    following = [job for job in bench.jobs.list().jobs if job.id != late.id]
    assert [job.state for job in following] == ["queued"]
    assert bench.registry.versions() == ["1"]


@pytest.mark.parametrize("cron", ["", "0 3 * *", "0 3 * * 1 0", "61 * * * *", "@daily", "x"])
def test_an_expression_that_is_none_is_refused_when_the_service_starts(cron: str) -> None:
    with pytest.raises(ValueError, match="five fields"):
        Settings(train_schedule=cron)


@pytest.mark.parametrize("cron", ["0 0 30 2 *", "0 0 31 2,4,6 *"])
def test_a_time_that_never_comes_is_refused_when_the_service_starts(cron: str) -> None:
    with pytest.raises(ValueError, match="never comes"):
        Settings(train_schedule=cron)
    assert Settings(train_schedule="0 0 29 2 *").train_schedule, "it comes, if not each year"


def test_times_are_in_utc() -> None:
    monday = next_after("0 3 * * 1", datetime(2026, 1, 1, tzinfo=UTC))
    assert monday == datetime(2026, 1, 5, 3, tzinfo=UTC)

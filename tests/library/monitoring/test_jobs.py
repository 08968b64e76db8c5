from collections.abc import Mapping

import pytest

from mlapi.monitoring.jobs import JobMetrics


def lines(metrics: JobMetrics) -> list[str]:
    return metrics.text().decode().splitlines()


def test_a_job_is_counted_and_timed_by_how_it_ended() -> None:
    metrics = JobMetrics()
    with metrics.job("train"):
        pass
    with pytest.raises(ValueError, match="bad"), metrics.job("train"):
        raise ValueError("bad")
    assert 'jobs_finished_total{kind="train",state="succeeded"} 1.0' in lines(metrics)
    assert 'jobs_finished_total{kind="train",state="failed"} 1.0' in lines(metrics)
    assert 'job_duration_seconds_count{kind="train"} 2.0' in lines(metrics)


def test_a_job_that_is_only_put_down_is_not_counted() -> None:
    metrics = JobMetrics()
    with pytest.raises(KeyboardInterrupt), metrics.job("train"):
        raise KeyboardInterrupt
    assert not any(line.startswith("jobs_finished_total{") for line in lines(metrics))


def test_the_jobs_that_wait_are_asked_for_at_each_scrape() -> None:
    metrics = JobMetrics(lambda: {("train", "queued"): 2, ("train", "running"): 1})
    assert 'jobs_waiting{kind="train",state="queued"} 2.0' in lines(metrics)
    assert 'jobs_waiting{kind="train",state="running"} 1.0' in lines(metrics)


def test_without_the_database_the_other_metrics_are_told() -> None:
    def away() -> Mapping[tuple[str, str], int]:
        raise ConnectionError

    told = lines(JobMetrics(away))
    assert not any(line.startswith("jobs_waiting") for line in told)
    assert any(line.startswith("worker_process_resident_bytes ") for line in told)

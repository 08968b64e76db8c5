from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlapi.jobs.job import ERROR_LENGTH, Job, job_from


class StoredError(Exception):
    """As the library gives back an error that it kept as JSON."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def record(**changes: Any) -> Any:
    usual = {
        "workflow_id": "0" * 32,
        "name": "train",
        "status": "PENDING",
        "attributes": None,
        "authenticated_user": None,
        "created_at": 1_700_000_000_123,
        "dequeued_at": 1_700_000_001_000,
        "completed_at": None,
        "output": None,
        "error": None,
    }
    return cast("Any", SimpleNamespace(**(usual | changes)))


def failed(name: str, message: str = "") -> str:
    error = job_from(record(status="ERROR", error=StoredError(name, message))).error
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("status", "state", "done"),
    [
        ("DELAYED", "queued", False),
        ("ENQUEUED", "queued", False),
        ("PENDING", "running", False),
        ("SUCCESS", "succeeded", True),
        ("ERROR", "failed", True),
        ("CANCELLED", "cancelled", True),
        ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", "failed", True),
    ],
)
def test_every_status_of_the_library_is_a_state(status: str, state: str, done: bool) -> None:  # noqa: FBT001
    job = job_from(record(status=status))
    assert (job.state, job.done) == (state, done)
    assert (job.error is not None) == (state == "failed")


def test_times_are_aware_and_in_utc() -> None:
    job = job_from(record(status="SUCCESS", completed_at=1_700_000_002_500))
    assert job.created_at == datetime(2023, 11, 14, 22, 13, 20, 123000, UTC)
    assert job.finished_at == datetime(2023, 11, 14, 22, 13, 22, 500000, UTC)


def test_a_job_that_waits_again_remembers_when_it_started_and_how_far_it_came() -> None:
    notes = {"started_at": 1_700_000_001_000, "progress": 0.4}
    job = job_from(record(status="ENQUEUED", dequeued_at=None, attributes=notes))
    assert (job.state, job.progress) == ("queued", 0.4)
    assert job.started_at == datetime(2023, 11, 14, 22, 13, 21, tzinfo=UTC)


def test_what_succeeded_is_complete() -> None:
    job = job_from(record(status="SUCCESS", attributes={"progress": 0.9}, output={"version": "1"}))
    assert (job.progress, job.result) == (1.0, {"version": "1"})


def test_a_refusal_is_told_verbatim_and_at_bounded_length() -> None:
    assert failed("TrainingFailed", "the data are bad") == "the data are bad"
    assert len(failed("TrainingFailed", "x" * 10_000)) == ERROR_LENGTH


@pytest.mark.parametrize("name", ["KeyError", "Any", "DBOSUnexpectedStepError", ""])
def test_an_error_that_nobody_foresaw_tells_nothing_of_the_inside(name: str) -> None:
    error = failed(name, "Traceback: /srv/secret.py")
    assert "secret" not in error
    assert error.endswith("log tells more.")


def test_given_up_jobs_say_why() -> None:
    assert "killed" in failed("DBOSMaxStepRetriesExceeded", "Step candidate has exceeded its maximum")
    assert "given up" in (job_from(record(status="MAX_RECOVERY_ATTEMPTS_EXCEEDED")).error or "")


def test_the_example_in_the_schema_is_a_job() -> None:
    example = Job.model_json_schema()["examples"][0]
    assert Job.model_validate(example).model_dump(mode="json").keys() == example.keys()

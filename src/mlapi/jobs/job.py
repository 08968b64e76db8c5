"""What a job is, and how the durable-execution library's record of it becomes one."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict

from .. import errors

if TYPE_CHECKING:
    from dbos import WorkflowStatus

Kind = Literal["train", "score"]

KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of jobs. Each is the name of a workflow and of the queue it waits in."""

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]

STATES: Mapping[str, State] = {
    "DELAYED": "queued",
    # Also a job whose worker died or stopped, until another takes it up: nobody works on it meanwhile.
    "ENQUEUED": "queued",
    "PENDING": "running",
    "SUCCESS": "succeeded",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
    "CANCELLED": "cancelled",
}
"""The library's words for a job's state, and ours."""

ERROR_LENGTH = 500
"""Characters of the longest error that is shown."""


class Job(BaseModel):
    """A piece of background work, from its submission to its end."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "5f0c9d3f4a5e4c1f8d1b7a3e2c6b9f04",
                    "kind": "train",
                    "owner": "key:ada",
                    "state": "succeeded",
                    "done": True,
                    "progress": 1.0,
                    "rows": None,
                    "rejected": None,
                    "rows_per_second": None,
                    "created_at": "2026-01-31T12:00:00.123Z",
                    "started_at": "2026-01-31T12:00:00.301Z",
                    "finished_at": "2026-01-31T12:00:04.518Z",
                    "result": {"version": "2", "promoted": True, "reason": "the first version", "metrics": {}},
                    "error": None,
                }
            ]
        },
    )

    id: str
    """Identifies the job: 32 hexadecimal digits."""

    kind: Kind
    """What is done: `train` makes a new version, `score` predicts the rows of a file."""

    owner: str | None
    """Who asked for it; nobody where no credential is asked for, or if the schedule did."""

    state: State
    """`queued` until a worker takes it up, and again if that worker is lost."""

    done: bool
    """Whether the state is final: succeeded, failed or cancelled."""

    progress: float
    """Part of the work that is done, from 0 to 1. Never falls."""

    rows: int | None
    """Rows that were scored so far, if that is what it does."""

    rejected: int | None
    """Rows that could not be scored so far."""

    rows_per_second: int | None
    """Rows that are worked on in a second: lately, or in all once it has succeeded."""

    created_at: datetime
    """When the job was submitted (UTC)."""

    started_at: datetime | None
    """When work on it began for the first time (UTC)."""

    finished_at: datetime | None
    """When its state became final (UTC)."""

    result: dict[str, Any] | None
    """What the job made, once it has succeeded."""

    error: str | None
    """Why the job failed, in one sentence, once it has failed."""


class JobPage(BaseModel):
    """Some jobs, newest first."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    jobs: list[Job]
    """The jobs of this page."""

    cursor: str | None
    """Names the next page; null on the last one."""


def job_from(record: "WorkflowStatus") -> Job:
    """Translate the library's record of a job."""
    state = STATES[record.status]
    notes = record.attributes or {}
    output = record.output if state == "succeeded" else None
    counts = notes | (output or {})
    return Job(
        id=record.workflow_id,
        kind=cast("Kind", record.name),
        owner=record.authenticated_user or None,
        state=state,
        done=state not in {"queued", "running"},
        progress=1.0 if state == "succeeded" else notes.get("progress", 0.0),
        rows=counts.get("rows"),
        rejected=counts.get("rejected"),
        rows_per_second=counts.get("rows_per_second"),
        created_at=moment(record.created_at or 0),
        # The library forgets when a cancelled or recovered job started, so the worker notes it.
        started_at=moment(notes.get("started_at", record.dequeued_at)),
        finished_at=moment(record.completed_at),
        result=output,
        error=failure(record.status, record.error) if state == "failed" else None,
    )


def moment(milliseconds: int | None) -> datetime | None:
    """Translate milliseconds since 1970 to a time in UTC."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def failure(status: str, error: Exception | None) -> str:
    """Say in one sentence, for those who asked for the job, why it failed."""
    name = getattr(error, "name", "")
    if status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        return "The job was given up: each worker that took it up was stopped or died before it could finish."
    if name == "DBOSMaxStepRetriesExceeded":
        return "The job was given up: its process was killed each time, most likely because memory ran out."
    if issubclass(getattr(errors, name, object), errors.ServiceError):
        return str(error)[:ERROR_LENGTH]
    return f"The job failed for a reason that nobody foresaw ({name or 'unknown'}); the worker's log tells more."

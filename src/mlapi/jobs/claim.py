"""A worker's hold on a job that it runs."""

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import JobsUnavailable
from .patience import patient
from .store import Jobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dbos import WorkflowStatus

WORKER_TRIES = 5
"""How often a job is taken up again whose worker died."""

TICK_SECONDS = 0.5
"""Time between two looks by a job that waits, in seconds."""

REPORT_SECONDS = 1.0
"""Shortest time between two notes of a job's progress, in seconds."""

log = logging.getLogger(__name__)


class Abandoned(BaseException):
    """The job is no longer this process's. Not an `Exception`, which the library would record as the job's failure."""


class Claim:
    """A worker's hold on a job that it runs: whether it still stands, and the progress shown meanwhile."""

    def __init__(self, jobs: Jobs, job_id: str, stopping: threading.Event) -> None:
        self.job_id = job_id
        self._jobs = jobs
        self._stopping = stopping
        record = jobs.record(job_id)
        notes = record.attributes or {}
        self._mark = _mark(record)
        self._shown: float = notes.get("progress", 0.0)
        self._shown_at = 0.0
        self._phase = ""
        self.attempts: int = record.recovery_attempts or 0
        """How often the job was taken up, but for what a worker handed back when it stopped."""
        self.notes: Mapping[str, Any] = notes
        """What was noted of the job before."""
        self.started_at: float = notes.get("started_at", record.dequeued_at or 0) / 1000
        """When work on the job began for the first time, in seconds since 1970."""
        if "started_at" not in notes:
            jobs.note(job_id, {"started_at": record.dequeued_at})

    def check(self) -> None:
        """Raise `Abandoned` if the worker is to stop, the job was cancelled or another worker has it."""
        if self._stopping.is_set():
            raise Abandoned
        try:
            record = self._jobs.record(self.job_id)
        except JobsUnavailable:
            return  # the training goes on while the database is away
        if record.status != "PENDING" or _mark(record) != self._mark:
            log.info("Job %s is no longer ours (%s)", self.job_id, record.status)
            raise Abandoned

    def wait(self) -> None:
        """Let a moment pass, as long as the hold stands."""
        self.check()
        time.sleep(TICK_SECONDS)

    def report(self, progress: float, phase: str, **notes: Any) -> None:
        """Show progress, from 0 to 1, and more notes, at most once a second and never less progress than before."""
        if phase != self._phase:
            self._phase = phase
            log.info("Job %s: %s", self.job_id, phase)
        now = time.monotonic()
        if progress <= self._shown or now < self._shown_at + REPORT_SECONDS:
            return
        self._shown, self._shown_at = progress, now
        try:
            self._jobs.note(self.job_id, {"progress": min(progress, 1.0), **notes})
        except JobsUnavailable:
            log.warning("The progress of job %s could not be noted", self.job_id)


def claimed(jobs: Jobs, stopping: threading.Event) -> Claim:
    """Take hold of the job that the library runs in this thread; wait for the database if it is away."""
    from dbos import DBOS

    return patient(lambda: Claim(jobs, DBOS.workflow_id or "", stopping), partial(time.sleep, TICK_SECONDS))


def _mark(record: "WorkflowStatus") -> tuple[Any, ...]:
    """Return what changes whenever a job is taken up."""
    return record.executor_id, record.dequeued_at, record.recovery_attempts

"""A worker's hold on a job."""

import threading
from contextlib import closing
from typing import Any

import pytest
from sample.settings import Settings

from mlapi.errors import JobsUnavailable
from mlapi.jobs import claim
from mlapi.jobs.claim import claimed
from mlapi.jobs.store import Jobs


class Returning(Jobs):
    """Jobs in a database that is away when it is first asked for one."""

    is_away = True

    def record(self, job_id: str) -> Any:
        if self.is_away:
            self.is_away = False
            raise JobsUnavailable("The database is away.")
        return super().record(job_id)


def test_a_job_is_taken_up_once_the_database_is_back(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checklist 39; otherwise a database that goes away in this moment would fail the job."""
    from dbos import DBOS

    with closing(Returning(settings)) as jobs:
        job = jobs.submit("train", {})
        monkeypatch.setattr(DBOS, "workflow_id", job.id)
        monkeypatch.setattr(claim, "TICK_SECONDS", 0.01)
        assert claimed(jobs, threading.Event()).job_id == job.id
        assert not jobs.is_away

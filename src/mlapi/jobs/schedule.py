"""Training by the clock: the next training waits in the queue for its time.

So it is kept in the database like any other job: after a time in which no worker ran it is late, and runs once.
"""

from datetime import UTC, datetime

from ..settings import Settings
from .store import Jobs


class Schedule:
    """What puts the next training into the queue."""

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self._cron = settings.train_schedule
        self._jobs = jobs
        self._queued: datetime | None = None
        self._is_cleared = False

    def keep(self) -> None:
        """See to it that the next training is queued, and none of a schedule that was given up; be called often.

        Raises `JobsUnavailable`, and `DiskFull` if there is no room for another job.
        """
        if not self._is_cleared:
            self._clear()
        if self._cron is None:
            return
        due = next_after(self._cron, datetime.now(UTC))
        if due == self._queued:
            return
        delay = (due - datetime.now(UTC)).total_seconds()
        key = f"{self._cron} {due.isoformat()}"
        # Any number of workers do this: the key makes one job of it.
        self._jobs.submit("train", {"hyperparameters": {}}, key, notes={"schedule": self._cron}, delay=delay)
        self._queued = due

    def _clear(self) -> None:
        """Take trainings out of the queue that wait for a time of another schedule."""
        for record in self._jobs.delayed("train"):
            if (record.attributes or {}).get("schedule") != self._cron:
                self._jobs.cancel(record.workflow_id)
        self._is_cleared = True


def next_after(cron: str, moment: datetime) -> datetime:
    """Return when a cron expression next says so."""
    from croniter import croniter

    following: datetime = croniter(cron, moment).get_next(datetime)
    return following

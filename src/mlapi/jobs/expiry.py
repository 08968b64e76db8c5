"""Removing what is kept for a time only: the files of jobs that have ended, and uploads that no job waits for."""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import JobNotFound
from ..settings import Settings
from ..storage import Storage
from .batch import UPLOADS, folder_of
from .store import Jobs

EVERY_SECONDS = 60.0
"""Time between two looks, in seconds."""
LONGEST_UPLOAD = timedelta(days=1)
"""How long an upload may take: the rest of one is left in peace for as long, in case it still arrives."""
UNFINISHED = re.compile(r".+#\d+")
"""Names that the library gives to files while they arrive. It hides them from every list."""


class Expiry:
    """What removes files when their time has come."""

    def __init__(self, settings: Settings, jobs: Jobs) -> None:
        self._storage = Storage(settings.files_url())
        self._kept = timedelta(seconds=settings.keep_results_seconds)
        self._jobs = jobs
        self._next = time.monotonic()

    def keep(self) -> None:
        """Look whether there is anything to remove, if it is time to; be called often.

        Raises `JobsUnavailable` and `StorageUnavailable`.
        """
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY_SECONDS
        self.remove(datetime.now(UTC))

    def remove(self, now: datetime) -> None:
        """Remove what has been kept for long enough."""
        written = self._storage.written(UPLOADS)
        old = [f"{UPLOADS}/{path}" for path, moment in written if moment < now - self._kept]
        needed = self._jobs.sources() if old else set()
        for path in old:
            if path not in needed:
                self._storage.remove_one(path)
        for unfinished in self._unfinished(now - max(self._kept, LONGEST_UPLOAD)):
            unfinished.unlink(missing_ok=True)
        for job_id in self._storage.folders("jobs"):
            if self._is_over(job_id, now):
                self._storage.remove(folder_of(job_id))

    def _unfinished(self, before: datetime) -> Iterator[Path]:
        """List the rests of uploads that ended before a time with the process that took them.

        A bucket has no such files: whoever owns it tells it when to drop what was never finished.
        """
        directory = self._storage.directory
        for path in (directory / UPLOADS).glob("*#*") if directory is not None else ():
            with suppress(FileNotFoundError):  # it has just become whole
                if UNFINISHED.fullmatch(path.name) and path.stat().st_mtime < before.timestamp():
                    yield path

    def _is_over(self, job_id: str, now: datetime) -> bool:
        """Tell whether nobody needs a job's files any more."""
        try:
            job = self._jobs.get(job_id)
        except JobNotFound:
            return True  # its database was replaced
        if not job.done:
            return False
        return job.state != "succeeded" or (job.finished_at or now) < now - self._kept

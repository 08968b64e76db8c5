"""Workers on one database, and the side that submits, for the tests: real processes, which may be killed."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import JobsUnavailable
from mlapi.jobs.batch import UPLOADS
from mlapi.jobs.job import Job
from mlapi.jobs.store import Jobs
from mlapi.serving.registry import Registry
from mlapi.storage import Storage

from rig.names import PREFIX
from rig.sample import python_path

PATIENCE = 300
"""Seconds to wait for something that takes a moment on a slow machine."""

WRITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL"
"""Asks PostgreSQL for transactions that have written or locked something, and not ended."""

T = TypeVar("T")

FAKE_TRAINING = python_path(Path(__file__).parents[1] / "library" / "jobs" / "fake_training")
"""Value of PYTHONPATH for a worker whose trainings only pretend."""


class Bench:
    """Workers on one database, and the side that submits."""

    def __init__(self, settings: Settings, model: Path) -> None:
        self.settings = settings
        self.jobs = Jobs(settings)
        self.registry = Registry.of(Model, settings)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.log = settings.data_dir.parent / "log"
        self.connections = settings.data_dir.parent / "connections"
        self.environment = os.environ | {
            f"{PREFIX}DATA_DIR": str(settings.data_dir),
            f"{PREFIX}MODELS_DIR": str(settings.models_dir),
            f"{PREFIX}DATABASE_URL": settings.jobs_url(),
            "PYTHONPATH": FAKE_TRAINING,
            "FAKE_TRAINING_MODEL": str(model),
            "FAKE_TRAINING_CONNECTIONS": str(self.connections),
        }

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "sample", "worker", *arguments],
                env=self.environment | environment,
                stdin=subprocess.PIPE,
                stderr=log,
            )
        self.workers.append(worker)
        return worker

    def submit(self, **hyperparameters: Any) -> str:
        return self.jobs.submit("train", {"hyperparameters": hyperparameters}).id

    def upload(self, content: bytes, name: str = "file.csv") -> str:
        """Put a file where the API would; return its path."""
        Storage(self.settings.files_url()).write(f"{UPLOADS}/{name}", content)
        return f"{UPLOADS}/{name}"

    def score(self, source: str, form: str = "csv", key: str | None = None) -> str:
        """Submit a score job as the API does."""
        order = {"source": source, "form": form, "results": ["csv"]}
        return self.jobs.submit("score", order, key, notes={"source": source}).id

    def result(self, job_id: str) -> bytes:
        return Storage(self.settings.files_url()).read(f"jobs/{job_id}/result.csv")

    def wait(self, job_id: str, *states: str, progress: float = 0.0, seconds: float = PATIENCE) -> Job:
        def there() -> Job | None:
            try:
                job = self.jobs.get(job_id)
            except JobsUnavailable:
                return None  # a machine that is slow for a moment
            return job if job.state in states and job.progress >= progress else None

        try:
            return wait_for(there, f"job to be {states}", seconds)
        except TimeoutError as error:
            pytest.fail(f"{error}, is {self.jobs.get(job_id)}; the log: {self.log.read_text()}")

    def is_locked(self) -> bool:
        """Tell whether any process is in the midst of something that others would have to wait for."""
        if self.settings.database_url is not None:
            with psycopg.connect(self.settings.database_url.get_secret_value()) as database:
                return bool(database.execute(WRITING).fetchall())
        try:
            with closing(sqlite3.connect(self.settings.data_dir / "jobs.sqlite", timeout=1)) as database:
                database.execute("BEGIN EXCLUSIVE")  # a file that is read cannot be written either
        except sqlite3.OperationalError:
            return True
        return False

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.communicate()
        self.jobs.close()


def wait_for(found: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.02)
    raise TimeoutError(f"waited {seconds} s for {what}")

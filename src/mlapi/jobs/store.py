"""The serving side of the jobs: submit, look up, list and cancel.

The library that keeps them takes a second and 40 MB to import, so that happens at the first question, not at start-up.
"""

import hashlib
import logging
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from ..durable import free_bytes
from ..errors import DiskFull, JobFinished, JobNotFound, JobsUnavailable
from ..settings import Settings
from .clock import set_sqlite_clock
from .job import KINDS, STATES, Job, JobPage, job_from
from .page import cursor_of, read_cursor, records_after

if TYPE_CHECKING:
    from dbos import DBOSClient, EnqueueOptions, WorkflowStatus

PATIENCE = 2.0
"""Seconds to wait for the database."""

OPENING_PATIENCE = 5.0
"""Seconds to wait for it when it may have to be created."""

POLL_SECONDS = 0.5
"""How often a worker looks for a queued job."""

IDLE_SECONDS = 5.0
"""How long PostgreSQL keeps the locks of a transaction that stands still, as when its machine was cut off."""

CALLS = 16
"""Questions that may wait for the database at the same time."""

SILENT = "The database of the jobs does not answer; try again later."
"""What a caller is told while the database takes too long."""
UNREACHABLE = "The database of the jobs cannot be reached; try again later."
"""What a caller is told while the database is away."""

_ID = re.compile(r"[0-9a-f]{32}")

T = TypeVar("T")

log = logging.getLogger(__name__)


class Jobs:
    """The jobs of this service, kept in its database. Safe to use from many threads.

    Every method raises `JobsUnavailable` when the database does not answer in time, and works again once it does.
    """

    def __init__(self, settings: Settings, opening_patience: float | None = None) -> None:
        """Keep the settings; `opening_patience` is for who may wait longer than `OPENING_PATIENCE`."""
        self._settings = settings
        self._opening_patience = opening_patience
        self._client: DBOSClient | None = None
        self._opening = threading.Lock()
        self._calls = threading.BoundedSemaphore(CALLS)

    def submit(  # noqa: PLR0913 - all of it is kept with the job
        self,
        kind: str,
        arguments: Mapping[str, Any],
        idempotency_key: str | None = None,
        *,
        owner: str | None = None,
        notes: Mapping[str, Any] | None = None,
        delay: float = 0,
    ) -> Job:
        """Queue a job of an owner, for `delay` seconds from now, and return it.

        The same idempotency key of the same owner always names the same job. Raises `DiskFull` if there is too little
        room for what a job makes.
        """
        job_id = id_for(kind, idempotency_key, owner)
        try:
            self.check_room()
        except DiskFull:
            with suppress(JobNotFound, JobsUnavailable):
                if idempotency_key is not None:
                    return self.get(job_id)  # it was taken while there was room
            raise

        def enqueue(client: "DBOSClient") -> Job:
            options: EnqueueOptions = {"workflow_name": kind, "queue_name": kind, "workflow_id": job_id}
            if owner is not None:
                options["authenticated_user"] = owner
            if notes:
                options["attributes"] = dict(notes)
            if delay > 0:
                options["delay_seconds"] = delay
            client.enqueue(options, dict(arguments))
            return job_from(_find(client, job_id))

        return self._ask(enqueue)

    def get(self, job_id: str) -> Job:
        """Look a job up; raise `JobNotFound` if there is none of that id."""
        return job_from(self.record(job_id))

    def find(self, kind: str, idempotency_key: str | None, owner: str | None) -> Job | None:
        """Look up the job that an owner's key names, if there is one already.

        Without a key there is none; the database is asked all the same, so that it is known to answer.
        """
        with suppress(JobNotFound):
            return self.get(id_for(kind, idempotency_key, owner))
        return None

    def note_of(self, job_id: str, name: str) -> Any:
        """Return a note on a job."""
        return (self.record(job_id).attributes or {}).get(name)

    def list(self, limit: int = 50, cursor: str | None = None, owner: str | None = None) -> JobPage:
        """List jobs, of one owner if it is named, newest first; `cursor` is that of the page before.

        Raises `BadInput` for a cursor that no page gave.
        """
        place = None if cursor is None else read_cursor(cursor)
        # One more shows whether a page follows.
        records = self._ask(lambda client: records_after(client, limit + 1, place, owner))
        page = records[:limit]
        return JobPage(jobs=[job_from(record) for record in page], cursor=cursor_of(page) if records[limit:] else None)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; a running one is ended within a second. Raises `JobNotFound` and `JobFinished`."""
        _check(job_id)

        def cancel(client: "DBOSClient") -> Job:
            if not job_from(_find(client, job_id)).done:
                client.cancel_workflow(job_id)
            return job_from(_find(client, job_id))

        job = self._ask(cancel)
        if job.state != "cancelled":
            raise JobFinished(f"The job has {job.state}, so it cannot be cancelled.")
        return job

    def record(self, job_id: str) -> "WorkflowStatus":
        """Look up the library's record of a job, for the worker."""
        _check(job_id)
        return self._ask(lambda client: _find(client, job_id))

    def note(self, job_id: str, notes: Mapping[str, Any]) -> None:
        """Write notes on a job, such as its progress, for the worker."""
        self._ask(lambda client: client.update_workflow_attributes(job_id, dict(notes), merge=True))

    def delayed(self, kind: str) -> Sequence["WorkflowStatus"]:
        """List the jobs of a kind that wait for their time, for the worker."""
        return self._ask(lambda client: client.list_workflows(name=kind, status="DELAYED", load_input=False))

    def executors(self) -> set[str]:
        """Name the workers, living or dead, that have taken up jobs and not finished them."""
        return {record.executor_id or "" for record in self._ask(lambda client: _running(client, None))}

    def waiting(self) -> dict[tuple[str, str], int]:
        """Count the jobs that are not done, by kind and state; raises `JobsUnavailable`."""
        counts: dict[tuple[str, str], int] = {(kind, state): 0 for kind in KINDS for state in ("queued", "running")}
        for record in self._ask(_unfinished):
            counts[record.name, STATES[record.status]] += 1
        return counts

    def sources(self) -> set[str]:
        """Name the files that jobs which are not done are to score; raises `JobsUnavailable`."""
        return {(record.attributes or {}).get("source", "") for record in self._ask(_unfinished)}

    def hand_back(self, executor: str) -> None:
        """Queue again what a worker leaves unfinished; unlike a crash, this is not counted against the jobs."""

        def resume(client: "DBOSClient") -> None:
            for record in _running(client, executor):
                client.resume_workflow(record.workflow_id, queue_name=record.queue_name)

        self._ask(resume)

    def close(self) -> None:
        """Close the connections to the database."""
        with self._opening:
            client, self._client = self._client, None
        if client is not None:
            client.destroy()

    def check_room(self) -> None:
        """Raise `DiskFull` if there is too little room for what a job makes."""
        settings = self._settings
        least = min(map(free_bytes, (settings.models_dir.resolve(), settings.data_dir.resolve())))
        if least < settings.min_free_bytes:
            raise DiskFull("There is too little room on the disk for what a job makes. Try again later.")

    def _ask(self, question: "Callable[[DBOSClient], T]") -> T:
        """Put a question to the database, in a thread that is left behind if no answer comes in time.

        The library waits for a locked SQLite file, and a driver for a silent network, longer than a caller should.
        """
        import dbos  # noqa: F401 - takes its time here, which is not the database's

        patience = PATIENCE
        if self._client is None:
            patience = OPENING_PATIENCE if self._opening_patience is None else self._opening_patience
        answer: Future[T] = Future()
        if not self._calls.acquire(timeout=patience):
            raise JobsUnavailable(SILENT)
        threading.Thread(target=self._answer, args=(question, answer), daemon=True).start()
        try:
            return answer.result(patience)
        except TimeoutError as error:
            raise JobsUnavailable(SILENT) from error

    def _answer(self, question: "Callable[[DBOSClient], T]", answer: "Future[T]") -> None:
        try:
            answer.set_result(question(self._open()))
        except Exception as error:  # noqa: BLE001 - handed to the thread that asked
            answer.set_exception(self._translated(error))
        finally:
            self._calls.release()

    def _translated(self, error: Exception) -> Exception:
        from sqlalchemy.exc import SQLAlchemyError

        if not isinstance(error, (SQLAlchemyError, OSError)):
            return error
        log.warning("the jobs' database: %s: %s", type(error).__name__, getattr(error, "orig", error))
        if self._settings.jobs_url().startswith("sqlite"):
            self.close()  # the file may have been replaced: open it anew next time
        unavailable = JobsUnavailable(UNREACHABLE)
        unavailable.__cause__ = error
        return unavailable

    def _open(self) -> "DBOSClient":
        with self._opening:
            if self._client is None:
                self._client = _connect(self._settings)
            return self._client


def _connect(settings: Settings) -> "DBOSClient":
    """Create or migrate the database, which any number of processes may do at once, and open it."""
    from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer

    logging.getLogger("dbos").setLevel(logging.ERROR)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    url = _impatient(settings.jobs_url())
    set_sqlite_clock()
    DBOS.migrate(url)
    client = DBOSClient(
        system_database_url=url,
        serializer=DBOSPortableJSONSerializer(),  # the default would unpickle what it finds
        application_name=settings.package,
        retry_connection_errors=False,
        sys_db_idle_transaction_timeout_sec=IDLE_SECONDS,
    )
    # Before a worker starts, which would otherwise need another second to find a new queue.
    client.register_queue("train", global_concurrency=1, worker_concurrency=1, polling_interval_sec=POLL_SECONDS)
    client.register_queue("score", worker_concurrency=settings.score_jobs, polling_interval_sec=POLL_SECONDS)
    return client


def _impatient(url: str) -> str:
    """Give the URL of a PostgreSQL database limits of time, where it has none of its own."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return url
    limits = {"connect_timeout": "2", "tcp_user_timeout": "2000", "keepalives_idle": "5", "keepalives_interval": "2"}
    return parsed.set(query={**limits, **parsed.query}).render_as_string(hide_password=False)


def _check(job_id: str) -> None:
    if not _ID.fullmatch(job_id):
        raise JobNotFound("There is no job of that id.")


def _find(client: "DBOSClient", job_id: str) -> "WorkflowStatus":
    records = client.list_workflows(workflow_ids=[job_id], name=list(KINDS), load_input=False)
    if not records:
        raise JobNotFound("There is no job of that id.")
    return records[0]


def _running(client: "DBOSClient", executor: str | None) -> "list[WorkflowStatus]":
    return client.list_workflows(status="PENDING", executor_id=executor, load_input=False, load_output=False)


def _unfinished(client: "DBOSClient") -> "list[WorkflowStatus]":
    states = [theirs for theirs, ours in STATES.items() if ours in {"queued", "running"}]
    return client.list_workflows(name=list(KINDS), status=states, load_input=False, load_output=False)


def id_for(kind: str, idempotency_key: str | None, owner: str | None) -> str:
    """Return the id of the job that an owner's key names, or one that no job has yet if there is no key."""
    if idempotency_key is None:
        return uuid.uuid4().hex
    return hashlib.sha256(f"{kind}\0{owner}\0{idempotency_key}".encode("utf-8", "surrogatepass")).hexdigest()[:32]

"""The worker: a process that runs the jobs, and takes up those of workers that died."""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import DiskFull, JobsUnavailable, ServiceError, Unavailable
from ..monitoring.jobs import JobMetrics
from ..serving.registry import Registry
from ..settings import Settings
from ..training.child import ChildKilled
from . import batch, claim, expiry, schedule, store, train
from .clock import set_sqlite_clock
from .lease import NAME, FileLeases, Leases, PostgresLeases, take_lowest
from .store import Jobs

if TYPE_CHECKING:
    from ..ml.base import SupervisedModel

VERSION = "1"
"""Kept with every job, and a worker takes up only jobs of its own: changing it would strand those under way."""

OPENING_PATIENCE = 60.0
"""Seconds that a worker waits for a database that may have to be created: no caller waits for its answer."""

SWEEP_SECONDS = 2.0
"""How often a worker looks for jobs whose worker died."""

REPEAT_SECONDS = 30
"""How long the same warning is not repeated, in seconds."""

STOP_SECONDS = 10
"""How long a worker may take to stop."""

log = logging.getLogger(__name__)


def run(
    model: "type[SupervisedModel]", settings: Settings, metrics: JobMetrics, *, exit_with_parent: bool = False
) -> None:
    """Run the jobs of a model until SIGTERM or SIGINT; what is under way then is left to be resumed.

    With `exit_with_parent`, also the end of standard input stops the worker. Raises `JobsUnavailable` if the database
    cannot be reached at the start.
    """
    stopping = _stop_on_signals()
    if exit_with_parent:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    jobs = Jobs(settings, OPENING_PATIENCE)
    jobs.executors()  # makes the database if there is none, and says clearly if it is out of reach
    train.tidy(Registry.of(model, settings), jobs)
    leases = _open_leases(settings)
    name = take_lowest(leases)
    _configure(settings, name)
    for kind in (train, batch):
        kind.register(model, settings, jobs, stopping, metrics)
    _launch()
    log.info("Worker %s is ready", name)
    chores = (schedule.Schedule(settings, jobs), expiry.Expiry(settings, jobs))
    _watch(jobs, leases, name, stopping, chores)
    _stop(jobs, name)
    leases.close()
    log.info("Worker %s has stopped", name)


def _stop_on_signals() -> threading.Event:
    stopping = threading.Event()

    def stop(*_: Any) -> None:
        if not stopping.is_set():
            # The library waits for a database that is gone for as long as it takes; jobs survive any end of ours.
            deadline = threading.Timer(STOP_SECONDS, os._exit, [0])
            deadline.daemon = True
            deadline.start()
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


def _stop_at_end_of_input() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _open_leases(settings: Settings) -> Leases:
    url = settings.jobs_url()
    if url.startswith("sqlite"):
        return FileLeases(settings.data_dir / "workers")
    return PostgresLeases(url, settings.package)


def _configure(settings: Settings, name: str) -> None:
    """Make the library ready: no console, no telemetry, no server."""
    from dbos import DBOS, DBOSPortableJSONSerializer

    library = logging.getLogger("dbos")
    library.addHandler(logging.NullHandler())  # or it would write to the terminal in a format of its own
    brief = Brief()
    for logger in (library, log, claim.log, store.log):
        logger.addFilter(brief)
    set_sqlite_clock()
    DBOS(
        config={
            "name": settings.package,
            "system_database_url": settings.jobs_url(),
            "executor_id": name,
            "application_version": VERSION,
            "serializer": DBOSPortableJSONSerializer(),  # the default would unpickle what it finds
            "log_level": "WARNING",
            "enable_otlp": False,
            "sys_db_idle_transaction_timeout_sec": store.IDLE_SECONDS,
            "notification_listener_polling_interval_sec": 0.2,  # stopping waits for it
        }
    )


def _launch() -> None:
    """Start the library; the jobs that this worker left unfinished are recovered at once."""
    from dbos import DBOS

    DBOS.launch()


class Brief(logging.Filter):
    """Keeps warnings to one line each, and from being repeated.

    Of a database that is away, the library tells dozens of times a second and with tracebacks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten a record; tell whether to log it. Only an error that nobody foresaw keeps its traceback."""
        from dbos import error as library

        if record.levelno < logging.WARNING:
            return True
        error = record.exc_info[1] if record.exc_info else None
        text = (record.getMessage().splitlines() or [""])[0]
        if isinstance(error, (ServiceError, library.DBOSException, ChildKilled)):
            text, record.exc_info = f"{text} {error}", None
        record.msg, record.args = text, None
        now = time.monotonic()
        if now - self._told.get(text, -math.inf) < REPEAT_SECONDS:
            return False
        self._told = {other: told for other, told in self._told.items() if now - told < REPEAT_SECONDS} | {text: now}
        return True


class Chore(Protocol):
    """Something to see to now and then."""

    def keep(self) -> None:
        """See to it."""


def _watch(jobs: Jobs, leases: Leases, name: str, stopping: threading.Event, chores: Sequence[Chore]) -> None:
    """Take up the jobs of dead workers, and see to what is to be seen to, until it is time to stop."""
    suspects: set[str] = set()
    while not stopping.wait(SWEEP_SECONDS):
        try:
            if not leases.holds(name):
                log.error("Worker %s stops: its connection broke, and meanwhile another worker took its name", name)
                os.kill(os.getpid(), signal.SIGTERM)
            suspects = _adopt(jobs, leases, name, suspects)
            for chore in chores:
                _see_to(chore)
        except (DiskFull, Unavailable) as error:
            log.warning("Cannot look for jobs of dead workers, and for what is due. %s", error)


def _see_to(chore: Chore) -> None:
    """See to a chore; what nobody foresaw is logged, and what may pass by itself is raised."""
    try:
        chore.keep()
    except (DiskFull, Unavailable):
        raise
    except Exception:  # a worker that ended would leave the jobs and the other chores undone as well
        log.exception("The worker's %s failed, and is tried again", type(chore).__name__.lower())


def _adopt(jobs: Jobs, leases: Leases, name: str, suspects: set[str]) -> set[str]:
    """Queue the jobs of workers found dead twice in a row again; return those found dead for the first time.

    Twice, because a worker that lost its connection to the database takes its name again when it notices.
    """
    from dbos import DBOS

    dead = set()
    for other in jobs.executors() - {name}:
        if not NAME.fullmatch(other) or not leases.take(other):
            continue
        try:
            if other in suspects:
                log.warning("Worker %s has died: taking up its jobs", other)
                DBOS._recover_pending_workflows([other])  # noqa: SLF001 - the library has no public way
            else:
                dead.add(other)
        finally:
            leases.release(other)
    return dead


def _stop(jobs: Jobs, name: str) -> None:
    from dbos import DBOS

    DBOS.destroy(workflow_completion_timeout_sec=STOP_SECONDS // 2)
    try:
        jobs.hand_back(name)
    except JobsUnavailable:
        log.warning("The database is away: unfinished jobs are resumed when a worker starts")
    jobs.close()

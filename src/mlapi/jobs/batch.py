"""The score job: a file is cut, its parts are scored in groups, and what came of them is put together.

Every step can be repeated: what is done is known from the job's folder in the storage.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ScoringFailed
from ..monitoring.jobs import JobMetrics
from ..scoring.run import finish, plan_of, prepare, progress_of, score_some, tidy
from ..settings import Settings
from ..storage import Storage
from .claim import WORKER_TRIES, Claim, claimed
from .lease import FileLeases, turn
from .patience import patient
from .store import Jobs

if TYPE_CHECKING:
    from ..ml.base import SupervisedModel

UPLOADS, SOURCES = "uploads", "sources"
"""Folders of the storage: what was sent, and what its owners put there themselves."""

ENDLESS = 1_000_000
"""The library's own limit on deaths of workers is not used: it does not know whether the job gets on."""

GIVEN_UP = "The job was given up: each worker that took it up died, most likely for lack of memory."
"""What a caller is told of a job that ends workers."""

T = TypeVar("T")


def folder_of(job_id: str) -> str:
    """Return the folder of the storage where a job's files are."""
    return f"jobs/{job_id}"


def result_of(job_id: str, form: str) -> str:
    """Return where a job's result is in one of its formats."""
    return f"{folder_of(job_id)}/result.{form}"


def rejects_of(job_id: str) -> str:
    """Return where the list of a job's rejected rows is."""
    return f"{folder_of(job_id)}/rejects.csv"


def register(
    model: "type[SupervisedModel]", settings: Settings, jobs: Jobs, stopping: threading.Event, metrics: JobMetrics
) -> None:
    """Make the job of scoring a file with a model known to the library, which must not be running yet."""
    from dbos import DBOS

    turns = FileLeases(settings.data_dir / "workers")

    # The names and the order of the steps are kept with every unfinished job: see the train job.
    @DBOS.workflow(name="score", max_recovery_attempts=ENDLESS)
    def score(arguments: dict[str, Any]) -> dict[str, Any]:
        with metrics.job("score"):
            return steps(arguments)

    def steps(arguments: dict[str, Any]) -> dict[str, Any]:
        claim = claimed(jobs, stopping)

        def step(name: str, work: Callable[..., T], *given: Any) -> T:
            return DBOS.run_step({"name": name}, patient, lambda: work(model, settings, claim, *given), claim.wait)

        with tried(settings, jobs, claim, turns):
            step("cut", cut, arguments)
            while step("group", score_group):
                pass
            told = step("finish", put_together, arguments)
            step("tidy", lambda *_: tidy(settings.files_url(), folder_of(claim.job_id)))
        return told


@contextmanager
def tried(settings: Settings, jobs: Jobs, claim: Claim, turns: FileLeases) -> Iterator[None]:
    """Count how often the job was taken up in vain, and raise `ScoringFailed` if that is too often.

    It gets on if more parts are done than the last time; the library does not know that. A job that does not, after a
    worker died over it, runs when no other such job does, so that the one at fault is found and not its neighbours.
    """
    if claim.attempts < 2:  # noqa: PLR2004 - it is taken up for the first time
        yield
        return
    parts = len(Storage(settings.files_url()).paths(f"{folder_of(claim.job_id)}/done"))
    before: int = 0 if parts > claim.notes.get("parts", -1) else claim.notes.get("tries", 0)
    with turn(turns, "suspects", claim.wait) if before else nullcontext():
        if before >= WORKER_TRIES:
            raise ScoringFailed(GIVEN_UP)
        jobs.note(claim.job_id, {"parts": parts, "tries": before + 1})
        yield


def cut(model: "type[SupervisedModel]", settings: Settings, claim: Claim, arguments: Mapping[str, Any]) -> None:
    """Cut the file, and write down what is to be done."""
    files = settings.files_url()
    source = (files, arguments["source"], arguments["form"])
    prepare(model, settings, files, folder_of(claim.job_id), source, arguments["results"])


def score_group(model: "type[SupervisedModel]", settings: Settings, claim: Claim) -> bool:
    """Score the next parts; tell whether any are left."""
    plan = plan_of(settings.files_url(), folder_of(claim.job_id))
    began = time.monotonic()
    Storage(settings.files_url()).check_room(0, settings.min_free_bytes)
    before, after = score_some(model, plan, settings.cluster_url)
    rate = rate_of(after.rows + after.rejected - before.rows - before.rejected, time.monotonic() - began)
    are_left = after.done < len(plan.parts)
    if are_left:
        share = after.done / len(plan.parts)
        claim.report(share, "scoring", rows=after.rows, rejected=after.rejected, rows_per_second=rate)
    return are_left


def put_together(
    model: "type[SupervisedModel]", settings: Settings, claim: Claim, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the result and return what is told of it."""
    files, job_id = Storage(settings.files_url()), claim.job_id
    plan = plan_of(files.url, folder_of(job_id))
    progress = progress_of(plan)
    results = {form: (files, result_of(job_id, form)) for form in plan.order.results}
    finish(model, plan, results, (files, rejects_of(job_id)), claim.check)
    return {
        "version": plan.order.version,
        "rows": progress.rows,
        "rejected": progress.rejected,
        "rows_per_second": rate_of(progress.rows + progress.rejected, time.time() - claim.started_at),
        "formats": arguments["results"],
    }


def rate_of(rows: int, seconds: float) -> int:
    """Return how many rows were worked on in a second."""
    return round(rows / max(seconds, 0.001))

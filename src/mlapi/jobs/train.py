"""The train job: a candidate is made in a child process, then published, then promoted if the policy says so."""

import shutil
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import JobNotFound
from ..monitoring.jobs import JobMetrics
from ..serving.registry import Registry
from ..settings import Settings
from ..training.candidate import order
from ..training.child import ChildKilled, run_in_child
from ..training.publication import adopt, attempt, consider, discard, left_over, publish
from ..training.tracking import track
from .claim import WORKER_TRIES, claimed
from .lease import FileLeases, turn
from .patience import patient
from .store import Jobs

if TYPE_CHECKING:
    from ..ml.base import SupervisedModel

KILLED_TRIES = 3
"""How often a training is tried whose process is killed each time."""


def tidy(registry: Registry, jobs: Jobs) -> None:
    """Remove the candidates of jobs that ended while no worker could."""
    for job_id in left_over(registry):
        with suppress(JobNotFound):
            if jobs.get(job_id).done:
                discard(registry, job_id)


def register(
    model: "type[SupervisedModel]", settings: Settings, jobs: Jobs, stopping: threading.Event, metrics: JobMetrics
) -> None:
    """Make the job of training a model known to the library, which must not be running yet."""
    from dbos import DBOS

    # On SQLite, two workers that look into the queue in the same millisecond may each take a job from it, in spite of
    # its limit of one. The second then waits here.
    turns = FileLeases(settings.data_dir / "workers")
    registry = Registry.of(model, settings)

    def make_candidate(hyperparameters: dict[str, Any]) -> dict[str, Any]:
        claim = claimed(jobs, stopping)
        directory = attempt(registry, claim.job_id)
        what = order(model, settings, directory, hyperparameters)
        try:
            with turn(turns, "train", claim.wait):
                once = partial(run_in_child, what, claim.report, claim.check, settings.train_timeout_seconds)
                metrics = patient(once, claim.wait)
            claim.check()
            adopt(directory)
            return metrics
        finally:
            shutil.rmtree(directory.parent, ignore_errors=True)

    def send(version: str) -> dict[str, str]:
        return track(registry, settings, version, claimed(jobs, stopping).check)

    # The order and the names of the steps are kept with every unfinished job: a later release may add steps at the
    # end, but not move or rename them while jobs of an earlier one are under way.
    @DBOS.workflow(name="train", max_recovery_attempts=WORKER_TRIES)
    def train(arguments: dict[str, Any]) -> dict[str, Any]:
        with metrics.job("train"):
            return steps(arguments)

    def steps(arguments: dict[str, Any]) -> dict[str, Any]:
        job_id = DBOS.workflow_id or ""
        metrics = DBOS.run_step(
            {
                "name": "candidate",
                "retries_allowed": True,
                "max_attempts": KILLED_TRIES,
                "interval_seconds": 0.5,
                "should_retry": lambda error: isinstance(error, ChildKilled),
            },
            make_candidate,
            arguments.get("hyperparameters") or {},
        )
        version = DBOS.run_step({"name": "publish"}, publish, registry, job_id)
        decision = DBOS.run_step({"name": "promote"}, consider, registry, settings, version, arguments.get("promote"))
        tracking = DBOS.run_step({"name": "track"}, send, version)
        return {"version": version, **decision, "metrics": metrics, **tracking}

"""The train job: a candidate is made in a child process, then published, then promoted if the policy says so."""

import shutil
import threading
import uuid
from contextlib import suppress
from functools import partial
from typing import Any

from ..errors import JobNotFound, TrainingFailed
from ..ml import Model
from ..monitoring.jobs import JobMetrics
from ..serving.registry import Policy, Registry
from ..settings import Settings
from .candidate import ChildKilled, Report, run_in_child, train_here
from .claim import WORKER_TRIES, Claim
from .lease import FileLeases, turn
from .patience import patient
from .store import Jobs
from .tracking import track

KILLED_TRIES = 3
"""How often a training is tried whose process is killed each time."""


def train_now(
    settings: Settings, hyperparameters: dict[str, Any], promote: Policy | None, report: Report
) -> dict[str, Any]:
    """Train, publish and promote in this process; return what the job would. Raises `TrainingFailed`."""
    job_id = uuid.uuid4().hex
    try:
        metrics = train_here(order(settings, job_id, hyperparameters), report)
        version = publish(settings, job_id)
    finally:
        discard(settings, job_id)
    decision = consider(settings, version, promote)
    return {"version": version, **decision, "metrics": metrics, **track(settings, version)}


def order(settings: Settings, job_id: str, hyperparameters: dict[str, Any]) -> dict[str, Any]:
    """Write down all that a training needs, in values that JSON can carry."""
    return {
        "kind": "train",
        "directory": str(Registry(settings.models_dir.resolve(), Model.name).candidate(job_id)),
        "hyperparameters": hyperparameters,
        "url": None if settings.dataset_url is None else str(settings.dataset_url),
        "sha256": settings.dataset_sha256,
        "cache": str(settings.data_dir.resolve() / "downloads"),
        "cluster": settings.cluster_url,
    }


def publish(settings: Settings, job_id: str) -> str:
    """Publish a job's candidate, once however often this is repeated, and return its version."""
    registry = Registry(settings.models_dir, Model.name)
    return registry.publish(registry.candidate(job_id))


def keep(settings: Settings, job_id: str) -> str:
    """Publish a job's candidate; raise `TrainingFailed` if the disk does not take it."""
    try:
        return publish(settings, job_id)
    except OSError as error:
        raise TrainingFailed(f"The new version could not be kept: {error.strerror}.") from error


def consider(settings: Settings, version: str, promote: Policy | None) -> dict[str, Any]:
    """Promote a version if the policy, by default that of the settings, says so."""
    registry = Registry(settings.models_dir, Model.name, allow_pickle=settings.allow_pickle)
    decision = registry.consider(version, promote or settings.promote, settings.promote_tolerance)
    return {"promoted": decision.promoted, "reason": decision.reason}


def discard(settings: Settings, job_id: str) -> None:
    """Remove what is left of a job's candidate."""
    shutil.rmtree(Registry(settings.models_dir, Model.name).candidate(job_id), ignore_errors=True)


def tidy(settings: Settings, jobs: Jobs) -> None:
    """Remove the candidates of jobs that ended while no worker could."""
    for left in Registry(settings.models_dir, Model.name).candidate("").glob("*"):
        with suppress(JobNotFound):
            if jobs.get(left.name).done:
                discard(settings, left.name)


def register(settings: Settings, jobs: Jobs, stopping: threading.Event, metrics: JobMetrics) -> None:
    """Make the job known to the library, which must not be running yet."""
    from dbos import DBOS

    # On SQLite, two workers that look into the queue in the same millisecond may each take a job from it, in spite of
    # its limit of one. The second then waits here.
    turns = FileLeases(settings.data_dir / "workers")

    def make_candidate(hyperparameters: dict[str, Any]) -> dict[str, Any]:
        claim = Claim(jobs, DBOS.workflow_id or "", stopping)
        what = order(settings, claim.job_id, hyperparameters)
        try:
            with turn(turns, "train", claim.wait):
                once = partial(run_in_child, what, claim.report, claim.check, settings.train_timeout_seconds)
                return patient(once, claim.wait)
        except BaseException:
            discard(settings, claim.job_id)
            raise

    def send(version: str) -> dict[str, str]:
        claim = Claim(jobs, DBOS.workflow_id or "", stopping)
        return track(settings, version, claim.check)

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
        version = DBOS.run_step({"name": "publish"}, keep, settings, job_id)
        decision = DBOS.run_step({"name": "promote"}, consider, settings, version, arguments.get("promote"))
        tracking = DBOS.run_step({"name": "track"}, send, version)
        return {"version": version, **decision, "metrics": metrics, **tracking}

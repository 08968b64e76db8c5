"""Background work: ask for a training, follow it, cancel it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import StringConstraints

from ..errors import (
    BadInput,
    BadRequest,
    DiskFull,
    JobFinished,
    JobNotFound,
    JobsUnavailable,
    NotAllowed,
    NotAuthenticated,
    TooLarge,
    UnsupportedMediaType,
)
from ..jobs.job import Job, JobPage
from ..ml import Model
from ..ml.base import Hyperparameters
from .auth import require
from .body import described, json_body
from .dependencies import BackgroundJobs
from .problems import documented

ERRORS = documented(NotAuthenticated, NotAllowed, BadInput, JobsUnavailable)
"""Errors that every operation on jobs may answer."""

router = APIRouter(tags=["jobs"], dependencies=[require("train")], responses=ERRORS)

JobId = Annotated[str, Path(description="Identifies the job.", examples=["5f0c9d3f4a5e4c1f8d1b7a3e2c6b9f04"])]
IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] | None,
    Header(description="Choose one at random for each job: sent again with the same key, it is the same job."),
]

read_hyperparameters = json_body(Model.Hyperparameters, lambda place: ".".join(map(str, place)) or "body")


@router.post(
    "/train",
    status_code=202,
    openapi_extra=described(Model.Hyperparameters, {"defaults": {}}, required=False),
    responses=documented(BadRequest, TooLarge, UnsupportedMediaType, DiskFull)
    | {
        202: {
            "description": "The training is queued; `Location` is where to follow it.",
            "headers": {"Location": {"description": "Path of the job.", "schema": {"type": "string"}}},
        }
    },
)
def train(
    hyperparameters: Annotated[Hyperparameters, Depends(read_hyperparameters)],
    jobs: BackgroundJobs,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Train a new version in the background; it serves if it is good enough."""
    chosen = hyperparameters.model_dump(exclude_unset=True)
    job = jobs.submit("train", {"hyperparameters": chosen}, idempotency_key)
    response.headers["Location"] = f"/jobs/{job.id}"
    return job


@router.get("/jobs")
def list_jobs(
    jobs: BackgroundJobs,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs on a page.")] = 20,
    cursor: Annotated[str | None, Query(max_length=1000, description="From the page before; none: the newest.")] = None,
) -> JobPage:
    """List the jobs, newest first."""
    return jobs.list(limit, cursor)


@router.get("/jobs/{job_id}", responses=documented(JobNotFound))
def get_job(job_id: JobId, jobs: BackgroundJobs) -> Job:
    """Show how far a job is."""
    return jobs.get(job_id)


@router.post("/jobs/{job_id}/cancel", responses=documented(JobNotFound, JobFinished))
def cancel_job(job_id: JobId, jobs: BackgroundJobs) -> Job:
    """Cancel a job that has not finished."""
    return jobs.cancel(job_id)

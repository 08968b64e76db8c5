"""Background work: list jobs, follow one, cancel it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query
from pydantic import StringConstraints

from ..errors import BadInput, JobFinished, JobNotFound, JobsUnavailable, NotAllowed, NotAuthenticated
from ..jobs.job import Job, JobPage
from ..keys import Caller
from .auth import require
from .dependencies import BackgroundJobs
from .problems import documented

ERRORS = documented(NotAuthenticated, NotAllowed, BadInput, JobsUnavailable)
"""Errors that every operation on jobs may answer."""

router = APIRouter(tags=["jobs"], responses=ERRORS)

_JobsCaller = Annotated[Caller, require("train", "batch")]
"""Who may have jobs."""


JobId = Annotated[str, Path(description="Identifies the job.", examples=["5f0c9d3f4a5e4c1f8d1b7a3e2c6b9f04"])]
IdempotencyKey = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] | None,
    Header(description="Choose one at random for each job: sent again with the same key, it is the same job."),
]


def own_job(job_id: JobId, jobs: BackgroundJobs, caller: _JobsCaller) -> Job:
    """Return a job, if it is the caller's.

    Raises:
        JobNotFound: there is none, or it is another's.

    """
    job = jobs.get(job_id)
    if not caller.owns(job.owner):
        raise JobNotFound("There is no job of that id.")
    return job


OwnJob = Annotated[Job, Depends(own_job)]


@router.get("/jobs")
def list_jobs(
    caller: _JobsCaller,
    jobs: BackgroundJobs,
    limit: Annotated[int, Query(ge=1, le=100, description="Jobs on a page.")] = 20,
    cursor: Annotated[str | None, Query(max_length=1000, description="From the page before; none: the newest.")] = None,
) -> JobPage:
    """List your jobs, newest first; with the scope `admin`, everyone's."""
    return jobs.list(limit, cursor, None if caller.allows("admin") else caller.name)


@router.get("/jobs/{job_id}", responses=documented(JobNotFound))  # noqa: FAST003 - `own_job` takes the id
def get_job(job: OwnJob) -> Job:
    """Show how far a job is."""
    return job


@router.post("/jobs/{job_id}/cancel", responses=documented(JobNotFound, JobFinished))  # noqa: FAST003 - likewise
def cancel_job(job: OwnJob, jobs: BackgroundJobs) -> Job:
    """Cancel a job that has not finished."""
    return jobs.cancel(job.id)

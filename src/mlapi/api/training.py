"""Training: ask for a new version, which a worker makes in the background."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from ..errors import BadRequest, DiskFull, TooLarge, UnsupportedMediaType
from ..jobs.job import Job
from ..keys import Caller
from ..ml.base import Hyperparameters, SupervisedModel
from .auth import require
from .body import described, json_body
from .dependencies import BackgroundJobs
from .jobs import ERRORS, IdempotencyKey
from .problems import documented


def router(model: type[SupervisedModel]) -> APIRouter:
    """Return the router of `POST /train` for a model."""
    training = APIRouter(tags=["jobs"], responses=ERRORS)
    read = json_body(model.Hyperparameters, lambda place: ".".join(map(str, place)) or "body")

    @training.post(
        "/train",
        status_code=202,
        openapi_extra=described(model.Hyperparameters, {"defaults": {}}, required=False),
        responses=documented(BadRequest, TooLarge, UnsupportedMediaType, DiskFull)
        | {
            202: {
                "description": "The training is queued; `Location` is where to follow it.",
                "headers": {"Location": {"description": "Path of the job.", "schema": {"type": "string"}}},
            }
        },
    )
    def train(
        caller: Annotated[Caller, require("train")],  # first, so that a stranger's body is not judged, nor even read
        hyperparameters: Annotated[Hyperparameters, Depends(read)],
        jobs: BackgroundJobs,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> Job:
        """Train a new version in the background; it serves if it is good enough."""
        chosen = hyperparameters.model_dump(exclude_unset=True)
        job = jobs.submit("train", {"hyperparameters": chosen}, idempotency_key, owner=caller.name)
        response.headers["Location"] = f"/jobs/{job.id}"
        return job

    return training

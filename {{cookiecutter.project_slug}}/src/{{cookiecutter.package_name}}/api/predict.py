"""Predictions for rows sent as JSON or as a CSV file."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray
from starlette.datastructures import UploadFile

from .. import errors
from ..ml import Model
from ..serving import prediction
from ..serving.cache import key_of
from ..serving.champion import Served
from ..serving.prediction import Prediction
from . import lines
from .auth import require
from .body import described, json_body
from .dependencies import EverythingBehind, ServedVersion, Services
from .problems import documented
from .schemas import PREDICT_EXAMPLES, PredictRequest, place_of_row_value, predict_request

ERRORS = documented(
    errors.BadRequest,
    errors.NotAuthenticated,
    errors.NotAllowed,
    errors.TooLarge,
    errors.UnsupportedMediaType,
    errors.BadInput,
    errors.PredictionOverflow,
    errors.ModelNotReady,
)
"""Errors that a prediction may answer."""
SMALL = 8 * 2**10
"""Bytes of a request that is computed at once: some milliseconds of work, less than other callers would notice."""

UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "contentMediaType": "text/csv", "title": "The table"}},
                }
            }
        },
    }
}
"""The body of an upload, for OpenAPI."""
MAX_FIELDS = 10
"""Fields that a form may have beside the file."""

Answered = Prediction | Response
"""An answer, or the bytes of one that was kept."""
Result = TypeVar("Result")


def predict_router(max_rows: int) -> APIRouter:
    """Return the routes that predict; `max_rows` is the most that one request may hold."""
    router = APIRouter(tags=["predict"], dependencies=[require("predict")], responses=ERRORS)
    request_model = predict_request(max_rows)
    read = json_body(request_model, place_of_row_value)

    @router.post(
        "/predict",
        response_model=Prediction,
        responses=lines.DOCUMENTED,
        openapi_extra=described(request_model, PREDICT_EXAMPLES),
    )
    async def predict(
        body: Annotated[PredictRequest, Depends(read)],
        request: Request,
        version: ServedVersion,
        services: EverythingBehind,
    ) -> Answered:
        """Predict each row. Callers that accept `application/x-ndjson` get a line for each."""
        return in_form(request, await answer(services, version, body.rows(), len(await request.body())))

    @router.post("/predict/csv", response_model=Prediction, responses=lines.DOCUMENTED, openapi_extra=UPLOAD)
    async def predict_csv(
        file: Annotated[UploadFile, Depends(upload)],
        request: Request,
        version: ServedVersion,
        services: EverythingBehind,
    ) -> Answered:
        """Predict each row of a CSV file: UTF-8, a header with the features' names in any order."""
        content = await file.read()
        rows = await run_in_threadpool(prediction.read_csv, content, max_rows)
        return in_form(request, await answer(services, version, rows, len(content)))

    return router


async def answer(services: Services, version: Served, rows: Sequence[Sequence[Any]], size: int) -> Answered:
    """Predict the rows of a request of `size` bytes, or find in the cache what was predicted for them; count them.

    Raises:
        PredictionOverflow: the model computed a number that is not finite.

    """
    X = await worked_out(size, Model.Features.matrix, rows)
    if services.cache is None:
        return await worked_out(size, compute, services, version, X)
    key = key_of(Model.name, version.version, X)
    kept, result = await services.cache.find(key)
    services.metrics.cache.labels(result).inc()
    if kept is None:
        kept = (await worked_out(size, compute, services, version, X)).model_dump_json().encode()
        services.cache.keep(key, kept)
    return Response(kept, media_type="application/json")


async def worked_out(size: int, work: Callable[..., Result], *arguments: Any) -> Result:
    """Do a part of the work on a request of `size` bytes, in a thread of its own if other callers would wait for it."""
    return work(*arguments) if size <= SMALL else await run_in_threadpool(work, *arguments)


def compute(services: Services, version: Served, X: NDArray[Any]) -> Prediction:
    """Let a version predict rows, count them, and let the shadow see them."""
    try:
        predicted, found = prediction.predict(version, X)
    except errors.PredictionOverflow:
        services.metrics.overflows.inc()
        raise
    services.metrics.predicted(version.version, len(X))
    if (shadow := services.champion.shadow) is not None:
        services.shadow.offer(shadow, X, found)
    return predicted


def in_form(request: Request, answered: Answered) -> Answered:
    """Return an answer as its caller wants it: whole, or in lines."""
    if not lines.accepted(request.headers.get("accept", "")):
        return answered
    if isinstance(answered, Response):
        answered = Prediction.model_validate_json(bytes(answered.body))
    return lines.in_lines(answered)


async def upload(request: Request) -> AsyncIterator[UploadFile]:
    """Read the file of a form. A dependency, so that a stranger is turned away before anything is read.

    Raises:
        UnsupportedMediaType: the body is something else.
        BadInput: the form has no such file.

    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise errors.UnsupportedMediaType("Upload the table as multipart/form-data, in a field called file.")
    if "content-encoding" in request.headers:
        raise errors.UnsupportedMediaType("The body must not be compressed.")
    async with request.form(max_files=1, max_fields=MAX_FIELDS) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            fault = errors.Fault("file", "Input should be an uploaded file")
            raise errors.BadInput("1 value is not acceptable.", [fault])
        yield file

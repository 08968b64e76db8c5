"""Predictions for rows sent as JSON or as a CSV file."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, UploadFile
from fastapi.concurrency import run_in_threadpool

from .. import errors
from ..serving import prediction
from ..serving.prediction import Prediction
from .auth import require
from .body import described, json_body
from .dependencies import ServedVersion
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


def predict_router(max_rows: int) -> APIRouter:
    """Return the routes that predict; `max_rows` is the most that one request may hold."""
    router = APIRouter(tags=["predict"], dependencies=[require("predict")], responses=ERRORS)
    request_model = predict_request(max_rows)
    read = json_body(request_model, place_of_row_value)

    @router.post("/predict", openapi_extra=described(request_model, PREDICT_EXAMPLES))
    async def predict(body: Annotated[PredictRequest, Depends(read)], version: ServedVersion) -> Prediction:
        """Predict each row."""
        return prediction.predict(version, body.rows())

    @router.post("/predict/csv", dependencies=[Depends(multipart)])
    async def predict_csv(file: UploadFile, version: ServedVersion) -> Prediction:
        """Predict each row of a CSV file: UTF-8, a header with the features' names in any order."""
        rows = await run_in_threadpool(prediction.read_csv, await file.read(), max_rows)
        return prediction.predict(version, rows)

    return router


async def multipart(request: Request) -> None:
    """Let only an upload pass.

    Raises:
        UnsupportedMediaType: the body is something else.

    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise errors.UnsupportedMediaType("Upload the table as multipart/form-data, in a field called file.")
    if "content-encoding" in request.headers:
        raise errors.UnsupportedMediaType("The body must not be compressed.")

"""Predictions for rows sent as JSON or as a CSV file."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from numpy.typing import NDArray
from pydantic_core import to_json
from starlette.datastructures import UploadFile

from .. import errors
from ..ml.base import Lists, SupervisedModel
from ..serving import prediction
from ..serving.cache import key_of
from ..serving.champion import Served
from ..serving.pace import SMALL
from . import lines
from .auth import require
from .body import JSON, described, json_content, parsed
from .dependencies import ServedVersion, Services, served, services
from .direct import DirectRoute
from .problems import documented
from .schemas import place_of_row_value, predict_examples, predict_request

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

SAME: dict[str, Any] = {
    "methods": ["POST"],
    "tags": ["predict"],
    "dependencies": [require("predict")],
    "responses": ERRORS | lines.DOCUMENTED,
}
"""What the routes have in common."""

Result = TypeVar("Result")
Matrix = NDArray[Any]
Write = Callable[[dict[str, Any]], Response]


def router(model: type[SupervisedModel], max_rows: int) -> APIRouter:
    """Return the router of what predicts with a model, at most `max_rows` rows at once.

    Most requests are for the first of its routes, which is answered directly.
    """
    features = model.Features
    request_model = predict_request(features, max_rows)
    locate = partial(place_of_row_value, features.names())
    same = {"response_model": prediction.prediction_of(model), **SAME}
    predictions = APIRouter()

    async def predict(request: Request) -> Response:
        """Predict each row. Callers that accept `application/x-ndjson` get a line for each."""
        content = await json_content(request)
        version = await served(request)

        def read() -> Matrix:
            return features.matrix(parsed(request_model, content, locate).rows())

        return await answer(request, version, read, len(content))

    async def predict_csv(
        file: Annotated[UploadFile, Depends(upload)], request: Request, version: ServedVersion
    ) -> Response:
        """Predict each row of a CSV file: UTF-8, a header with the features' names in any order."""
        content = await file.read()

        def read() -> Matrix:
            return features.matrix(prediction.read_csv(features, content, max_rows))

        return await answer(request, version, read, len(content))

    body = described(request_model, predict_examples(features))
    predictions.add_api_route("/predict", predict, openapi_extra=body, route_class_override=DirectRoute, **same)
    predictions.add_api_route("/predict/csv", predict_csv, openapi_extra=UPLOAD, **same)
    return predictions


async def answer(request: Request, version: Served, read: Callable[[], Matrix], size: int) -> Response:
    """Predict the rows of a request of `size` bytes, or find in the cache what was predicted for them; count them.

    Raises:
        PredictionOverflow: the model computed a number that is not finite.

    """
    behind = services(request)
    write = lines.in_lines if lines.accepted(request.scope["headers"]) else whole
    if behind.cache is None:
        return await predicted(behind, version, read, write, size)
    X = await worked_out(behind, read, in_thread=size > SMALL)
    key = key_of(version.model.name, version.identity, X)
    kept, result = await behind.cache.find(key)
    behind.metrics.cache.labels(result).inc()
    if kept is None:
        kept = bytes((await predicted(behind, version, lambda: X, whole, size)).body)
        behind.cache.keep(key, kept)
    return JSONContent(kept) if write is whole else write(json.loads(kept))


async def predicted(behind: Services, version: Served, read: Callable[[], Matrix], write: Write, size: int) -> Response:
    """Predict rows and write the answer: a small request together with others, if that makes no difference to it."""

    def written(lists: Lists) -> Response:
        return write(prediction.members(version, lists))

    def alone() -> Response:
        return written(behind.predictor.predict(version, read()).lists())

    try:
        is_large = size > version.small
        if version.rowwise and not is_large:
            return await behind.batcher.predict(version, read, written, size)
        return await worked_out(behind, alone, in_thread=is_large)
    except errors.PredictionOverflow:
        behind.metrics.overflows.inc()
        raise


async def worked_out(behind: Services, work: Callable[[], Result], *, in_thread: bool) -> Result:
    """Do a part of the work on a request, in a thread of its own if other callers would wait for it too long."""
    if not in_thread:
        return work()
    # Not one of the threads that the framework lends: dozens of calls that wait for the database may hold all of them.
    return await to_thread.run_sync(work, limiter=behind.large)


class JSONContent(Response):
    """JSON that is written already. Its headers are known without a thought, which the class it extends gives them."""

    def init_headers(self, _headers: Any = None) -> None:
        """Write the headers."""
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), (b"content-type", JSON)]


def whole(predicted: dict[str, Any]) -> Response:
    """Return an answer as one JSON object."""
    return JSONContent(to_json(predicted))


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

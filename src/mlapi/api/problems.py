"""Errors as `application/problem+json` (RFC 9457): one form, one handler, nothing of the request repeated."""

import errno
import logging
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ..errors import (
    BadInput,
    BadRequest,
    DiskFull,
    Fault,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    RangeNotSatisfiable,
    ServiceError,
    TooLarge,
)
from ..logs import request_id
from .methods import allowed

MEDIA_TYPE = "application/problem+json"
"""Media type of every error."""
ROWS = {("data", "rows"), ("data", "objects")}
"""Places in a request body of all the rows; see `schemas.predict_request`."""
MAX_FAULTS = 20
"""Faults that are listed one by one; of more, the number is told."""

log = logging.getLogger(__name__)


class FaultReport(BaseModel):
    """One thing that is wrong with the request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    location: str = Field(examples=["data[3].width"])
    """Path to the value in the body, the query or a header."""
    message: str = Field(examples=["Input should be a finite number"])
    """What is wrong with it."""


class Problem(BaseModel):
    """What went wrong, after RFC 9457."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """A page that explains this kind of problem; stable, so programs can tell kinds apart by it."""
    title: str = Field(examples=["Invalid input"])
    """The kind of problem, for people."""
    status: int = Field(examples=[422])
    """The HTTP status, repeated."""
    detail: str = Field(examples=["2 values are not acceptable."])
    """What is wrong this time and what to do about it, for people."""
    request_id: str | None = Field(default=None, examples=["5c1e0b7a9d0f4c0e8a53b8e1f0d2c4a6"])
    """The id of the request, as in the header X-Request-ID: the log of the service knows it too."""
    errors: list[FaultReport] | None = None
    """The first things that are wrong with the request, if it is at fault."""


class Problems:
    """Turns errors into the answers that callers get."""

    def __init__(self, documentation: str) -> None:
        """Explain each kind of problem on a page of the documentation at this address."""
        self._documentation = documentation

    def type_of(self, slug: str) -> str:
        """Return the address of the page that explains a kind of problem."""
        return f"{self._documentation}/errors.html#{slug}"

    def response(self, error: ServiceError, headers: dict[str, str] | None = None) -> Response:
        """Return the answer to a request that has failed with an error."""
        faults = [FaultReport(**fault._asdict()) for fault in error.faults[:MAX_FAULTS]]
        problem = Problem(
            type=self.type_of(error.slug),
            title=error.title,
            status=error.status,
            detail=error.detail,
            request_id=request_id.get() or None,
            errors=faults or None,
        )
        headers = dict(headers or {})
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        if error.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer, ApiKey"
        body = problem.model_dump_json(exclude_none=True)
        return Response(body, error.status, headers, MEDIA_TYPE)


def bad_input(errors: Sequence[Any], locate: Callable[[tuple[int | str, ...]], str]) -> BadRequest:
    """Turn pydantic's errors into ours; `locate` names the place that a location stands for."""
    if any(error["type"] == "json_invalid" for error in errors):
        return BadRequest(f"The body is not JSON: {errors[0]['ctx']['error']}.")
    for error in errors:
        if error["type"] == "too_long" and error["loc"] in ROWS:
            return TooLarge(f"At most {error['ctx']['max_length']} rows are answered at once.")
    faults = [_fault(error, locate) for error in errors[:MAX_FAULTS]]
    number = "1 value is" if len(errors) == 1 else f"{len(errors)} values are"
    shown = f" The first {MAX_FAULTS} are listed." if len(errors) > MAX_FAULTS else ""
    return BadInput(f"{number} not acceptable.{shown}", faults)


def _fault(error: Any, locate: Callable[[tuple[int | str, ...]], str]) -> Fault:
    """Turn one of pydantic's errors into ours."""
    if error["type"] == "extra_forbidden":
        # The name came with the request, so it is not repeated: it may be a megabyte, or a script.
        return Fault(locate(error["loc"][:-1]), "Input has a name that is not known here")
    return Fault(locate(error["loc"]), _message(error))


def _message(error: Any) -> str:
    """Say what is wrong with a value; pydantic's own words where they speak of JSON, not of Python."""
    match error["type"]:
        case "too_long" if error["ctx"]["field_type"] == "Tuple":
            return f"Input should have {error['ctx']['max_length']} values, not {error['ctx']['actual_length']}"
        case "tuple_type":
            return "Input should be an array, as the first row is"
        case "model_type":
            return "Input should be an object"
    return str(error["msg"])


def documented(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route for OpenAPI, so that every status it may answer is described."""
    kinds: dict[int, list[type[ServiceError]]] = {}
    for error in errors:
        kinds.setdefault(error.status, []).append(error)
    return {status: _documented_response(group) for status, group in sorted(kinds.items())}


def _documented_response(errors: Iterable[type[ServiceError]]) -> dict[str, Any]:
    description = " ".join((error.__doc__ or error.title).strip() for error in errors)
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def install(app: FastAPI, problems: Problems) -> None:
    """Make every error of the application, and of the frameworks below it, a problem."""

    @app.exception_handler(ServiceError)
    async def of_the_domain(_request: Request, error: ServiceError) -> Response:
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("%s: %s", error.title, error.detail)
        return problems.response(error)

    @app.exception_handler(RequestValidationError)
    async def of_parameters(_request: Request, error: RequestValidationError) -> Response:
        return problems.response(bad_input(error.errors(), lambda place: ".".join(map(str, place[1:]))))

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = allowed(request)
            if request.scope.get("method") == "OPTIONS":  # no route of its own knows it, and every resource does
                return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
        return problems.response(from_status(error.status_code), headers)

    @app.exception_handler(OSError)
    async def of_the_disk(_request: Request, error: OSError) -> Response:
        if error.errno != errno.ENOSPC:
            raise error
        log.warning("there is no room left on the disk")
        # An upload, for one, is kept on the disk while it arrives.
        return problems.response(DiskFull("There is too little room on the disk for this."))

    app.add_exception_handler(ClientDisconnect, _of_a_caller_who_left)


async def _of_a_caller_who_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody hears it; but a traceback would tell of no fault


OF_LIBRARIES: dict[int, ServiceError] = {
    HTTPStatus.NOT_FOUND: NotFound("There is no such resource."),
    HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed(
        "This resource does not know this method. The header Allow names those it knows."
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLarge("The body is larger than this service reads."),
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: RangeNotSatisfiable(
        "The resource has no such part. The header Content-Range tells its size."
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: Overloaded("The service answers all the requests it may."),
}
"""What stands for each status that a library answers by itself."""


def from_status(status: int) -> ServiceError:
    """Return the error that stands for a status which a library answers by itself."""
    if status in OF_LIBRARIES:
        return OF_LIBRARIES[status]
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServiceError("The service failed to answer this request.")
    return BadRequest("The request cannot be read.")

"""Request bodies: JSON checked against a model straight from its bytes, and described in OpenAPI.

pydantic's JSON reader also withstands what `json.loads` does not: NaN, deep nesting, huge integers, lone surrogates.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from ..errors import UnsupportedMediaType
from .problems import bad_input

Body = TypeVar("Body", bound=BaseModel)
JSON = b"application/json"
"""Media type of a body that is read."""


def json_body(
    model: type[Body], locate: Callable[[tuple[int | str, ...]], str]
) -> Callable[[Request], Awaitable[Body]]:
    """Return a dependency that reads the body as `model`; `locate` names a place in it for the caller."""

    async def read(request: Request) -> Body:
        return parsed(model, await json_content(request), locate)

    return read


async def json_content(request: Request) -> bytes:
    """Return the body of a request, which must call itself JSON.

    Raises:
        UnsupportedMediaType: it does not, or is compressed.

    """
    content = await content_of(request)
    media_type, encoding = b"", False
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            media_type = value
        elif name == b"content-encoding":
            encoding = True
    if media_type != JSON and (media_type or content) and media_type.partition(b";")[0].strip().lower() != JSON:
        raise UnsupportedMediaType("The body must be JSON: send it with Content-Type: application/json.")
    if encoding:
        raise UnsupportedMediaType("The body must not be compressed.")
    return content


async def content_of(request: Request) -> bytes:
    """Return the body of a request, once.

    `Request.body` does the same by way of an asynchronous generator. To start and end one takes longer than to read the
    rows of a small request.

    Raises:
        ClientDisconnect: the caller has gone before all of it came.

    """
    parts = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def parsed(model: type[Body], content: bytes, locate: Callable[[tuple[int | str, ...]], str]) -> Body:
    """Return JSON as a model; `locate` names a place in it for the caller.

    Raises:
        BadRequest: it is not JSON, or not as the model wants it.

    """
    try:
        return model.model_validate_json(content or b"{}")
    except ValidationError as error:
        raise bad_input(error.errors(include_input=False, include_url=False), locate) from None


def described(
    model: type[BaseModel], examples: dict[str, Any] | None = None, *, required: bool = True
) -> dict[str, Any]:
    """Return the OpenAPI description of a body that `json_body` reads."""
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": required, "content": {"application/json": content}}}

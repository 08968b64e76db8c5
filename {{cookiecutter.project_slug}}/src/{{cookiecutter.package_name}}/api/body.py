"""Request bodies: JSON checked against a model straight from its bytes, and described in OpenAPI.

pydantic's JSON reader also withstands what `json.loads` does not: NaN, deep nesting, huge integers, lone surrogates.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from ..errors import UnsupportedMediaType
from .problems import bad_input

Body = TypeVar("Body", bound=BaseModel)


def json_body(
    model: type[Body], locate: Callable[[tuple[int | str, ...]], str]
) -> Callable[[Request], Awaitable[Body]]:
    """Return a dependency that reads the body as `model`; `locate` names a place in it for the caller."""

    async def read(request: Request) -> Body:
        content = await request.body()
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and (content or media_type):
            raise UnsupportedMediaType("The body must be JSON: send it with Content-Type: application/json.")
        if "content-encoding" in request.headers:
            raise UnsupportedMediaType("The body must not be compressed.")
        try:
            return model.model_validate_json(content or b"{}")
        except ValidationError as error:
            raise bad_input(error.errors(include_input=False, include_url=False), locate) from None

    return read


def described(
    model: type[BaseModel], examples: dict[str, Any] | None = None, *, required: bool = True
) -> dict[str, Any]:
    """Return the OpenAPI description of a body that `json_body` reads."""
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
    if examples:
        content["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": required, "content": {"application/json": content}}}

"""Answers that a caller may keep: with an ETag, and 304 Not Modified for one that has the newest already."""

from hashlib import sha256
from typing import Annotated, Any

from fastapi import Header, Response
from pydantic import BaseModel

IfNoneMatch = Annotated[
    str | None, Header(max_length=1000, description="An ETag from before: if it is still right, the answer is 304.")
]


def conditional(answer: BaseModel, known: str | None) -> Response:
    """Return an answer as JSON, or 304 if the caller knows it; `known` is the header If-None-Match (RFC 9110, 13.1.2).

    The tag is weak because the bytes may go compressed or not.
    """
    content = answer.model_dump_json().encode()
    tag = f'W/"{sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if known is not None and (known.strip() == "*" or tag in {one.strip() for one in known.split(",")}):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")


def documented_tag() -> dict[int | str, dict[str, Any]]:
    """Return the part of a route's `responses` that tells OpenAPI about the tag."""
    header = {"ETag": {"description": "Changes when the answer does.", "schema": {"type": "string"}}}
    return {
        200: {"headers": header},
        304: {"description": "The caller has the newest answer already.", "headers": header},
    }

"""The end of an operation, told to its callers in time: the headers Deprecation (RFC 9745) and Sunset (RFC 8594)."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from fastapi import Depends, Request

from .dependencies import Header, note


def deprecated_since(since: datetime, sunset: datetime | None = None, successor: str | None = None) -> Any:
    """Return a dependency by which every answer of a route, but to strangers, says that it should not be used.

    `since` is when that began or will begin, `sunset` when the route may vanish, both with a time zone; `successor` is
    the path to use instead. Put it before the check of the scope, and mark the route for OpenAPI too::

        @router.get("/old", deprecated=True, dependencies=[deprecated_since(since, sunset, "/new")])
    """
    headers: list[Header] = [(b"deprecation", f"@{int(since.timestamp())}".encode())]
    if sunset is not None:
        headers.append((b"sunset", format_datetime(sunset.astimezone(UTC), usegmt=True).encode()))
    if successor is not None:
        headers.append((b"link", f'<{successor}>; rel="successor-version"'.encode()))
    return Depends(_teller(headers))


def _teller(headers: list[Header]) -> Callable[[Request], Awaitable[None]]:
    async def tell(request: Request) -> None:
        note(request.scope, *headers)

    return tell

"""Limits on what a stranger can send."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOO_LARGE = 413
"""HTTP status of a body over the limit."""
MAX_DIGITS = 18
"""Digits of an announced length that are read: more are too large anyway, and Python refuses to read thousands."""


class BodyLimit:
    """Refuse a body over `max_bytes`, whether its length is announced or found out while it arrives.

    FastAPI's own limit answers in plain text for an announced length; this one leaves the answer to the error handler.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_bytes_at: Mapping[str, int] | None = None) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.max_bytes_at = max_bytes_at or {}
        """Limits of single paths."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with a body that ends in an error where it becomes too large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        max_bytes = self.max_bytes_at.get(scope["path"], self.max_bytes)
        for name, value in scope["headers"]:
            if name == b"content-length" and int(value[:MAX_DIGITS]) > max_bytes:
                await self.app(scope, _too_large, send)
                return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > max_bytes:
                raise HTTPException(TOO_LARGE)
            return message

        await self.app(scope, limited, send)


async def _too_large() -> Message:
    """Refuse what is announced as too large as soon as somebody wants to read it."""
    raise HTTPException(TOO_LARGE)

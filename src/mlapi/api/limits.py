"""Limits on what strangers can send, and on how much of it at once."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Overloaded
from .problems import Problems

SMALL_BYTES = 64 * 1024
"""A request whose body is still arriving takes a place only from this size on."""
EXEMPT = ("/health/", "/metrics")
"""What begins like these is answered however busy the process is."""
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Methods whose body may be read. A request of another takes its place at once, whatever it announces."""
MAX_DIGITS = 18
"""Digits of an announced length that are read: more are too large anyway, and Python refuses to read thousands."""


class Limits:
    """Refuse bodies that are too large, and requests beyond those that a process answers at once.

    A body over `max_bytes` ends in an error, whether its length is announced or found out while it arrives. FastAPI's
    own limit answers in plain text for an announced length; this one leaves the answer to the error handler.

    At most `max_requests` are answered at once, and those beyond with 503 and Retry-After. A request takes its place
    when its body has arrived or has become large, and keeps it until it is answered. So clients that send slowly keep
    nobody else out, and memory stays bounded.
    """

    def __init__(
        self,
        app: ASGIApp,
        problems: Problems,
        max_requests: int,
        max_bytes: int,
        max_bytes_at: Mapping[str, int] | None = None,
    ) -> None:
        self.app = app
        self._problems = problems
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.max_bytes_at = max_bytes_at or {}
        """Limits of single paths."""
        self.taken = 0
        """Requests that have a place now."""
        self.refused = 0
        """Requests that found none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(self, scope, receive)
        if body.needs_place and not body.is_announced:
            body.has_place = self.take()
            if not body.has_place:
                refusal = Overloaded("The service answers all the requests it may.")
                await self._problems.response(refusal)(scope, receive, send)
                return
        try:
            await self.app(scope, body.read, send)
        finally:
            self.taken -= body.has_place

    def take(self) -> bool:
        """Take a place, if there is one."""
        if self.taken >= self.max_requests:
            self.refused += 1
            return False
        self.taken += 1
        return True


class _Body:
    """The body of a request, on its way in."""

    __slots__ = ("_limits", "_max_bytes", "_receive", "_received", "has_place", "is_announced", "needs_place", "size")

    def __init__(self, limits: Limits, scope: Scope, receive: Receive) -> None:
        self._limits = limits
        self._receive = receive
        self._max_bytes = limits.max_bytes_at.get(scope["path"], limits.max_bytes)
        self._received = 0
        self.is_announced = False
        self.size = 0  # as announced
        for name, value in scope["headers"]:
            if name == b"content-length":
                self.size = int(value[:MAX_DIGITS])
                self.is_announced = self.size > 0 and scope["method"] in WITH_BODY
            elif name == b"transfer-encoding":
                self.is_announced = scope["method"] in WITH_BODY
        self.needs_place = not scope["path"].startswith(EXEMPT)
        self.has_place = False

    async def read(self) -> Message:
        """Return the next part, once it is known to be within the limits and, if it is the last, to have a place."""
        if self.size > self._max_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > self._max_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self.needs_place and not self.has_place:
            if self._received <= SMALL_BYTES and message.get("more_body", False):
                return message
            self.has_place = self._limits.take()
            if not self.has_place:
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE)
        return message

"""How many requests a process answers at once."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import Overloaded
from .problems import problem_response

SMALL_BYTES = 64 * 1024
"""A request whose body is still arriving takes a place only from this size on."""
EXEMPT = ("/health/", "/metrics")
"""What begins like these is answered however busy the process is."""
BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})
"""Headers of a request that has a body."""


class Concurrency:
    """Answer at most `limit` requests at once, and those beyond it with 503 and Retry-After.

    A request takes its place when its body has arrived or has become large, and keeps it until it is answered. So
    clients that send slowly keep nobody else out, and memory stays bounded.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit
        self.taken = 0
        """Requests that have a place now."""
        self.refused = 0
        """Requests that found none."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"].startswith(EXEMPT):
            await self.app(scope, receive, send)
        elif BODY_HEADERS.isdisjoint([name for name, _ in scope["headers"]]):
            await self._at_once(scope, receive, send)
        else:
            await self._with_its_body(scope, receive, send)

    async def _at_once(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._take():
            await problem_response(Overloaded("The service answers all the requests it may."))(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self.taken -= 1

    async def _with_its_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        received, placed = 0, False

        async def counted() -> Message:
            nonlocal received, placed
            message = await receive()
            received += len(message.get("body", b""))
            if not placed and (received > SMALL_BYTES or not message.get("more_body", False)):
                placed = self._take()
                if not placed:
                    raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE)
            return message

        try:
            await self.app(scope, counted, send)
        finally:
            self.taken -= placed

    def _take(self) -> bool:
        """Take a place, if there is one."""
        if self.taken >= self.limit:
            self.refused += 1
            return False
        self.taken += 1
        return True

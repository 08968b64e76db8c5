"""A route that costs a request as little as possible: for the operation that is called more than all others together.

FastAPI prepares each request for whatever an endpoint might ask for: it resolves a graph of dependencies, opens three
stacks of things to close, and validates the answer before it is written. For one row and a small model that takes
longer than all the rest. An endpoint of this route gets the request and returns its response. All else is as ever: the
router finds it, guards turn callers away, the handlers of errors answer what it raises, and OpenAPI describes it.
"""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction, signature
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

Guard = Callable[[Request], Awaitable[Any]]


class DirectRoute(APIRoute):
    """A route whose endpoint, and whose guards before it, take the request and nothing else.

    Add it to the application itself: guards of a router that includes it would not be seen.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._guards = [_guard(one.dependency) for one in self.dependencies]
        if not self._guards:
            raise TypeError(f"{path} needs a guard of its own")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; raise what the application's handlers of errors turn into an answer."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)  # refuses it
            return
        request = Request(scope, receive)
        for guard in self._guards:
            await guard(request)
        response = await self.endpoint(request)
        await response(scope, receive, send)


def _guard(dependency: Any) -> Guard:
    """Return a dependency that takes a request, and nothing that would have to be resolved.

    Raises:
        TypeError: it takes something else; it would not be called as it expects.

    """
    asked = [parameter.annotation for parameter in signature(dependency).parameters.values()]
    if asked != [Request] or not iscoroutinefunction(dependency):
        raise TypeError(f"{dependency} cannot guard a direct route: it must be async and take the request alone")
    guard: Guard = dependency
    return guard

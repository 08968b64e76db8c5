"""A route that costs a request as little as possible: for the operation that is called more than all others together.

FastAPI prepares each request for whatever an endpoint might ask for: it looks for the route, opens four stacks of
things to close, resolves a graph of dependencies, and validates the answer before it is written. For one row and a
small model that takes longer than all the rest. An endpoint of this route gets the request and returns its response,
and a middleware brings the request to it. All else is as ever: guards turn callers away, the application's handlers of
errors answer what is raised, and OpenAPI describes it.
"""

from collections.abc import Awaitable, Callable, Iterable
from inspect import iscoroutinefunction, signature
from typing import Any

from fastapi import Request, Response
from fastapi.requests import HTTPConnection
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

Guard = Callable[[Request], Awaitable[Any]]
RAISED = "direct.raised"
"""Where a request holds the error that its endpoint or a guard has raised already."""


class DirectRoute(APIRoute):
    """A route whose endpoint, and whose guards before it, take the request and nothing else.

    It is one like any other where its router is included with dependencies of its own, which are called then.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._guards = [_guard(one.dependency) for one in self.dependencies]
        if not self._guards or "{" in path:
            raise TypeError(f"{path} needs a guard of its own, and no parameters")

    async def respond(self, request: Request) -> Response:
        """Return the answer to a request; raise what the application's handlers of errors turn into one."""
        for guard in self._guards:
            await guard(request)
        response: Response = await self.endpoint(request)
        return response

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that the router has found the route for, unless an error was raised for it already."""
        if RAISED in scope:
            raise scope[RAISED]
        direct: Routes = getattr(scope.get("app"), "direct", {})
        if direct.get((scope["method"], scope["path"])) is not self:  # dependencies of others may stand before it
            await super().handle(scope, receive, send)
            return
        response = await self.respond(Request(scope, receive))
        await response(scope, receive, send)


Routes = dict[tuple[str, str], DirectRoute]
"""Direct routes by method and path."""


def direct_routes(routes: Iterable[BaseRoute], prefix: str = "") -> Routes:
    """Find the direct ones among routes that stand below a prefix."""
    direct = [route for route in routes if isinstance(route, DirectRoute)]
    return {(method, prefix + route.path): route for route in direct for method in route.methods or ()}


class Shortcut:
    """Bring requests for direct routes to them, past the layers that others need. The innermost middleware."""

    def __init__(self, app: ASGIApp, routes: Routes) -> None:
        """Know the direct routes; more may be added to them."""
        self.app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered by its route, or pass it on, also with an error that was raised."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        try:
            response = await route.respond(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 - the route raises it again
            scope[RAISED] = error
            await self.app(scope, receive, send)
            return
        await response(scope, receive, send)


def _guard(dependency: Any) -> Guard:
    """Return a dependency that takes a request, and nothing that would have to be resolved.

    Raises:
        TypeError: it takes something else; it would not be called as it expects.

    """
    asked = [parameter.annotation for parameter in signature(dependency).parameters.values()]
    if asked not in ([Request], [HTTPConnection]) or not iscoroutinefunction(dependency):
        raise TypeError(f"{dependency} cannot guard a direct route: it must be async and take the request alone")
    guard: Guard = dependency
    return guard

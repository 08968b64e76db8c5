"""The methods of each resource: OPTIONS tells them, and so does a refusal. HEAD is the envelope's business."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.routing import Route, compile_path

from .auth import OPEN, require

OF_ASSETS = "GET, HEAD"
"""What files can be asked."""


def install(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Make every resource answer OPTIONS, to those who may know of it. To be called when all routes are there.

    `routers` are those that the application includes, each under its own prefix. FastAPI prepares their routes when the
    first request comes by; to ask it for them here would do so at the start.
    """
    methods: dict[str, set[str]] = {}
    for route in [*app.routes, *(route for router in routers for route in router.routes)]:
        if isinstance(route, Route) and route.methods:
            methods.setdefault(route.path, {"OPTIONS"}).update(route.methods)
    app.state.methods = [(compile_path(path)[0], known) for path, known in methods.items()]
    for path in methods:
        guard = [] if path in OPEN else [require()]
        app.add_api_route(path, options, methods=["OPTIONS"], dependencies=guard, include_in_schema=False)


async def options(request: Request) -> Response:
    """Tell the methods of a resource."""
    return Response(status_code=204, headers={"Allow": allowed(request)})


def allowed(request: Request) -> str:
    """Return the methods that the resource of a request knows, for the header Allow."""
    path = request.scope["path"]
    known = {method for pattern, methods in request.app.state.methods if pattern.match(path) for method in methods}
    if "GET" in known:
        known.add("HEAD")
    return ", ".join(sorted(known)) or OF_ASSETS

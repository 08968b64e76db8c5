"""The methods of each resource: OPTIONS tells them, and so does a refusal. HEAD is the envelope's business."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.types import Scope


def path_of(scope: Scope) -> str:
    """Return the path of a request as the router sees it: below the prefix of the application or mount, if any."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path[len(prefix) :] if f"{path}/".startswith(f"{prefix}/") else path


def routes_of(scope: Scope) -> Iterator[RouteContext]:
    """Find the routes for the path of a request, whatever its method, among all that there are by now."""
    path = path_of(scope)
    for route in iter_route_contexts(scope["app"].routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(path):
            yield route


def allowed(request: Request) -> str:
    """Return the methods that the resource of a request knows, for the header Allow."""
    known = {method for route in routes_of(request.scope) for method in route.methods or ()}
    known = known or {"GET"}  # a mount names none: what is there are files
    return ", ".join(sorted(known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())))

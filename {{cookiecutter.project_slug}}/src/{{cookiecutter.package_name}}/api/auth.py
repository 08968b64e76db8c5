"""Who may call: nobody without a key, unless the service is reached over loopback only."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader

from ..errors import NotAllowed, NotAuthenticated
from ..keys import Scope
from ..settings import is_loopback
from .dependencies import services

_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="Made by the command `keys create`.")

_is_loopback = lru_cache(maxsize=64)(is_loopback)


def require(scope: Scope) -> Any:
    """Return a dependency that lets only callers pass who may do `scope`."""
    return Depends(_check(scope))


def _check(scope: Scope) -> Callable[..., Awaitable[None]]:
    async def check(request: Request, secret: Annotated[str | None, Depends(_header)]) -> None:
        found = services(request)
        if not found.settings.require_key and _is_direct(request):
            return
        if secret is None:
            raise NotAuthenticated("Send an API key in the header X-API-Key.")
        key = found.keys.find(secret)
        if key is None:
            raise NotAuthenticated("This API key is unknown or revoked.")
        if not key.allows(scope):
            raise NotAllowed(f"This API key is not good for the scope {scope}.")

    return check


def _is_direct(request: Request) -> bool:
    """Tell whether a request came over loopback, and not through a proxy that listens elsewhere."""
    server = request.scope.get("server")
    forwarded = "x-forwarded-for" in request.headers or "forwarded" in request.headers
    return server is not None and _is_loopback(server[0]) and not forwarded

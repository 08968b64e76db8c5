"""Who may call: nobody without a key, unless the service is reached over loopback only."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import urlsplit

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
        if not found.settings.needs_key and _is_local(request):
            return
        if secret is None:
            raise NotAuthenticated("Send an API key in the header X-API-Key.")
        key = found.keys.find(secret)
        if key is None:
            raise NotAuthenticated("This API key is unknown or revoked.")
        if not key.allows(scope):
            raise NotAllowed(f"This API key is not good for the scope {scope}.")

    return check


def _is_local(request: Request) -> bool:
    """Tell whether a program on this machine sent a request, neither a proxy nor a web page from elsewhere."""
    server = request.scope.get("server")
    if server is None or not _is_loopback(server[0]):
        return False
    headers = request.headers
    forwarded = "x-forwarded-for" in headers or "forwarded" in headers
    # A browser on this machine sends what any web page tells it to; it also tells whose page that is.
    own_page = headers.get("sec-fetch-site", "none") in {"none", "same-origin"}
    origin = headers.get("origin")
    own_origin = origin is None or _is_loopback(_host_of(origin))
    return _is_loopback(_host_of(f"//{headers.get('host', '')}")) and own_page and own_origin and not forwarded


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""

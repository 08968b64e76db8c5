"""Who may call: nobody without a credential, unless the service is reached over loopback only."""

import re
from collections.abc import Awaitable, Callable, Iterable
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

from fastapi import Depends
from fastapi.dependencies.models import Dependant
from fastapi.requests import HTTPConnection
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as ASGIScope
from starlette.websockets import WebSocketClose

from ..errors import IssuerUnavailable, KeysUnavailable, NotAllowed, NotAuthenticated, ServiceError, TooManyRequests
from ..keys import LOCAL, Caller, Scope
from ..values import is_loopback
from .dependencies import Services, note, services
from .direct import RAISED
from .methods import path_of, routes_of

OPEN = frozenset({"/health/live", "/health/ready", "/docs", "/openapi.json", "/static/*"})
"""All paths that strangers may read, beside those that the project opens; `/static` holds the assets of `/docs`."""
ADMITTED = "auth.caller"
"""Where a request holds its caller, once that is known and counted. Only this module writes it."""
DOTS = frozenset({".", ".."})
"""Parts of a path that stand for a folder itself and for the one above it."""
SEPARATOR = re.compile(r"[/\\]")
"""What parts a path on any system."""
POLICY_VIOLATION = 1008
"""The code by which a websocket is refused (RFC 6455, 7.4.1)."""
FORWARDED = frozenset(
    {b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"}
)
"""Headers that tell of a proxy."""
TELLING = FORWARDED | {b"host", b"origin", b"sec-fetch-site"}
"""Headers that tell where a request comes from."""

ERRORS = (NotAuthenticated, NotAllowed, TooManyRequests, KeysUnavailable, IssuerUnavailable)
"""What a check of who calls may raise."""

SCHEMES: dict[str, SecurityBase] = {
    "ApiKey": APIKeyHeader(name="X-API-Key", description="Made by the command `keys create`."),
    "Bearer": HTTPBearer(description="An API key, or a token of the issuer that the service is configured for."),
}
"""How a caller may show a credential, for OpenAPI. `admit` reads them itself: each dependency costs time."""

_is_loopback = lru_cache(maxsize=64)(is_loopback)


def require(*scopes: Scope) -> Any:
    """Return a dependency that lets only callers pass who may do one of these, and that is worth the `Caller`.

    `dependencies=[require("train")]` guards a router; an endpoint that asks who calls takes a parameter
    `caller: Annotated[Caller, require("train")]`. Both together are one check. Without scopes, any caller passes.
    Websockets take it, too.
    """
    return Depends(_check(scopes))


@cache  # the framework calls a dependency once in a request, if it is the same function
def _check(scopes: tuple[Scope, ...]) -> Callable[..., Awaitable[Caller]]:
    async def check(connection: HTTPConnection) -> Caller:
        caller: Caller | None = connection.scope.get(ADMITTED)
        if caller is None:  # a direct route is before the guard, and an open path is past it
            caller = await admit(connection, services(connection))
        if scopes and not any(map(caller.allows, scopes)):
            raise NotAllowed(f"This credential is not good for the scope {' or '.join(scopes)}.")
        return caller

    check.__qualname__ = require.__qualname__  # as documentation is to name it
    return check


def asks_who_calls(dependant: Dependant) -> bool:
    """Tell whether a route has a dependency that `require` has made."""
    return any(
        (getattr(one.call, "__module__", None), getattr(one.call, "__qualname__", None)) == (__name__, require.__name__)
        or asks_who_calls(one)
        for one in dependant.dependencies
    )


class Allowlist:
    """Paths that strangers may read. One that ends in `/*` stands for all below it; any other is meant as it is."""

    def __init__(self, paths: Iterable[str]) -> None:
        """Take the paths.

        Raises:
            ValueError: one of them is not as requests have it.

        """
        paths = frozenset(paths)
        for path in paths:
            if not path.startswith("/") or path == "/*" or set("{}*") & set(path.removesuffix("/*")):
                raise ValueError(f"{path!r} cannot be opened: name a path, such as /status, or all below one: /files/*")
        self._paths = paths
        self._prefixes = tuple(path.removesuffix("*") for path in paths if path.endswith("/*"))

    def __contains__(self, path: str) -> bool:
        # What serves files resolves `..`, so a path with one may lead elsewhere than it begins.
        return path in self._paths or (path.startswith(self._prefixes) and not DOTS & {*SEPARATOR.split(path)})


class Guard:
    """Let nobody pass to the router who is not known, whatever route there is: this denies by default.

    It stands before the router and within the handlers of errors. What a direct route has refused is raised again here.
    """

    def __init__(self, app: ASGIApp, behind: Services, public: Allowlist) -> None:
        self.app = app
        self._behind = behind
        self._public = public

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Pass a request or websocket on once its caller is admitted; raise what speaks against it."""
        if scope["type"] != "lifespan":
            if RAISED in scope:
                raise scope[RAISED]
            scope.setdefault("state", {})
            if path_of(scope) not in self._public:
                try:
                    await admit(HTTPConnection(scope), self._behind)
                except ServiceError:
                    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", ()):
                        await WebSocketClose(POLICY_VIOLATION)(scope, receive, send)
                        return
                    scope["route"] = next((route for route in routes_of(scope) if route.methods), None)  # for metrics
                    raise
        await self.app(scope, receive, send)


async def admit(connection: HTTPConnection, behind: Services) -> Caller:
    """Return who sends a request or opens a websocket, once it is counted.

    Raises:
        NotAuthenticated: the caller is a stranger. To strangers everything is the same but what is open.
        TooManyRequests: the caller has sent too many.

    """
    if not behind.needs_key and _is_local(connection):
        caller = LOCAL
    else:
        caller = await _identify(connection, behind)
    connection.scope["state"]["caller"] = caller.name  # the log tells it, also of one who is turned away below
    if behind.quotas is not None and caller is not LOCAL:
        charge = await behind.quotas.charge(caller.credential)
        note(connection.scope, *charge.headers)
        if charge.wait:
            raise TooManyRequests("The limit on requests is reached.", retry_after=charge.wait)
    connection.scope[ADMITTED] = caller
    return caller


async def _identify(connection: HTTPConnection, behind: Services) -> Caller:
    """Return whose credential a request carries: an API key in either header, or a token."""
    key = connection.headers.get("x-api-key")
    scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
    if key is None and scheme.lower() != "bearer":
        raise NotAuthenticated("Send an API key in the header X-API-Key, or as Authorization: Bearer.")
    if key is None and behind.issuer is not None and bearer.count(".") == 2:  # noqa: PLR2004 - a JWT's dots
        return await behind.issuer.caller(bearer)
    known = behind.keys.find(bearer if key is None else key)
    if known is None:
        raise NotAuthenticated("This API key is unknown or revoked.")
    return known.caller


def _is_local(connection: HTTPConnection) -> bool:
    """Tell whether a program on this machine sent a request, neither a proxy nor a web page from elsewhere."""
    server = connection.scope.get("server")
    if server is None or not _is_loopback(server[0]):
        return False
    names_host = False
    for name, value in connection.scope["headers"]:
        if name in TELLING:
            if not _is_from_here(name, value):
                return False
            names_host = names_host or name == b"host"
    return names_host


@lru_cache(maxsize=256)
def _is_from_here(name: bytes, value: bytes) -> bool:
    """Tell whether a header that tells of where a request comes from speaks of this machine."""
    text = value.decode("latin-1")
    if name == b"host":
        return _is_loopback(_host_of(f"//{text}"))
    # A browser on this machine sends what any web page tells it to; it also tells whose page that is.
    if name == b"sec-fetch-site":
        return text in {"none", "same-origin"}
    return name == b"origin" and _is_loopback(_host_of(text))


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""

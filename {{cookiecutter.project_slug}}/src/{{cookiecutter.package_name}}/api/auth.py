"""Who may call: nobody without a credential, unless the service is reached over loopback only."""

from collections.abc import Awaitable, Callable
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.base import SecurityBase

from ..errors import IssuerUnavailable, KeysUnavailable, NotAllowed, NotAuthenticated, TooManyRequests
from ..keys import LOCAL, Caller, Scope
from ..values import is_loopback
from .dependencies import Services, note, services

OPEN = frozenset({"/health/live", "/health/ready", "/docs", "/openapi.json"})
"""All paths that strangers may read, beside the assets of `/docs`."""
OPEN_ASSETS = "/static/"
"""Paths of the assets of `/docs` begin like this."""
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
"""How a caller may show a credential, for OpenAPI. `_admit` reads them itself: each dependency costs time."""

_is_loopback = lru_cache(maxsize=64)(is_loopback)


def require(*scopes: Scope) -> Any:
    """Return a dependency that lets only callers pass who may do one of these, and that is worth the `Caller`.

    `dependencies=[require("train")]` guards a router; an endpoint that asks who calls takes a parameter
    `caller: Annotated[Caller, require("train")]`. Both together are one check. Without scopes, any caller passes.
    """
    return Depends(_check(scopes))


@cache  # the framework calls a dependency once in a request, if it is the same function
def _check(scopes: tuple[Scope, ...]) -> Callable[..., Awaitable[Caller]]:
    async def check(request: Request) -> Caller:
        caller = await _admit(request)
        if scopes and not any(map(caller.allows, scopes)):
            raise NotAllowed(f"This credential is not good for the scope {' or '.join(scopes)}.")
        return caller

    check.__qualname__ = require.__qualname__  # as documentation is to name it
    return check


async def admit_to_anything(request: Request) -> None:
    """Let a request pass that leads nowhere, as to a path that does not exist, if its caller is known.

    Raises:
        NotAuthenticated: the caller is a stranger. To strangers everything is the same but what is open.
        TooManyRequests: the caller has sent too many.

    """
    path = request.scope["path"]
    if "caller" not in request.scope["state"] and path not in OPEN and not path.startswith(OPEN_ASSETS):
        await _admit(request)


async def _admit(request: Request) -> Caller:
    """Return who sends a request, once it is counted."""
    found = services(request)
    if not found.needs_key and _is_local(request):
        caller = LOCAL
    else:
        caller = await _identify(request, found)
    request.scope["state"]["caller"] = caller.name
    if found.quotas is not None and caller is not LOCAL:
        charge = await found.quotas.charge(caller.credential)
        note(request.scope, *charge.headers)
        if charge.wait:
            raise TooManyRequests("The limit on requests is reached.", retry_after=charge.wait)
    return caller


async def _identify(request: Request, found: Services) -> Caller:
    """Return whose credential a request carries: an API key in either header, or a token."""
    key = request.headers.get("x-api-key")
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if key is None and scheme.lower() != "bearer":
        raise NotAuthenticated("Send an API key in the header X-API-Key, or as Authorization: Bearer.")
    if key is None and found.issuer is not None and bearer.count(".") == 2:  # noqa: PLR2004 - a JWT's dots
        return await found.issuer.caller(bearer)
    known = found.keys.find(bearer if key is None else key)
    if known is None:
        raise NotAuthenticated("This API key is unknown or revoked.")
    return known.caller


def _is_local(request: Request) -> bool:
    """Tell whether a program on this machine sent a request, neither a proxy nor a web page from elsewhere."""
    server = request.scope.get("server")
    if server is None or not _is_loopback(server[0]):
        return False
    names_host = False
    for name, value in request.scope["headers"]:
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

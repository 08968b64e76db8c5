"""What stands around every answer: its id, its security headers, its line in the log, and its form if an error."""

import logging
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from random import getrandbits
from time import perf_counter

from fastapi import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import BadRequest, ServiceError
from ..logs import AccessLog, Request, request_id
from ..monitoring.metrics import Metrics
from ..settings import Settings
from .dependencies import Header
from .problems import MEDIA_TYPE, Problems, from_status

log = logging.getLogger(__name__)

ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
"""What an id may look like that a caller brings along; any other is replaced."""
HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})|(\[[0-9A-Fa-f:.]{2,45}\]))(?::[0-9]{1,5})?")
"""A host name or address, perhaps with a port."""
FIRST_ERROR = 400
"""Statuses of errors begin here. Plain, because each answer is compared with it."""
UNKNOWN = "other"
"""What requests count as that no route was for."""
EXEMPT = "/health/"
"""Paths that begin like this are answered under any host name: probes call by address."""
SECURITY: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
"""Headers of every answer. HSTS goes with those over HTTPS."""
DEFAULTS: dict[bytes, bytes] = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every answer that does not have its own."""
OF_A_BODY = frozenset({b"content-length", b"content-type", b"content-encoding", b"etag", b"last-modified"})
"""Headers that tell of a body, and so go when the body is replaced."""


class Envelope:
    """Give each answer its envelope. One middleware does it all, because each costs every request something."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, log: AccessLog | None) -> None:
        self.app = app
        self._metrics = metrics
        self._log = log
        self._problems = Problems(settings.about.documentation)
        self._allows = lru_cache(maxsize=1024)(host_rule(settings.allowed_hosts))
        self._plain, self._secure = protection(settings, secure=False), protection(settings, secure=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; whatever happens inside, the answer is in form."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = perf_counter()
        id_, host = _read(scope["headers"])
        token = request_id.set(id_.decode())
        headers = [(b"x-request-id", id_), *(self._secure if scope["scheme"] == "https" else self._plain)]
        answer = Answer(scope, send, headers, self._problems)
        try:
            if self._allows(host) or (scope["path"].startswith(EXEMPT) and well_formed(host)):
                await self.app(answer.scope, receive, answer.send)
            else:
                refusal = BadRequest("The header Host does not name this service.")
                await self._problems.response(refusal)(scope, receive, answer.send)
        except Exception:
            # The boundary of the process: the log gets the traceback, the caller learns only that it is our fault.
            log.exception("a request was not answered")
            if answer.status:
                raise
            fault = ServiceError("The service failed to answer this request. It has been logged.")
            await self._problems.response(fault)(scope, receive, answer.send)
        finally:
            self._record(scope, answer, perf_counter() - started)
            request_id.reset(token)

    def _record(self, scope: Scope, answer: "Answer", seconds: float) -> None:
        """Count a request, and write its line."""
        route = getattr(answer.scope.get("route"), "path", UNKNOWN)
        self._metrics.request(scope["method"], route, answer.status, seconds)
        if self._log is not None:
            client = scope["client"]
            caller = answer.scope["state"].get("caller", "-")
            at = (client[0] if client else "-", caller, scope["method"], scope["path"])
            self._log.add(Request(*at, answer.status, answer.size, seconds))


def protection(settings: Settings, *, secure: bool) -> list[Header]:
    """Return the security headers of every answer; `secure` tells whether it goes over HTTPS."""
    hsts = (b"strict-transport-security", f"max-age={settings.hsts_seconds}".encode())
    return [*SECURITY, hsts] if secure and settings.hsts_seconds else [*SECURITY]


def refusal_of(error: ServiceError, settings: Settings, client: str, *, secure: bool) -> Response:
    """Return the answer to what never became a request, in the same envelope, and log it."""
    id_ = f"{getrandbits(128):032x}"
    token = request_id.set(id_)
    try:
        log.info("%s was refused: %s", client, error.title)
        response = Problems(settings.about.documentation).response(error)
    finally:
        request_id.reset(token)
    others = [(b"x-request-id", id_.encode()), *protection(settings, secure=secure), *DEFAULTS.items()]
    response.raw_headers.extend(others)
    return response


class Answer:
    """An answer on its way out."""

    __slots__ = ("_headers", "_is_head", "_is_replaced", "_problems", "_send", "scope", "size", "status")

    def __init__(self, scope: Scope, send: Send, headers: list[Header], problems: Problems) -> None:
        self._send = send
        self._headers = headers
        self._problems = problems
        self._is_head = scope["method"] == "HEAD"
        self._is_replaced = False
        # HEAD is GET without the body (RFC 9110, 9.3.2), on every resource.
        self.scope = {**scope, "method": "GET"} if self._is_head else scope
        self.scope.setdefault("state", {})
        self.status = 0
        """Status of the answer; 0 before it begins."""
        self.size = 0
        """Bytes of its body so far."""

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= FIRST_ERROR and not _is_problem(message["headers"]):
                await self._replace(message)
                return
            message["headers"] = self._complete(message["headers"])
        elif self._is_replaced:
            return
        else:
            self.size += len(message.get("body", b""))
            if self._is_head:
                message = {**message, "body": b""}
        await self._send(message)

    def _complete(self, headers: Iterable[Header]) -> list[Header]:
        own, missing = list(headers), DEFAULTS
        for name, _ in own:
            if name in missing:
                missing = {other: value for other, value in missing.items() if other != name}
        return [*own, *missing.items(), *self._headers, *self.scope["state"].get("headers", ())]

    async def _replace(self, message: Message) -> None:
        """Send a problem instead of an error that a library words itself."""
        kept = {name.decode(): value.decode() for name, value in message["headers"] if name.lower() not in OF_A_BODY}
        response = self._problems.response(from_status(self.status), kept)
        self.status = response.status_code
        await self.send({"type": "http.response.start", "status": self.status, "headers": response.raw_headers})
        await self.send({"type": "http.response.body", "body": response.body})
        self._is_replaced = True


def _read(headers: Iterable[Header]) -> tuple[bytes, bytes]:
    """Return the id of a request and its host; an id is made unless the caller brought a good one."""
    id_, hosts = b"", []
    for name, value in headers:
        if name == b"x-request-id":
            id_ = value
        elif name == b"host":
            hosts.append(value)
    if not (id_ and ID.fullmatch(id_)):
        id_ = b"%032x" % getrandbits(128)  # unique, which is all it has to be; a call of the system would cost more
    return id_, hosts[0] if len(hosts) == 1 else b""


def _is_problem(headers: Iterable[Header]) -> bool:
    return any(name == b"content-type" and value == MEDIA_TYPE.encode() for name, value in headers)


def host_rule(allowed: Iterable[str]) -> Callable[[bytes], bool]:
    """Return the rule which hosts may be called; `allowed` as in the settings."""
    names = {name.lower() for name in allowed if not name.startswith("*.")}
    endings = tuple(name[1:].lower() for name in allowed if name.startswith("*."))

    def allows(host: bytes) -> bool:
        if not well_formed(host):
            return False
        name = re.sub(r":[0-9]+$", "", host.decode().lower())
        return not (names or endings) or name in names or name.endswith(endings or ("\0",))

    return allows


def well_formed(host: bytes) -> bool:
    """Tell whether a header Host holds one host name or address."""
    return HOST.fullmatch(host.decode("latin-1")) is not None

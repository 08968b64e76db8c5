"""A small HTTPS server that tells the metrics of a process that serves nothing else."""

import json
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .metrics import MEDIA_TYPE

MOST_CALLERS = 16
"""Connections at once; any further one is closed."""
PATIENCE_SECONDS = 10
"""How long a caller may take for the handshake and the request, both together."""

log = logging.getLogger(__name__)


class Exposition(ThreadingHTTPServer):
    """Answers `/metrics` to callers that may read them, and `/health/live` to all."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self,
        address: tuple[str, int],
        context: Callable[[], ssl.SSLContext],
        text: Callable[[], bytes],
        allows: Callable[[str | None], bool],
    ) -> None:
        """Listen; `context` makes the TLS of each connection, `allows` judges the secret that a caller showed."""
        super().__init__(address, Handler)
        self.context, self.text, self.allows = context, text, allows
        self._places = threading.BoundedSemaphore(MOST_CALLERS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if there is one left."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Speak TLS and answer; what a caller does wrong ends its connection and nothing else."""
        try:
            with _listened_to(request, PATIENCE_SECONDS):
                request.settimeout(PATIENCE_SECONDS)
                super().process_request_thread(self.context().wrap_socket(request, server_side=True), client_address)
        except OSError as error:
            log.debug("a caller of the metrics was sent away: %s", error)
            self.shutdown_request(request)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing of callers that leave."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: Exposition
    """The server that the request came to."""
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/health/live":
            self._answer(HTTPStatus.OK, "application/json", b'{"status":"alive"}')
        elif not self.server.allows(self._secret()):
            self._refuse(HTTPStatus.UNAUTHORIZED)
        elif self.path != "/metrics":
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.OK, MEDIA_TYPE, self.server.text())

    def _secret(self) -> str | None:
        scheme, _, bearer = self.headers.get("Authorization", "").partition(" ")
        return self.headers.get("X-API-Key") or (bearer if scheme.lower() == "bearer" else None)

    def _refuse(self, status: HTTPStatus) -> None:
        problem = {"type": "about:blank", "title": status.phrase, "status": status}
        self._answer(status, "application/problem+json", json.dumps(problem).encode())

    def _answer(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: scrapes come every few seconds."""


@contextmanager
def _listened_to(connection: socket.socket, seconds: float) -> Iterator[None]:
    """Hear nothing more from a connection after so many seconds: its own limit begins anew with each byte."""
    with connection.dup() as same:  # TLS takes the other one over
        end = threading.Timer(seconds, _close_ears, [same])
        end.daemon = True
        end.start()
        try:
            yield
        finally:
            end.cancel()
            end.join()  # or it could meet another connection, with this one's number


def _close_ears(connection: socket.socket) -> None:
    with suppress(OSError):  # it has ended meanwhile
        connection.shutdown(socket.SHUT_RD)  # an answer that takes its time is sent all the same


@contextmanager
def exposed(server: Exposition) -> Iterator[int]:
    """Let a server answer in the background; yields its port."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""A service of a generated project that runs, and its callers: real processes, real HTTPS."""

import json
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from workbench import DEADLINE

UNAVAILABLE = 503

T = TypeVar("T")


class Answer(NamedTuple):
    """An answer to a request."""

    status: int
    headers: HTTPMessage
    body: bytes

    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Service:
    """A running service in its folder. Each request is sent on a new connection, and trusts the certificate there."""

    def __init__(self, folder: Path, log: Path, port: int) -> None:
        self.folder, self.log, self.port = folder, log, port
        self._trust = ssl.create_default_context(cafile=folder / "var" / "tls" / "localhost.pem")

    def ask(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send JSON, or bytes as they are; again while a busy machine's service says that it cannot answer now."""
        given = {"X-API-Key": key} if key is not None else {}
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        if body is not content:
            given["Content-Type"] = "application/json"
        return until(lambda: self._available(method, path, body, given | dict(headers or {})))

    def _available(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer | None:
        answer = self._once(method, path, content, headers)
        return None if answer.status == UNAVAILABLE else answer

    def _once(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = HTTPSConnection("localhost", self.port, context=self._trust, timeout=DEADLINE)
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def is_ready(self) -> bool:
        try:
            return self._once("GET", "/health/ready", None, {}).status == 200
        except (HTTPException, OSError):
            return False

    def job(self, path: str, key: str) -> dict[str, Any]:
        answer = self.ask("GET", path, key=key)
        assert answer.status == 200, answer
        return answer.json()

    def ended(self, path: str, key: str) -> dict[str, Any]:
        """Wait for the end of a job, and return it."""
        return until(lambda: job if (job := self.job(path, key))["done"] else None)


@contextmanager
def started(command: Path, folder: Path, *options: str, environ: Mapping[str, str]) -> Iterator[Service]:
    """Serve in a folder, on a free port, until the block ends."""
    log = folder / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(command), "serve", "--port", "0", *options],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def port() -> int | None:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        found = re.search(r"serves https://localhost:(\d+)", log.read_text(encoding="utf-8"))
        return found and int(found[1])

    try:
        service = Service(folder, log, until(port))
        until(lambda: port() and service.is_ready())
        yield service
    finally:
        process.terminate()
        process.wait(DEADLINE)


def until(found: Callable[[], T | None], pause: float = 0.05) -> T:
    """Look again and again until something is found."""
    ends = time.monotonic() + DEADLINE
    while not (result := found()):
        assert time.monotonic() < ends, "waited too long"
        time.sleep(pause)
    return result

"""The service as its users run it, for the tests: real processes, real HTTPS, a real client."""

import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sample.ml import Model

from rig.names import PACKAGE, PREFIX

PATIENCE = 300
"""Seconds to wait for something that takes a moment, but a training stands back for all else on a busy machine."""

ROW = list(Model.Features.example().values())


def wait_for(found: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.05)
    pytest.fail(f"waited {PATIENCE} s for {what}")


class Service:
    """A running service, and a client that trusts its certificate."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path, certificate: Path) -> None:
        self.process, self.certificate, self._log = process, certificate, log
        self.url = wait_for(self._address, "the service's address")[1]
        self.port = int(self.url.rpartition(":")[2])
        self.context = context = ssl.create_default_context(cafile=certificate)
        if (own := log.with_name("client.pem")).exists():
            context.load_cert_chain(own)
        self.client = self.new_client()
        wait_for(self.is_ready, "the service to be ready")

    def new_client(self) -> httpx2.Client:
        """Return a client with connections of its own, which it keeps as long as the service does."""
        keep = httpx2.Limits(keepalive_expiry=None)
        return httpx2.Client(base_url=self.url, verify=self.context, timeout=PATIENCE, limits=keep)

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def _address(self) -> re.Match[str] | None:
        assert self.process.poll() is None, self.log
        return re.search(r"serves (https://localhost:\d+)", self.log)

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log
        try:
            return self.client.get("/health/ready").is_success
        except httpx2.TransportError:
            return False

    def predict(self) -> dict[str, Any]:
        answer = self.client.post("/predict", json={"data": [ROW]})
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def job(self, path: str) -> dict[str, Any] | None:
        """Return a job that has ended; None while it has not, or the database is away."""
        answer = self.client.get(path)
        job: dict[str, Any] = answer.json()
        return job if answer.is_success and job["done"] else None


@contextmanager
def serving(directory: Path, *arguments: str, **environment: str) -> Iterator[Service]:
    """Run the service in a directory of its own until the block ends.

    The client shows the certificate in `client.pem` there, if there is one.
    """
    directory.mkdir(exist_ok=True)
    log = directory / "log"
    variables = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    variables |= {f"{PREFIX}{name}": value for name, value in environment.items()}
    command = [sys.executable, "-m", PACKAGE, "serve", "--port", "0", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, stderr=output, stdout=output, env=variables)
    try:
        data = Path(environment.get("DATA_DIR", directory / "var"))
        certificate = Path(environment.get("TLS_CERTFILE", data / "tls" / "localhost.pem"))
        service = Service(process, log, certificate)
        with closing(service.client):
            yield service
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()

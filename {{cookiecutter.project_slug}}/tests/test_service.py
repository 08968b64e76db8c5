"""The service as its callers meet it: started as a process of its own, and asked over HTTPS."""

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPSConnection
from typing import Any

import pytest

from package_name.ml import Model
from package_name.settings import Settings

Ask = Callable[..., tuple[int, Any]]
SETTINGS: dict[str, str] = {}
"""Settings that this model needs to be served, such as `{"ALLOW_PICKLE": "true"}`."""
PATIENCE = 300
"""Seconds that the service may take to train a model and to start."""


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Start the service in an empty folder, where it trains a first model, and send it requests."""
    folder = tmp_path_factory.mktemp("service")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(Settings.prefix)}
    variables |= {f"{Settings.prefix}{name}": value for name, value in SETTINGS.items()}
    command = [sys.executable, "-m", Settings.package, "serve", "--port", "0"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log)  # noqa: S603

    def request(method: str, path: str, body: object = None) -> tuple[int, Any]:
        context = ssl.create_default_context(cafile=folder / "var" / "tls" / "localhost.pem")
        with closing(HTTPSConnection("localhost", port(), context=context)) as connection:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def port() -> int:
        return int(re.findall(r"serves https://localhost:(\d+)", (folder / "log").read_text())[-1])

    def is_ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return request("GET", "/health/ready")[0] == 200
        except (IndexError, OSError):
            return False

    deadline = time.monotonic() + PATIENCE
    try:
        while not is_ready():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        yield request
    finally:
        process.terminate()
        process.wait()


def test_it_predicts(ask: Ask) -> None:
    status, answer = ask("POST", "/predict", {"data": [Model.Features.example().model_dump()]})
    assert status == 200, answer
    assert (answer["model"], answer["version"], len(answer["prediction"])) == (Model.name, "1", 1)


def test_it_says_what_is_wrong_with_a_row(ask: Ask) -> None:
    status, problem = ask("POST", "/predict", {"data": [{"nothing like it": 1}]})
    assert status == 422, problem
    assert all(error["location"].startswith("data[0]") for error in problem["errors"]), problem

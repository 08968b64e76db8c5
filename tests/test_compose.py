"""The whole service in containers, as `make up` starts it. Skipped out loud without an engine or its images."""

import json
import re
import shutil
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import Request, urlopen

import pytest
from test_containers import PYTHON, at_hand, docker, need
from workbench import SLUG, free_port, run

SERVICES = ("haproxy:3.2-alpine", "postgres:17-alpine", "prom/prometheus:v3.5.0", "redis:8-alpine")
GRAFANA = "grafana/grafana:12.2.0"
ROW = {"data": [[5.1, 3.5, 1.4, 0.2]]}
PATIENCE = 600.0
CALLERS = 4
PAUSE = 0.06
"""Seconds between two requests of a caller: all of them together stay below the limit on requests."""

T = TypeVar("T")

pytestmark = [pytest.mark.full, pytest.mark.slow]


class Stack:
    """The containers of one project, and a caller who has its key."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self.folder, self.ports = folder, ports
        secrets = folder / "deploy" / "compose" / "secrets"
        self.key = (secrets / "admin_key").read_text(encoding="utf-8")
        self.trust = ssl.create_default_context(cafile=secrets / "tls" / "localhost.pem")

    def compose(self, *arguments: str) -> str:
        return docker("compose", *arguments, cwd=self.folder)

    def connection(self) -> HTTPSConnection:
        return HTTPSConnection("localhost", self.ports["PORT"], context=self.trust, timeout=60)

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = self.connection()
        connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status < 300, text
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self.key, "Content-Type": "application/json"}

    def measured(self, expression: str) -> list[Any]:
        """Ask Prometheus."""
        url = f"http://127.0.0.1:{self.ports['PROMETHEUS_PORT']}/api/v1/query"
        with urlopen(Request(url, f"query={expression}".encode())) as answer:
            found: list[Any] = json.load(answer)["data"]["result"]
        return found

    def replicas(self) -> list[str]:
        return self.compose("ps", "--quiet", "api").split()


def wait_for(found: Callable[[], T], what: str) -> T:
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        if result := found():
            return result
        time.sleep(0.5)
    pytest.fail(f"waited {PATIENCE} s for {what}")


@pytest.fixture(scope="module")
def stack(installed: Path, environ: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All containers but Grafana, whose image cannot be had everywhere."""
    need(*PYTHON, *SERVICES)
    folder = shutil.copytree(installed, tmp_path_factory.mktemp("stack") / SLUG, ignore=shutil.ignore_patterns(".venv"))
    run(installed / ".venv" / "bin" / "python", folder / "deploy/compose/make_secrets.py", environ=environ)
    ports = {name: free_port() for name in ("PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")}
    settings = {
        "COMPOSE_PROJECT_NAME": f"test-{uuid.uuid4().hex[:8]}",
        **{name: str(port) for name, port in ports.items()},
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    running = Stack(folder, ports)
    try:
        running.compose("up", "--build", "--detach", "--wait", "proxy", "worker", "prometheus")
        yield running
    finally:
        docker("compose", "down", "--volumes", "--timeout", "5", cwd=folder, expect=None)


def test_predictions_are_answered_over_https_and_kept_in_redis(stack: Stack) -> None:
    answers = [stack.call("POST", "/predict", ROW) for _ in range(3)]
    assert answers[0]["label"] == ["setosa"]
    assert answers[1:] == answers[:1] * 2
    password = "$(sed -n 's/requirepass //p' /run/secrets/redis.conf)"
    asked = stack.compose("exec", "-T", "redis", "sh", "-c", f"REDISCLI_AUTH={password} redis-cli info stats")
    assert int(re.findall(r"keyspace_hits:(\d+)", asked)[0]) >= 2


def test_a_training_goes_through_postgresql_and_its_version_serves(stack: Stack) -> None:
    job = stack.call("POST", "/train", {})
    done = wait_for(lambda: (found := stack.call("GET", f"/jobs/{job['id']}"))["done"] and found, "the training")
    assert done["state"] == "succeeded", done
    query = f"SELECT status FROM dbos.workflow_status WHERE workflow_uuid = '{job['id']}'"
    shell = ("exec", "-T", "postgres", "psql", "--username", SLUG, "--tuples-only", "--command")
    assert stack.compose(*shell, query) == "SUCCESS"
    version = done["result"]["version"]
    wait_for(lambda: stack.call("POST", "/predict", ROW)["version"] == version, "the new version to serve")


def test_prometheus_reads_each_replica_and_the_worker_with_its_key(stack: Stack) -> None:
    def read() -> list[str]:
        return sorted(one["metric"]["job"] for one in stack.measured("up==1"))

    wait_for(lambda: read() == ["api", "api", "worker"], "Prometheus to read all")
    assert wait_for(lambda: stack.measured("sum(predicted_rows_total)>0"), "predictions to be counted")


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_no_request_fails_when_a_replica_ends(stack: Stack, ending: str) -> None:
    before, *_ = replicas = stack.replicas()
    assert len(replicas) == 2
    over, counts, faults = threading.Event(), [0] * CALLERS, []

    def call(number: int) -> None:
        connection = stack.connection()
        while not over.wait(PAUSE):
            # Another row each time: the model must answer, not the cache.
            row = [5.1 + number / 10, 3.5, 1.4 + counts[number] % 500 / 1000, 0.2]
            try:
                connection.request("POST", "/predict", json.dumps({"data": [row]}), stack.headers)
                answer = connection.getresponse()
                text = answer.read().decode()
            except (HTTPException, OSError) as error:
                faults.append(repr(error))
                break
            if answer.status != 200:
                faults.append(f"{answer.status} {text}")
            counts[number] += 1
        connection.close()

    callers = [threading.Thread(target=call, args=[number]) for number in range(CALLERS)]
    for caller in callers:
        caller.start()
    try:
        wait_for(lambda: min(counts) > 20 or faults, "some requests")
        docker(ending, before)
        reached = list(counts)
        wait_for(lambda: all(now > then + 60 for now, then in zip(counts, reached, strict=True)) or faults, "more")
    finally:
        over.set()
        for caller in callers:
            caller.join()
    assert faults == []
    stack.compose("up", "--detach", "--wait", "proxy", "worker", "prometheus")


def test_nothing_that_is_kept_secret_is_in_the_environment_or_the_log(stack: Stack) -> None:
    secrets = stack.folder / "deploy" / "compose" / "secrets"
    passwords = [
        (secrets / f"{name}_password").read_text(encoding="utf-8") for name in ("postgres", "redis", "grafana")
    ]
    for container in stack.compose("ps", "--all", "--quiet").split():
        told = docker("inspect", container) + docker("logs", container)
        assert not any(secret in told for secret in (*passwords, stack.key))


def test_grafana_shows_the_dashboard(stack: Stack) -> None:
    if not at_hand(GRAFANA):
        pytest.skip(f"the image {GRAFANA} cannot be had here: the dashboard was not shown by Grafana")
    stack.compose("up", "--detach", "--wait", "grafana")
    password = (stack.folder / "deploy/compose/secrets/grafana_password").read_text(encoding="utf-8")
    asked = f"wget -q -O - http://admin:{password}@127.0.0.1:3000/api/search?type=dash-db"
    assert json.loads(stack.compose("exec", "-T", "grafana", "sh", "-c", asked))

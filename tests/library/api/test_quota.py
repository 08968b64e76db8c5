import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sample.ml import Model
from sample.settings import Settings

from mlapi.api import quota
from mlapi.keys import KeyStore

from rig.app import create_app
from rig.ports import hold_port, port_of
from rig.service import wait_for


@contextmanager
def serving(settings: Settings, **changes: Any) -> Iterator[TestClient]:
    app = create_app(Model, Settings(**(settings.model_dump() | {"require_key": True} | changes), _env_file=None))
    with TestClient(app, base_url="https://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def keys(settings: Settings) -> list[dict[str, str]]:
    """The headers of two callers."""
    store = KeyStore(settings.data_dir / "keys.json")
    return [{"X-API-Key": store.create(name, ["predict"])[1]} for name in ("ann", "bob")]


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold the clock that windows go by, so that none ends in the middle of a test."""
    now = time.time() // 3600 * 3600 + 10
    monkeypatch.setattr(time, "time", lambda: now)


def test_over_the_limit_a_caller_is_told_when_to_come_again(settings: Settings, keys: list[dict[str, str]]) -> None:
    """Checklist 28."""
    with serving(settings, rate_limit="3/hour") as client:
        for left in (2, 1, 0):
            answer = client.get("/models", headers=keys[0])
            assert answer.status_code == 200
            assert answer.headers["RateLimit-Policy"] == '"rate";q=3;w=3600'
            assert answer.headers["RateLimit"] == f'"rate";r={left};t=3590'
        answer = client.get("/models", headers=keys[0])
        assert (answer.status_code, answer.headers["Content-Type"]) == (429, "application/problem+json")
        assert answer.headers["Retry-After"] == "3590"
        assert answer.headers["RateLimit"] == '"rate";r=0;t=3590'
        assert answer.json()["type"].endswith("#too-many-requests")
        assert client.get("/models", headers=keys[1]).status_code == 200


def test_health_and_strangers_are_not_counted(settings: Settings, keys: list[dict[str, str]]) -> None:
    """Checklist 28."""
    with serving(settings, rate_limit="1/hour") as client:
        for _ in range(3):
            assert client.get("/health/live", headers=keys[0]).status_code == 200
            assert "RateLimit" not in client.get("/health/live", headers=keys[0]).headers
            assert client.get("/models").status_code == 401
            assert client.get("/nowhere").status_code == 401
        assert client.get("/models", headers=keys[0]).status_code == 200
        assert client.get("/health/live", headers=keys[0]).status_code == 200


def test_a_rate_and_a_quota_hold_together(settings: Settings, keys: list[dict[str, str]]) -> None:
    with serving(settings, rate_limit="5/minute", quota="2/day") as client:
        statuses = [client.get("/models", headers=keys[0]) for _ in range(3)]
    assert [answer.status_code for answer in statuses] == [200, 200, 429]
    assert statuses[0].headers["RateLimit-Policy"] == '"rate";q=5;w=60, "quota";q=2;w=86400'
    assert int(statuses[2].headers["Retry-After"]) > 60


def test_a_new_window_begins_with_nothing_used(
    settings: Settings, keys: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(settings, rate_limit="1/minute") as client:
        assert [client.get("/models", headers=keys[0]).status_code for _ in range(2)] == [200, 429]
        later = time.time() + 60
        monkeypatch.setattr(time, "time", lambda: later)
        assert client.get("/models", headers=keys[0]).status_code == 200


def test_wrong_scopes_and_paths_count_too(settings: Settings, keys: list[dict[str, str]]) -> None:
    with serving(settings, rate_limit="3/hour") as client:
        paths = ["/jobs", "/nowhere", "/models/1", "/models"]
        assert [client.get(path, headers=keys[0]).status_code for path in paths] == [403, 404, 404, 429]


def test_programs_on_this_machine_are_not_counted_where_no_key_is_asked_for(settings: Settings) -> None:
    with serving(settings, rate_limit="1/hour", require_key=False) as client:
        assert [client.get("/models").status_code for _ in range(3)] == [200, 200, 200]


def test_no_limit_is_a_choice(settings: Settings, keys: list[dict[str, str]]) -> None:
    with serving(settings, rate_limit=None) as client:
        assert "RateLimit" not in client.get("/models", headers=keys[0]).headers


@contextmanager
def redis(folder: Path, port: int) -> Iterator[None]:
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(lambda: answers(port), "Redis")
            yield
        finally:
            server.terminate()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def held() -> Iterator[socket.socket]:
    """What keeps a port for Redis while it is down."""
    with hold_port() as held:
        yield held


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_processes_count_together_in_redis_and_alone_without(
    settings: Settings, keys: list[dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: socket.socket
) -> None:
    """Checklist 28 and 38."""
    monkeypatch.setattr(quota, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(quota, "PATIENCE_SECONDS", 60)  # who is down refuses at once
    port = port_of(held)
    shared = {"rate_limit": "4/hour", "rate_limit_url": f"redis://127.0.0.1:{port}/0"}
    with serving(settings, **shared) as first, serving(settings, **shared) as second:
        with redis(tmp_path, port):
            left = [client.get("/models", headers=keys[0]).headers["RateLimit"] for client in (first, second) * 2]
            assert [one.split(";")[1] for one in left] == ["r=3", "r=2", "r=1", "r=0"]
            assert first.get("/models", headers=keys[0]).status_code == 429
        for client in (first, second):
            answer = client.get("/models", headers=keys[0])
            assert (answer.status_code, answer.headers["RateLimit"].split(";")[1]) == (200, "r=3")
            assert faults(client) >= 1
        with redis(tmp_path, port):
            assert first.get("/models", headers=keys[1]).headers["RateLimit"].split(";")[1] == "r=3"
            assert second.get("/models", headers=keys[1]).headers["RateLimit"].split(";")[1] == "r=2"


def faults(client: TestClient) -> float:
    (sample,) = client.app.services.metrics.uncounted.collect()[0].samples[:1]  # type: ignore[attr-defined]
    return float(sample.value)


@contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """Be a Redis that answers this to everything, or nothing at all."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                kept.append(connection)
                if answer is not None:
                    threading.Thread(target=talk, args=[connection], daemon=True).start()

        def talk(connection: socket.socket) -> None:
            try:
                while connection.recv(4096):
                    connection.sendall(answer or b"")
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"HTTP/1.1 400 No\r\n\r\n",
        b"+OK\r\n",
        b"$-1\r\n",
        b"-ERR no\r\n",
        b"\x00\xff" * 9,
        b":x\r\n",
        b"*1\r\n",
    ],
    ids=["silence", "http", "ok", "nothing", "error", "bytes", "no number", "half"],
)
def test_a_redis_that_is_slow_or_answers_garbage_stops_nobody(
    settings: Settings,
    keys: list[dict[str, str]],
    answer: bytes | None,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Checklist 38; only one request waits for it, and then nobody for a while."""
    monkeypatch.setattr(quota, "PAUSE_SECONDS", 3600)
    with answering(answer) as port, serving(settings, rate_limit_url=f"redis://127.0.0.1:{port}/0") as client:
        for _ in range(20):
            assert client.get("/models", headers=keys[0]).status_code == 200
        assert faults(client) == 1
    assert "Redis does not answer" in caplog.text

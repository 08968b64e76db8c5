"""The worker's metrics, read over HTTPS as Prometheus does."""

import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

import httpx2
import pytest
from sample.settings import Settings

from mlapi.jobs.store import Jobs
from mlapi.keys import KeyStore
from mlapi.monitoring import exposition
from mlapi.monitoring.jobs import JobMetrics
from mlapi.server import Refused
from mlapi.worker import expose


@pytest.fixture(autouse=True)
def _busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let callers on a busy machine be slow."""
    monkeypatch.setattr(exposition, "PATIENCE_SECONDS", 60)
    monkeypatch.setattr(exposition.Handler, "timeout", 60)


def get(url: str, trust: ssl.SSLContext, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    return httpx2.get(url, headers=headers, verify=trust, timeout=60)


def made(tmp_path: Path, *, require_key: bool = False) -> Settings:
    data, models = tmp_path / "var", tmp_path / "models"
    return Settings(data_dir=data, models_dir=models, worker_metrics_port=0, require_key=require_key)


def trusting(settings: Settings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.data_dir / "tls" / "localhost.pem")


def test_no_port_no_server(settings: Settings) -> None:
    with expose(settings, JobMetrics()) as port:
        assert port is None


def test_the_metrics_are_told_with_the_jobs_that_wait(tmp_path: Path) -> None:
    settings = made(tmp_path)
    jobs = Jobs(settings)
    jobs.submit("train", {})
    with expose(settings, JobMetrics(jobs.waiting)) as port:
        answer = get(f"https://localhost:{port}/metrics", trusting(settings))
    jobs.close()
    assert answer.status_code == 200
    assert 'jobs_waiting{kind="train",state="queued"} 1.0' in answer.text
    assert 'jobs_waiting{kind="train",state="running"} 0.0' in answer.text


def test_strangers_and_keys_of_another_scope_learn_nothing(tmp_path: Path) -> None:
    settings = made(tmp_path, require_key=True)
    keys = KeyStore(settings.keys_path)
    (_, predict), (_, metrics) = keys.create("ann", ["predict"]), keys.create("prometheus", ["metrics"])
    shown = [{}, {"Authorization": f"Bearer {predict}"}, {"X-API-Key": "guess"}, {"Authorization": "Basic x"}]
    with expose(settings, JobMetrics()) as port:
        url, trust = f"https://localhost:{port}", trusting(settings)
        for headers in shown:
            for path in ("/metrics", "/other"):
                answer = get(url + path, trust, headers)
                assert answer.status_code == 401
                assert answer.headers["Content-Type"] == "application/problem+json"
        for headers in ({"Authorization": f"Bearer {metrics}"}, {"X-API-Key": metrics}):
            assert get(f"{url}/metrics", trust, headers).status_code == 200
            assert get(f"{url}/other", trust, headers).status_code == 404
        assert get(f"{url}/health/live", trust).json() == {"status": "alive"}


def test_silent_callers_keep_nobody_else_waiting(tmp_path: Path) -> None:
    settings = made(tmp_path)
    with expose(settings, JobMetrics()) as port:
        silent = [socket.create_connection(("127.0.0.1", port or 0)) for _ in range(5)]
        silent[0].sendall(b"GET /metrics HTTP/1.1\r\n\r\n")  # no TLS at all
        url = f"https://localhost:{port}/metrics"
        assert get(url, trusting(settings)).status_code == 200
        for caller in silent:
            caller.close()


def test_a_port_that_is_taken_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = made(tmp_path).model_copy(update={"worker_metrics_port": taken.getsockname()[1]})
        with pytest.raises(Refused, match="Address already in use"):
            expose(settings, JobMetrics())

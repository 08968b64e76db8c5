"""Serving processes: they answer until they end, are replaced when they die, and count together."""

import json
import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sample.settings import Settings

from mlapi.loop import Config

from rig.processes import is_alive, serving_processes
from rig.service import PATIENCE, ROW, Service, serving, wait_for

LATER = "3600"
"""Seconds that do not pass in a test, however slow the machine is."""


def answer_of(service: Service, method: str, path: str, **options: Any) -> httpx2.Response:
    """Ask on a connection of its own: the one before may have ended with its process."""
    with service.new_client() as fresh:
        return fresh.request(method, path, **options)


def processes_of(service: Service, count: int) -> list[int]:
    """Return the serving processes, once there are so many."""
    pid = service.process.pid
    wait_for(lambda: len(serving_processes(pid)) == count, f"{count} processes")
    return serving_processes(pid)


def kill(pid: int) -> None:
    """Kill a process, and wait until it can take no more connections."""
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid), "the process to be dead")


def is_refused(service: Service) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", service.port)) != 0


def test_a_serving_process_that_is_slow_to_start_is_not_taken_for_dead(settings: Settings) -> None:
    assert Config(settings).timeout_worker_healthcheck >= 60


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_in_flight_is_answered_when_the_service_is_told_to_stop(
    trained: Settings, tmp_path: Path, workers: str
) -> None:
    """Checklist 40."""
    variables = {"MODELS_DIR": str(trained.models_dir), "BODY_SECONDS": LATER, "SHUTDOWN_SECONDS": LATER}
    body = json.dumps({"data": [ROW]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with serving(tmp_path / "service", "--no-worker", "--workers", workers, **variables) as service:
        before = processes_of(service, 0 if workers == "1" else 2)
        plain = socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE)
        with service.context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:5])
            service.process.terminate()
            wait_for(lambda: is_refused(service), "the service to stop listening")
            secure.sendall(body[5:])
            answer = b""
            while more := secure.recv(65536):
                answer += more
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert service.process.wait(PATIENCE) == 0
        assert not any(map(is_alive, before))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_draining_service_is_not_ready_but_answers_until_a_second_signal_stops_it(
    trained: Settings, tmp_path: Path, workers: str
) -> None:
    """Checklist 40."""
    variables = {"MODELS_DIR": str(trained.models_dir), "DRAIN_SECONDS": LATER}
    with serving(tmp_path / "service", "--no-worker", "--workers", workers, **variables) as service:
        wait_for(lambda: service.log.count("startup complete") == int(workers), "all processes to have started")
        serving_ones = processes_of(service, 2) if workers == "2" else [service.process.pid]
        service.process.terminate()

        def readiness() -> httpx2.Response:
            return answer_of(service, "GET", "/health/ready")

        wait_for(lambda: service.log.count("not ready any more") == len(serving_ones), "all processes to drain")
        assert (readiness().status_code, readiness().json()["title"]) == (503, "Stopping")
        assert service.predict()["version"] == "1"
        assert service.client.get("/health/live").status_code == 200
        for pid in serving_ones:
            os.kill(pid, signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0


def test_a_service_has_drained_when_its_time_is_over(trained: Settings, tmp_path: Path) -> None:
    variables = {"MODELS_DIR": str(trained.models_dir), "DRAIN_SECONDS": "0.1"}
    with serving(tmp_path / "service", "--no-worker", **variables) as service:
        service.process.terminate()
        assert service.process.wait(PATIENCE) == 0
        assert "not ready any more; stopping in 0.1 s" in service.log


def test_a_serving_process_that_is_killed_is_replaced_while_the_others_answer(
    trained: Settings, tmp_path: Path
) -> None:
    """Checklist 40."""
    models = {"MODELS_DIR": str(trained.models_dir)}
    with serving(tmp_path / "service", "--no-worker", "--workers", "2", **models) as service:
        before = processes_of(service, 2)
        kill(before[0])

        def replaced() -> bool:
            assert answer_of(service, "POST", "/predict", json={"data": [ROW]}).status_code == 200
            found = serving_processes(service.process.pid)
            return len(found) == 2 and before[0] not in found

        wait_for(replaced, "another process in its place")
        service.process.terminate()
        assert service.process.wait(PATIENCE) == 0


def test_the_metrics_of_several_processes_are_one(trained: Settings, tmp_path: Path) -> None:
    models = {"MODELS_DIR": str(trained.models_dir)}
    with serving(tmp_path / "service", "--no-worker", "--workers", "2", **models) as service:
        for _ in range(40):
            answer_of(service, "POST", "/predict", json={"data": [ROW]}).raise_for_status()
        text = service.client.get("/metrics").text
        assert 'predicted_rows_total{version="1"} 40.0' in text
        wait_for(lambda: service.client.get("/metrics").text.count("\nserving_version{") == 2, "both processes")
        killed = int(re.findall(r'serving_version{pid="(\d+)"}', service.client.get("/metrics").text)[0])
        kill(killed)
        wait_for(lambda: f'pid="{killed}"' not in metrics_of(service), "the dead process to be forgotten")
        assert 'predicted_rows_total{version="1"} 40.0' in metrics_of(service)


def metrics_of(service: Service) -> str:
    return answer_of(service, "GET", "/metrics").text

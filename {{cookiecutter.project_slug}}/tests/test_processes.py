"""Serving processes: they answer until they end, are replaced when they die, and count together."""

import json
import os
import re
import signal
import socket
import ssl
from pathlib import Path

import httpx2
import pytest

from package_name.settings import Settings

from rig.processes import is_alive, serving_processes
from rig.service import ROW, Service, serving, wait_for


def is_refused(service: Service) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", service.port)) != 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_in_flight_is_answered_when_the_service_is_told_to_stop(
    trained: Settings, tmp_path: Path, workers: str
) -> None:
    """Checklist 40."""
    models = {"MODELS_DIR": str(trained.models_dir)}
    body = json.dumps({"data": [ROW]}).encode()
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with serving(tmp_path / "service", "--no-worker", "--workers", workers, **models) as service:
        before = serving_processes(service.process.pid)
        context = ssl.create_default_context(cafile=service.certificate)
        plain = socket.create_connection(("127.0.0.1", service.port), timeout=30)
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body[:5])
            service.process.terminate()
            wait_for(lambda: is_refused(service), "the service to stop listening")
            secure.sendall(body[5:])
            answer = b""
            while more := secure.recv(65536):
                answer += more
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert service.process.wait(30) == 0
        assert len(before) == (0 if workers == "1" else 2)
        assert not any(map(is_alive, before))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_draining_service_is_not_ready_but_answers_until_it_stops(
    trained: Settings, tmp_path: Path, workers: str
) -> None:
    """Checklist 40."""
    variables = {"MODELS_DIR": str(trained.models_dir), "DRAIN_SECONDS": "6"}
    with serving(tmp_path / "service", "--no-worker", "--workers", workers, **variables) as service:
        service.process.terminate()

        def readiness() -> httpx2.Response:
            with httpx2.Client(base_url=service.url, verify=False) as fresh:
                return fresh.get("/health/ready")

        wait_for(lambda: readiness().status_code == 503, "the service not to be ready")
        assert readiness().json()["title"] == "Stopping"
        assert service.predict()["version"] == "1"
        assert service.client.get("/health/live").status_code == 200
        assert service.process.wait(30) == 0


def test_a_second_signal_ends_the_draining(trained: Settings, tmp_path: Path) -> None:
    variables = {"MODELS_DIR": str(trained.models_dir), "DRAIN_SECONDS": "3600"}
    with serving(tmp_path / "service", "--no-worker", **variables) as service:
        service.process.terminate()
        wait_for(lambda: not service.is_ready(), "the service not to be ready")
        service.process.terminate()
        assert service.process.wait(30) == 0


def test_a_serving_process_that_is_killed_is_replaced_while_the_others_answer(
    trained: Settings, tmp_path: Path
) -> None:
    """Checklist 40."""
    models = {"MODELS_DIR": str(trained.models_dir)}
    with serving(tmp_path / "service", "--no-worker", "--workers", "2", **models) as service:
        before = wait_for(lambda: len(found := serving_processes(service.process.pid)) == 2 and found, "two processes")
        os.kill(before[0], signal.SIGKILL)

        def replaced() -> bool:
            with httpx2.Client(base_url=service.url, verify=False) as fresh:
                assert fresh.post("/predict", json={"data": [ROW]}).status_code == 200
            found = serving_processes(service.process.pid)
            return len(found) == 2 and before[0] not in found

        wait_for(replaced, "another process in its place")
        service.process.terminate()
        assert service.process.wait(30) == 0


def test_the_metrics_of_several_processes_are_one(trained: Settings, tmp_path: Path) -> None:
    models = {"MODELS_DIR": str(trained.models_dir)}
    with serving(tmp_path / "service", "--no-worker", "--workers", "2", **models) as service:
        for _ in range(40):
            httpx2.post(f"{service.url}/predict", json={"data": [ROW]}, verify=service.context).raise_for_status()
        text = service.client.get("/metrics").text
        assert 'predicted_rows_total{version="1"} 40.0' in text
        wait_for(lambda: service.client.get("/metrics").text.count("\nserving_version{") == 2, "both processes")
        killed = int(re.findall(r'serving_version{pid="(\d+)"}', service.client.get("/metrics").text)[0])
        os.kill(killed, signal.SIGKILL)
        wait_for(lambda: f'pid="{killed}"' not in metrics_of(service), "the dead process to be forgotten")
        assert 'predicted_rows_total{version="1"} 40.0' in metrics_of(service)


def metrics_of(service: Service) -> str:
    """Ask on a connection of its own: the one before may have ended with its process."""
    return httpx2.get(f"{service.url}/metrics", verify=service.context).text

"""The service as its users run it: real processes, real HTTPS, a real client."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi import server, tls

from rig.names import PACKAGE, PREFIX
from rig.service import PATIENCE, ROW, serving, wait_for


def test_the_whole_way_train_serve_predict_retrain_and_roll_back(tmp_path: Path) -> None:
    with serving(tmp_path / "service", SHUTDOWN_SECONDS="3600") as service:
        first = service.predict()
        assert first["version"] == "1"
        assert set(first) == {"model", "version", *Model.example_answer().lists()}

        accepted = service.client.post("/train", json={"seed": 1})
        assert accepted.status_code == 202
        job = wait_for(lambda: service.job(accepted.headers["Location"]), "the training")
        assert job["state"] == "succeeded", job
        assert job["result"]["version"] == "2"

        for version in ("2", "1"):
            assert service.client.post(f"/models/{version}/promote").status_code == 200
            wait_for(lambda: service.predict()["version"] == version, f"version {version}")  # noqa: B023 - used at once

        # The client's connection is still open: an idle caller must not hold up the end, which would wait an hour.
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(PATIENCE) == 0
        assert "has stopped" in service.log


def test_the_worker_is_started_when_requests_are_answered_and_not_at_all_if_none_ever_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = threading.Event()

    def run(_package: str, stopping: threading.Event) -> int:
        ran.set()
        stopping.wait(60)
        return 0

    monkeypatch.setattr(server, "_run_worker", run)
    with server.worker_beside(PACKAGE):
        pass
    assert not ran.is_set()
    with server.worker_beside(PACKAGE) as started:
        assert not ran.is_set()
        started()
        assert ran.wait(60)


def test_no_request_fails_while_versions_are_swapped(trained: Settings, tmp_path: Path) -> None:
    """Checklist 37."""
    shutil.copytree(trained.models_dir, tmp_path / "models")
    shutil.copytree(tmp_path / "models" / Model.name / "1", tmp_path / "models" / Model.name / "2")
    variables = {"MODELS_DIR": str(tmp_path / "models"), "REFRESH_SECONDS": "0.05"}
    with serving(tmp_path / "service", "--no-worker", **variables) as service:
        seen: list[str] = []
        stopping = threading.Event()

        def call() -> None:
            while not stopping.is_set():
                seen.append(service.predict()["version"])

        with ThreadPoolExecutor(4) as callers:
            calls = [callers.submit(call) for _ in range(4)]
            try:
                for version in ("2", "1") * 5:
                    service.client.post(f"/models/{version}/promote").raise_for_status()
                    wait_for(lambda: seen[-1:] == [version], f"version {version}")  # noqa: B023 - used at once
            finally:
                stopping.set()  # or the callers would never end
        for done in calls:
            done.result()
    assert set(seen) == {"1", "2"}


def test_the_line_it_prints_survives_quotes_of_any_kind(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = ['It\'s "fine" \\ $HOME `ls` é']
    example = SimpleNamespace(values=lambda: values)
    model: Any = SimpleNamespace(Features=SimpleNamespace(example=lambda: example))
    certificate = tmp_path / "it's" / 'a "file".pem'
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.announce(model, settings, listener, certificate)
    printed = re.search(r"^curl .*/predict$", capsys.readouterr().err, re.MULTILINE)
    assert printed is not None
    words = shlex.split(printed[0])
    assert words[words.index("--cacert") + 1] == str(certificate)
    assert json.loads(words[words.index("-d") + 1]) == {"data": [values]}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_line_it_prints_works_as_pasted(trained: Settings, tmp_path: Path) -> None:
    with serving(tmp_path / "service", "--no-worker", MODELS_DIR=str(trained.models_dir)) as service:
        command = re.search(r"^curl .*/predict$", service.log, re.MULTILINE)
        assert command is not None
        pasted = subprocess.run(command[0], shell=True, capture_output=True, text=True, check=True)
    assert '"version":"1"' in pasted.stdout


def test_old_tls_is_refused(trained: Settings, tmp_path: Path) -> None:
    """Checklist 29."""
    models = {"MODELS_DIR": str(trained.models_dir)}
    with serving(tmp_path / "service", "--no-worker", **models) as service:
        host, port = "127.0.0.1", int(service.url.rpartition(":")[2])
        for version, accepted in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
            context = ssl.create_default_context(cafile=tmp_path / "service" / "var" / "tls" / "localhost.pem")
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # the old version is what is tried
                context.minimum_version = version
                context.maximum_version = version
            with socket.create_connection((host, port), timeout=PATIENCE) as plain:
                if accepted:
                    with context.wrap_socket(plain, server_hostname="localhost") as secure:
                        assert secure.version() == "TLSv1.2"
                else:
                    with pytest.raises(ssl.SSLError):
                        context.wrap_socket(plain, server_hostname="localhost")


def test_several_serving_processes_answer_and_follow_the_champion(trained: Settings, tmp_path: Path) -> None:
    shutil.copytree(trained.models_dir, tmp_path / "models")
    shutil.copytree(tmp_path / "models" / Model.name / "1", tmp_path / "models" / Model.name / "2")
    models = {"MODELS_DIR": str(tmp_path / "models")}
    with serving(tmp_path / "service", "--no-worker", "--workers", "2", **models) as service:
        service.client.post("/models/2/promote").raise_for_status()

        def version() -> str:
            with service.new_client() as fresh:
                found: str = fresh.post("/predict", json={"data": [ROW]}).json()["version"]
            return found

        # Several connections, so that both processes are asked.
        wait_for(lambda: all(version() == "2" for _ in range(40)), "both processes to follow")
        service.process.terminate()
        assert service.process.wait(PATIENCE) == 0


def test_no_serving_process_outlives_the_one_that_started_it(trained: Settings, tmp_path: Path) -> None:
    models = {"MODELS_DIR": str(trained.models_dir)}
    with serving(tmp_path / "service", "--no-worker", "--workers", "2", **models) as service:
        port = int(service.url.rpartition(":")[2])
        service.process.kill()

        def is_free() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) != 0

        wait_for(is_free, "the serving processes to end")


def test_plain_uvicorn_serves_too(trained: Settings, tmp_path: Path) -> None:
    certificate, key = tls.self_signed(tmp_path)
    variables = os.environ | {f"{PREFIX}MODELS_DIR": str(trained.models_dir)}
    command = [sys.executable, "-m", "uvicorn", f"{PACKAGE}.main:app", "--port", "0"]
    command += ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)]
    log = tmp_path / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=tmp_path, stderr=output, stdout=output, env=variables) as process,
    ):
        try:
            pattern = r"running on (https://127.0.0.1:\d+)"
            url = wait_for(lambda: re.search(pattern, log.read_text()), "uvicorn")[1]
            context = ssl.create_default_context(cafile=certificate)
            answer = httpx2.post(f"{url}/predict", json={"data": [ROW]}, verify=context, timeout=PATIENCE)
            assert answer.json()["version"] == "1"
        finally:
            process.terminate()


def test_a_taken_port_is_a_clear_error(trained: Settings, tmp_path: Path) -> None:
    models = {"MODELS_DIR": str(trained.models_dir)}
    with serving(tmp_path / "service", "--no-worker", **models) as service:
        port = service.url.rpartition(":")[2]
        command = [sys.executable, "-m", PACKAGE, "serve", "--port", port, "--no-worker"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"port {port}: Address already in use. Choose another.")


def test_a_public_address_is_served_once_there_is_a_key(trained: Settings, tmp_path: Path) -> None:
    """Checklist 27."""
    variables = {"MODELS_DIR": str(trained.models_dir)}
    command = [sys.executable, "-m", PACKAGE, "keys", "create", "ann", "--scope", "predict"]
    (tmp_path / "service").mkdir()
    made = subprocess.run(command, cwd=tmp_path / "service", capture_output=True, text=True, check=True)
    with serving(tmp_path / "service", "--no-worker", "--host", "0.0.0.0", **variables) as service:
        service.client.headers["X-API-Key"] = made.stdout.strip()
        assert service.predict()["version"] == "1"
        assert "-H 'X-API-Key: YOUR-KEY'" in service.log

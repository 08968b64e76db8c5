"""The tools that a generated project can do without, and works with: DVC and a real MLflow server. Both are fetched."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from workbench import ROOT, SLUG, UV, run

pytestmark = [pytest.mark.full, pytest.mark.slow]

PATIENCE = 600
"""Seconds that the server may take to start."""


@pytest.fixture
def folder(project: Path, tmp_path: Path, environ: dict[str, str]) -> Path:
    """The default project, in git as its owners have it."""
    folder = shutil.copytree(project, tmp_path / SLUG)
    for command in ("init", "-q"), ("add", "-A"):
        run("git", *command, environ=environ, cwd=folder)
    return folder


def dvc(*command: str, folder: Path, environ: dict[str, str]) -> str:
    recipe = run("make", "-n", "pipeline", environ=environ, cwd=folder).stdout
    wanted = re.search(r"--with '(dvc.*?)'", recipe)
    assert wanted
    uv_run = (UV, "run", "--locked", "--inexact", "--no-default-groups", "--group", "train", "--with", wanted[1])
    return run(*uv_run, "dvc", *command, environ=environ, cwd=folder).stdout


def test_dvc_runs_what_a_change_concerns_and_nothing_else(folder: Path, environ: dict[str, str]) -> None:
    def ran() -> list[str]:
        return re.findall(r"Running stage '(\w+)'", run("make", "pipeline", environ=environ, cwd=folder).stdout)

    assert ran() == ["data", "train", "evaluate"]
    assert ran() == []
    made = {path.name: path.read_bytes() for path in (folder / "pipeline").rglob("*") if path.is_file()}
    params = folder / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("max_depth: 3", "max_depth: 1"), encoding="utf-8")
    assert ran() == ["train", "evaluate"]
    (path,) = json.loads(dvc("metrics", "show", "--json", folder=folder, environ=environ))[""]["data"].items()
    assert path[0] == "pipeline/metrics.json"
    assert path[1]["data"]["balanced_accuracy"] < json.loads(made["metrics.json"])["balanced_accuracy"]
    params.write_text(params.read_text(encoding="utf-8").replace("max_depth: 1", "max_depth: 3"), encoding="utf-8")
    assert ran() == []
    shutil.rmtree(folder / ".dvc" / "cache")
    shutil.rmtree(folder / "pipeline")
    dvc("repro", "--force", folder=folder, environ=environ)
    again = {path.name: path.read_bytes() for path in (folder / "pipeline").rglob("*") if path.is_file()}
    same = {"data.csv", "data.json", "metrics.json", "model.onnx", "confusion.csv", "calibration.csv"}
    assert {name: again[name] for name in same} == {name: made[name] for name in same}


def test_dvc_draws_the_plots(folder: Path, environ: dict[str, str]) -> None:
    run("make", "pipeline", environ=environ, cwd=folder)
    plots = json.loads(dvc("plots", "show", "--json", folder=folder, environ=environ))
    assert plots.get("errors", []) == []
    assert set(plots["data"]) == {"pipeline/plots/confusion.csv", "pipeline/plots/calibration.csv"}
    assert all(drawn for drawn in plots["data"].values())
    dvc("plots", "show", folder=folder, environ=environ)
    page = (folder / "dvc_plots" / "index.html").read_text(encoding="utf-8")
    assert "versicolor" in page
    status = run("git", "ls-files", "-o", "--exclude-standard", environ=environ, cwd=folder).stdout.split()
    assert status == ["dvc.lock"]


def test_dvc_tells_nobody_about_its_use(folder: Path, environ: dict[str, str]) -> None:
    assert dvc("config", "core.analytics", folder=folder, environ=environ).strip() == "false"


@pytest.fixture
def mlflow(tmp_path: Path, environ: dict[str, str]) -> Iterator[str]:
    """The address of a real MLflow server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    place = tmp_path / "mlflow"
    place.mkdir()
    command = [UV, "run", "--no-project", "--python", "3", "--with", "mlflow>=3.5,<4", "mlflow", "server"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", str(place / "artifacts")]
    # Its background jobs are of no use here, and would outlive it.
    off = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    quiet = environ | off
    run(*command[: command.index("server")], "--version", environ=quiet, cwd=place)  # fetches it
    with (place / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=place, env=quiet, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/health", server, place / "log")
        yield url
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # it and what it started: a group of its own
        server.wait()


def wait_for(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server does not answer: {log.read_text(encoding='utf-8')}")


def test_trainings_are_recorded_with_a_real_mlflow_server(mlflow: str, folder: Path, environ: dict[str, str]) -> None:
    tests, there = ROOT / "tests" / "library", environ | {"TEST_MLFLOW_URL": mlflow, "UV": UV}
    pytest_here = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    done = run(*pytest_here, tests / "training" / "test_tracking.py", environ=there)
    assert re.search(r"\b\d+ passed", done.stdout)
    assert "skipped" not in done.stdout
    done = run(*pytest_here, tests / "docs" / "test_pages.py", "-k", "with_more and mlflow", environ=there)
    assert re.search(r"\b1 passed", done.stdout), done.stdout
    settings = environ | {"IRIS_API_MLFLOW_URL": mlflow.replace("//", "//ann:s3cret@")}
    uv_run = (UV, "run", "--locked", "--no-default-groups", "--group", "mlflow")
    done = run(*uv_run, SLUG, "train", environ=settings, cwd=folder)
    assert json.loads(done.stdout)["tracking"].startswith(f"{mlflow}/#/experiments/")
    assert "s3cret" not in done.stdout + done.stderr


def test_neither_tool_is_installed_unless_asked_for(folder: Path, environ: dict[str, str]) -> None:
    run(UV, "sync", "--quiet", "--locked", "--group", "dev", environ=environ, cwd=folder)
    listed = json.loads(run(UV, "pip", "list", "--format", "json", environ=environ, cwd=folder).stdout)
    assert {package["name"] for package in listed}.isdisjoint({"dvc", "mlflow", "mlflow-skinny"})

"""The commands of this repository's Makefile, in a fresh clone."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from workbench import ROOT, UV, run

DEADLINE = 300.0
FLOWER = {"setosa": 0, "versicolor": 1, "virginica": 2}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def demo(folder: Path, environ: dict[str, str], port: int) -> Iterator[tuple[str, list[str]]]:
    """Run `make demo` until it prints its curl line; yields that line and all lines so far, then stops by Ctrl-C."""
    process = subprocess.Popen(
        ["make", "demo"],
        cwd=folder,
        env=environ | {"IRIS_API_PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    lines: list[str] = []
    printed = threading.Event()

    def read() -> None:
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if "curl " in line:
                printed.set()
        printed.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert printed.wait(DEADLINE), lines
        curl = next((line for line in lines if "curl " in line), "")
        assert curl, "\n".join(lines)
        yield curl[curl.index("curl ") :], lines
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
        reader.join(30)
        if process.stdout:
            process.stdout.close()


def answer(curl: str, folder: Path, environ: dict[str, str]) -> dict[str, object]:
    """Paste a curl line into a shell until the service answers, and return the answer."""
    ends = time.monotonic() + 60
    while True:
        done = run("bash", "-c", curl, environ=environ, cwd=folder, expect=None)
        if done.returncode == 0 and done.stdout.startswith("{"):
            found: dict[str, object] = json.loads(done.stdout)
            return found
        assert time.monotonic() < ends, f"{curl}\n{done.stdout}\n{done.stderr}"
        time.sleep(0.2)


@pytest.mark.full
def test_demo_serves_a_prediction_over_https(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder, port = shutil.copytree(clone, tmp_path / "clone"), free_port()
    # A make around this one, and somebody's active environment, must not lead it astray.
    surrounded = environ | {"MAKEFLAGS": "-j4", "VIRTUAL_ENV": "/nowhere", "UV_PROJECT_ENVIRONMENT": "/nowhere"}
    with demo(folder, surrounded, port) as (curl, first):
        assert f"https://localhost:{port}/" in curl
        prediction = answer(curl, tmp_path, environ)
        assert prediction["model"] == "iris"
        assert prediction["version"] == "1"
        label = str(prediction["label"][0])  # type: ignore[index]
        assert prediction["prediction"] == [FLOWER[label]]
    assert [line for line in first if "Traceback" in line] == [], "Ctrl-C is no accident"
    (folder / "build" / "iris-api" / "mine.txt").write_text("kept", encoding="utf-8")
    with demo(folder, environ, port) as (curl, lines):
        assert any("is up to date with the template and stays as it is" in line for line in lines)
        assert answer(curl, tmp_path, environ) == prediction
    assert (folder / "build" / "iris-api" / "mine.txt").exists()


def test_it_lists_its_commands(environ: dict[str, str]) -> None:
    listed = run("make", environ=environ).stdout
    targets = re.search(r"(?m)^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert targets
    assert sorted(re.findall(r"make (\w+)", listed)) == sorted(targets[1].split())


def test_a_python_that_is_too_old_or_missing_is_named_in_one_line(
    clone: Path, tmp_path: Path, environ: dict[str, str]
) -> None:
    folder = shutil.copytree(clone, tmp_path / "clone")
    done = run("make", "lint", "PYTHON=/bin/false", environ=environ, cwd=folder, expect=2)
    assert done.stderr.splitlines()[0] == (
        "Python 3.11, 3.12 or 3.13 is needed, and '/bin/false' is not one: make lint PYTHON=/path/to/python3.12"
    )
    assert not (folder / ".venv").exists()


@pytest.mark.full
def test_without_uv_it_gets_its_own(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = shutil.copytree(clone, tmp_path / "clone")
    first = run("make", "lint", "UV=.venv/bin/uv", environ=environ, cwd=folder)
    assert "uv is not installed: putting it into .venv" in first.stdout
    again = run("make", "lint", "UV=.venv/bin/uv", environ=environ, cwd=folder)
    assert "uv is not installed" not in again.stdout
    assert (folder / ".venv" / "bin" / "uv").exists()


def test_the_lock_is_current(clone: Path, environ: dict[str, str]) -> None:
    run(UV, "lock", "--check", environ=environ, cwd=clone)
    assert "file://" not in (clone / "uv.lock").read_text(encoding="utf-8")


def test_ci_runs_everything() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert script.rstrip().endswith("make test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    run("bash", "-n", ROOT / ".ci" / "run", environ=dict(os.environ))

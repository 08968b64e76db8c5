"""The commands of this repository's Makefile, in a fresh clone."""

import os
import re
import shutil
from pathlib import Path

import pytest
from workbench import ROOT, UV, answer, free_port, run, serving

FLOWER = {"setosa": 0, "versicolor": 1, "virginica": 2}


@pytest.mark.full
def test_demo_serves_a_prediction_over_https(clone: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder, port = shutil.copytree(clone, tmp_path / "clone"), free_port()
    # A make around this one, and somebody's active environment, must not lead it astray.
    environ = environ | {"IRIS_API_PORT": str(port)}
    surrounded = environ | {"MAKEFLAGS": "-j4", "VIRTUAL_ENV": "/nowhere", "UV_PROJECT_ENVIRONMENT": "/nowhere"}
    with serving("demo", folder, surrounded) as (curl, first):
        assert f"https://localhost:{port}/" in curl
        prediction = answer(curl, tmp_path, environ)
        assert prediction["model"] == "iris"
        assert prediction["version"] == "1"
        label = str(prediction["label"][0])  # type: ignore[index]
        assert prediction["prediction"] == [FLOWER[label]]
    assert [line for line in first if "Traceback" in line] == [], "Ctrl-C is no accident"
    (folder / "build" / "iris-api" / "mine.txt").write_text("kept", encoding="utf-8")
    with serving("demo", folder, environ) as (curl, lines):
        assert any("is up to date with the template and stays as it is" in line for line in lines)
        assert answer(curl, tmp_path, environ) == prediction
    assert (folder / "build" / "iris-api" / "mine.txt").exists()


def test_it_lists_its_commands(environ: dict[str, str]) -> None:
    listed = run("make", environ=environ).stdout
    targets = re.search(r"(?m)^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert targets
    assert sorted(re.findall(r"make ([\w-]+)", listed)) == sorted(targets[1].split())


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
    assert script.rstrip().endswith("\nmake test")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    run("bash", "-n", ROOT / ".ci" / "run", environ=dict(os.environ))

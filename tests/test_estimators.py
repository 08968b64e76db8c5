"""Pages of a generated project that need more than it installs are run here, with what they need.

In the project itself these pages are skipped, so that nobody has to install a network library to test a tree.
"""

import re
import shutil
from pathlib import Path

import pytest
from workbench import SLUG, UV, run

pytestmark = pytest.mark.full

TORCH = "torch==2.13.0+cpu"
"""PyTorch for processors alone. PyPI has it for macOS and Windows; for Linux, PyTorch's own index has it."""
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


@pytest.fixture
def equipped(project: Path, tmp_path: Path, environ: dict[str, str]) -> Path:
    """The default project with all of its own packages, to install more into."""
    folder = shutil.copytree(project, tmp_path / SLUG)
    run(UV, "sync", "--quiet", "--locked", "--all-groups", environ=environ, cwd=folder)
    return folder


def run_page(name: str, folder: Path, environ: dict[str, str]) -> Path:
    """Do what a page of how-to says, in a copy of the project, and return the copy."""
    done = run(
        folder / ".venv" / "bin" / "pytest",
        f"tests/docs/test_pages.py::test_what_a_page_shows_happens[docs/how-to/{name}.md]",
        f"--basetemp={folder.parent / 'pages'}",
        environ=environ,
        cwd=folder,
    )
    assert re.search(r"\b1 passed\b", done.stdout), done.stdout  # neither skipped nor another page
    (copy,) = (folder.parent / "pages").glob("test_what*0/project")  # and not the link to it
    return copy


@pytest.mark.slow
def test_xgboost_and_lightgbm_are_served_as_the_page_says(equipped: Path, environ: dict[str, str]) -> None:
    python = equipped / ".venv" / "bin" / "python"
    packages = ("xgboost-cpu", "lightgbm", "onnxmltools")
    run(UV, "pip", "install", "--quiet", "--python", python, *packages, environ=environ)
    run_page("boosting", equipped, environ)


@pytest.mark.slow
def test_a_network_is_served_as_the_page_says(equipped: Path, environ: dict[str, str]) -> None:
    # pip goes on to other places where PyTorch's index cannot be reached, which uv does not.
    pip = (UV, "tool", "run", "pip", "--python", equipped / ".venv" / "bin" / "python", "install", "--retries", "0")
    sources = ("--only-binary", ":all:", "--extra-index-url", TORCH_INDEX)
    if run(*pip, "--no-deps", *sources, TORCH, environ=environ, expect=None).returncode:
        pytest.skip(f"{TORCH} can be had neither from {TORCH_INDEX} nor from where pip looks besides")
    run(*pip, *sources, TORCH, "onnxscript", environ=environ)
    copy = run_page("torch", equipped, environ)
    content = (copy / "models" / "wine" / "1" / "model.onnx").read_bytes()
    assert b"stack_trace" not in content
    assert str(copy).encode() not in content


def test_a_table_of_ones_own_is_served_and_documented_as_the_page_says(equipped: Path, environ: dict[str, str]) -> None:
    copy = run_page("your-own-data", equipped, environ)
    shutil.copytree(equipped / "docs", copy / "docs", dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.md"))
    shutil.copytree(equipped / "vendor", copy / "vendor")
    for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "uv.lock"):
        shutil.copy(equipped / name, copy)
    (copy / ".venv").unlink()
    run("make", "docs", environ=environ, cwd=copy)
    card = (copy / "docs" / "_build" / "html" / "markdown" / "model.html").read_text(encoding="utf-8")
    for word in ("Neustädter Höhe", "Fernwärme", "günstig", "equal to the original on"):
        assert word in card


def test_what_the_pages_have_written_is_clean(equipped: Path, environ: dict[str, str]) -> None:
    """The code on the pages passes the project's own checks, for who copies it must not mend it first."""
    tools = equipped / ".venv" / "bin"
    file = re.compile(r"^<!-- file: (src/\S+\.py) -->\n```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    for name in ("your-own-data", "replace-the-model", "without-onnx", "boosting", "torch"):
        for path, code in file.findall((equipped / "docs" / "how-to" / f"{name}.md").read_text(encoding="utf-8")):
            (equipped / path).write_text(code, encoding="utf-8")
        run(tools / "ruff", "check", environ=environ, cwd=equipped)
        run(tools / "ruff", "format", "--check", environ=environ, cwd=equipped)
        if name not in {"boosting", "torch"}:  # the types of what these import are not installed here
            run(tools / "mypy", environ=environ, cwd=equipped)

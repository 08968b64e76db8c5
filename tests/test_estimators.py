"""Pages of a generated project that need more than it installs are run here, with what they need.

Among the tests of the library these pages are skipped, so that nobody has to install a network library to test a tree.
"""

import re
import shutil
import sys
from pathlib import Path

import pytest
from workbench import SLUG, UV, run

pytestmark = pytest.mark.full

TORCH = "torch==2.13.0+cpu"
"""PyTorch for processors alone. PyPI has it for macOS and Windows; for Linux, PyTorch's own index has it."""
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


@pytest.fixture
def equipped(installed: Path, tmp_path: Path) -> Path:
    """The default project with all of its own packages, to write into."""
    folder = shutil.copytree(installed, tmp_path / SLUG, ignore=shutil.ignore_patterns(".venv"))
    (folder / ".venv").symlink_to(installed / ".venv")
    return folder


def run_page(name: str, folder: Path, environ: dict[str, str]) -> Path:
    """Do what a page of how-to says in a copy of a project, which finds packages in `folder/more`; return the copy."""
    done = run(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={folder / 'pages'}"),
        f"tests/library/docs/test_pages.py::test_what_a_page_shows_happens[docs/how-to/{name}.md]",
        environ=environ | {"PYTHONPATH": str(folder / "more"), "UV": UV},
    )
    assert re.search(r"\b1 passed\b", done.stdout), done.stdout  # neither skipped nor another page
    (copy,) = (folder / "pages").glob("test_what*0/project")  # and not the link to it
    return copy


@pytest.mark.slow
def test_xgboost_and_lightgbm_are_served_as_the_page_says(tmp_path: Path, environ: dict[str, str]) -> None:
    more = ("--python", sys.executable, "--no-deps", "--target", tmp_path / "more")  # what they need is there
    run(UV, "pip", "install", "--quiet", *more, "xgboost-cpu", "lightgbm", "onnxmltools", environ=environ)
    run_page("boosting", tmp_path, environ)


@pytest.mark.slow
def test_a_network_is_served_as_the_page_says(tmp_path: Path, environ: dict[str, str]) -> None:
    # pip goes on to other places where PyTorch's index cannot be reached, which uv does not.
    pip = (UV, "tool", "run", "pip", "--python", sys.executable, "install", "--retries", "0", "--target")
    sources = ("--no-deps", "--only-binary", ":all:", "--extra-index-url", TORCH_INDEX)
    if run(*pip, tmp_path / "more", *sources, TORCH, environ=environ, expect=None).returncode:
        pytest.skip(f"{TORCH} can be had neither from {TORCH_INDEX} nor from where pip looks besides")
    run(*pip, tmp_path / "more", *sources, "onnxscript", "onnx-ir", environ=environ)
    copy = run_page("torch", tmp_path, environ)
    content = (copy / "models" / "wine" / "1" / "model.onnx").read_bytes()
    assert b"stack_trace" not in content
    assert str(copy).encode() not in content


def test_a_table_of_ones_own_is_served_and_documented_as_the_page_says(tmp_path: Path, environ: dict[str, str]) -> None:
    copy = run_page("your-own-data", tmp_path, environ)
    write = (sys.executable, "tools/sample.py", "--uv", UV, "classification")
    sample = Path(run(*write, environ=environ).stdout.strip())
    shutil.copytree(sample / "docs", copy / "docs", dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.md"))
    shutil.copytree(sample / "vendor", copy / "vendor")
    for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "uv.lock"):
        shutil.copy(sample / name, copy)
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

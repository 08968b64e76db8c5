"""Which files a generated project has, and that nothing of the template is left in them."""

import ast
import re
from pathlib import Path

import pytest
from workbench import ROOT, TEMPLATE, files, texts

PYTHON = sorted([*(ROOT / "hooks").glob("*.py"), *TEMPLATE.rglob("*.py")])
JINJA = re.compile(r"\{\{ *cookiecutter|\{%.*%\}|\{#.*#\}")
# Written for browsers or by people for people: braces belong to their language.
VERBATIM = {".js", ".css", ".py"}


def test_a_default_project_has_exactly_these_files(project: Path) -> None:
    """Run `make tree` after adding or removing a file of the template, and look at the difference."""
    expected = (ROOT / "tests" / "tree" / "gitlab.txt").read_text(encoding="utf-8").splitlines()
    assert list(files(project)) == expected


@pytest.mark.parametrize("kind", ["project", "awkward"])
def test_nothing_of_the_template_is_left_in_a_project(kind: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    names = "\n".join(files(folder))
    left = {
        name: found
        for name, text in {"file names": names, **texts(folder)}.items()
        if (found := re.findall(r"package_name|\{\{ *cookiecutter.*", text))
        or (
            Path(name).suffix not in VERBATIM and (found := re.findall(r"cookiecutter|\{\{|\}\}|\{%|%\}|\{#|#\}", text))
        )
    }
    assert left == {}


def test_the_template_has_python_to_check() -> None:
    assert len(PYTHON) > 10


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_python_of_the_template_is_plain_python(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    ast.parse(text)
    allowed = ["{{ cookiecutter"] if path.parent.name == "hooks" else []
    assert JINJA.findall(text) == allowed


def test_every_text_file_ends_with_one_newline(project: Path) -> None:
    odd = [name for name, text in texts(project).items() if text and (not text.endswith("\n") or text.endswith("\n\n"))]
    assert [name for name in odd if "/static/" not in name] == []

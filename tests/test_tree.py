"""Nothing of the template is left in a generated project, and its Python is plain Python."""

import ast
import re
from pathlib import Path

import pytest
from workbench import ANSWERS, ROOT, TEMPLATE, files, texts

PYTHON = sorted([*(ROOT / "hooks").glob("*.py"), *TEMPLATE.rglob("*.py")])
JINJA = re.compile(r"\{\{ *cookiecutter|\{%.*%\}|\{#.*#\}")
# Written for browsers or by people for people, or a template of the documentation: braces belong to their language.
VERBATIM = {".js", ".css", ".html", ".py"}


def is_verbatim(name: str) -> bool:
    """Tell whether a file is copied as it is: alerts and dashboards have braces of their own."""
    return Path(name).suffix in VERBATIM or name.startswith("deploy/monitoring/")


@pytest.mark.parametrize("kind", ["project", "awkward"])
def test_nothing_of_the_template_is_left_in_a_project(kind: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(kind)
    names = "\n".join(files(folder))
    left = {
        name: found
        for name, text in {"file names": names, **texts(folder)}.items()
        if name != ANSWERS  # which names the questions
        if (found := re.findall(r"package_name|\{\{ *cookiecutter.*", text))
        or (not is_verbatim(name) and (found := re.findall(r"cookiecutter|\{\{|\}\}|\{%|%\}|\{#|#\}", text)))
    }
    assert left == {}


def test_the_template_has_python_to_check() -> None:
    assert len(PYTHON) > 10


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: path.name)
def test_python_of_the_template_is_plain_python(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    ast.parse(text)
    # cookiecutter hands the answers to a hook in a string.
    text = re.sub(r'"\{\{ cookiecutter(\.\w+| \| tojson) \}\}"', '""', text) if path.parent.name == "hooks" else text
    assert JINJA.findall(text) == []


def test_every_text_file_ends_with_one_newline(project: Path) -> None:
    odd = [name for name, text in texts(project).items() if text and (not text.endswith("\n") or text.endswith("\n\n"))]
    assert [name for name in odd if "/static/" not in name] == []

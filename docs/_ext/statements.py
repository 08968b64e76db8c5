"""The directive `statements`: what a generated service must survive, with the tests that show it."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
INNER = ROOT / "{{cookiecutter.project_slug}}"
STATEMENTS = ROOT / "docs" / "statements.toml"
NUMBERS = re.compile(r"\bChecklist ((?:\d+(?:, | and )?)+)")


class Test(NamedTuple):
    """A test that shows statements."""

    file: str
    """Its file, below the root of this repository."""
    name: str
    """The name of the function."""

    def __str__(self) -> str:
        """Return what the test shows, in words."""
        return f"{self.name.removeprefix('test_').replace('_', ' ')} (`{self.file}`)"


class Statements(SphinxDirective):
    """Show all statements with their tests."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each group of statements."""
        return self.parse_text_to_nodes("\n".join(described()), allow_section_headings=True)


def described() -> Iterator[str]:
    """Yield the lines of Markdown."""
    tests = shown()
    for group, statements in groups().items():
        yield from (f"## {group}", "")
        for number, text in statements.items():
            yield from (f"**{number}.** {text}", "")
            yield from (f"- {test}" for test in tests.get(number, []))
            yield ""


def groups() -> dict[str, dict[int, str]]:
    """Return the statements by number, in their groups."""
    read = tomllib.loads(STATEMENTS.read_text(encoding="utf-8"))
    return {group: {int(number): text for number, text in found.items()} for group, found in read.items()}


def shown() -> dict[int, list[Test]]:
    """Return the tests of each statement, as their docstrings name it."""
    found: dict[int, list[Test]] = {}
    folders = [ROOT / "tests", INNER / "tests", *sorted(INNER.glob("problems/*/tests"))]
    for path in sorted(path for folder in folders for path in folder.rglob("test_*.py")):
        for number, name in numbered(path):
            found.setdefault(number, []).append(Test(path.relative_to(ROOT).as_posix(), name))
    return found


def numbered(path: Path) -> Iterator[tuple[int, str]]:
    """Find the tests of a file whose docstrings name statements."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for named in NUMBERS.findall(ast.get_docstring(node) or ""):
                yield from ((int(number), node.name) for number in re.findall(r"\d+", named))


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("statements", Statements)
    return {"parallel_read_safe": True}

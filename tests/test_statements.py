"""What must be shown is shown: each statement has a test, and each test that a page names is there."""

import ast
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from workbench import ROOT, TEMPLATE

STATEMENTS: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "_ext" / "statements.py"))


def test_there_are_44_statements_and_each_has_a_test() -> None:
    numbers = [number for group in STATEMENTS["groups"]().values() for number in group]
    assert numbers == list(range(1, 45))
    shown = STATEMENTS["shown"]()
    assert set(numbers) == set(shown)


def test_a_test_that_names_a_statement_can_fail() -> None:
    for tests in STATEMENTS["shown"]().values():
        for test in tests:
            source = (ROOT / test.file).read_text(encoding="utf-8")
            function = next(node for node in ast.walk(ast.parse(source)) if getattr(node, "name", "") == test.name)
            text = ast.unparse(function)
            assert re.search(r"\bassert\b|\braises\(|\bfail\(|expect=|check=True|refused\(", text), test


def named(page: Path) -> list[tuple[str, str]]:
    """Return the tests that a page names, as file and function."""
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("house", [ROOT, TEMPLATE], ids=["template", "project"])
def test_every_test_that_a_threat_is_answered_with_exists(house: Path) -> None:
    tests = named(house / "SECURITY.md")
    assert len(tests) > 3
    for file, name in tests:
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), f"{file}::{name}"

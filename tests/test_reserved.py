"""Names that a project may not have, because something beside it has them."""

import runpy
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from workbench import ROOT, TEMPLATE, run

RULES = runpy.run_path(str(ROOT / "hooks" / "pre_gen_project.py"), run_name="rules")
problem: Callable[[str, object], str] = RULES["problem"]


def test_no_distribution_of_the_lock_may_give_a_project_its_name() -> None:
    """Checklist 44."""
    lock = (TEMPLATE / "uv.lock").read_text(encoding="utf-8")
    names = {package["name"] for package in tomllib.loads(lock)["package"]} - {"{{ cookiecutter.project_slug }}"}
    assert len(names) > 50
    assert [name for name in sorted(names) if not problem("project_slug", name)] == []


def test_no_module_of_this_python_may_give_a_package_its_name() -> None:
    assert [name for name in sorted(sys.stdlib_module_names) if not problem("package_name", name)] == []


@pytest.mark.full
def test_no_module_or_command_of_an_installed_project_may_give_one_its_name(
    installed: Path, environ: dict[str, str]
) -> None:
    script = "import importlib.metadata as m; print(*m.packages_distributions())"
    python = installed / ".venv" / "bin" / "python"
    modules = run(python, "-c", script, environ=environ).stdout.split()
    free = [name for name in modules if name.isidentifier() and not problem("package_name", name)]
    assert len(modules) > 50
    assert set(free) <= {"iris_api"}
    commands = [path.name for path in python.parent.iterdir()]
    assert [name for name in sorted(commands) if not problem("project_slug", name)] == ["iris-api"]

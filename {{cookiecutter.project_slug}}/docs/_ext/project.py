"""The project that these pages describe: found by its `pyproject.toml`, so that no page has to repeat its names."""

import importlib
import pkgutil
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

PACKAGE: str = Path(_pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"][0]).name
"""Name that Python imports the package by."""
VERSION: str = _pyproject["project"]["version"]
"""Version of the project."""


class Undocumented(Exception):
    """Something that the site must explain has no explanation; the message says what and where to write one.

    `written` is what could be written in spite of that, so that the pages which refer to it do not fail as well.
    """

    def __init__(self, message: str, written: str = "") -> None:
        super().__init__(message)
        self.written = written


def load(name: str) -> Any:
    """Import a module of the package by its name inside it, such as `ml.base`."""
    return importlib.import_module(f"{PACKAGE}.{name}" if name else PACKAGE)


def modules(room: str = "") -> list[str]:
    """Return the full names of the modules that stand in a room (a subpackage), or beside the rooms."""
    package = load(room)
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    inside = [module.name for module in found if not module.ispkg and not module.name.endswith(".__main__")]
    return [package.__name__, *inside]


def rooms() -> list[str]:
    """Return the names of the package's rooms: the subpackages, and the empty name for what stands beside them."""
    found = [module.name for module in pkgutil.iter_modules(load("").__path__) if module.ispkg]
    return [*found, ""]


ABOUT = load("about").about_of(PACKAGE)
"""What the service is called and whom to ask: the content of `about.toml`."""

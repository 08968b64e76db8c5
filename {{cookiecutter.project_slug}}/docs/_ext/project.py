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
LIBRARY = "mlapi"
"""Name of the library's package."""
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
    """Import a module of the project's package by its name inside it, such as `ml`."""
    return importlib.import_module(f"{PACKAGE}.{name}")


def library(name: str) -> Any:
    """Import a module of the library by its name inside it, such as `ml.base`."""
    return importlib.import_module(f"{LIBRARY}.{name}")


def modules(package: str) -> list[str]:
    """Return the full names of a package and of the modules in it, without those of its subpackages."""
    found = pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
    inside = [module.name for module in found if not module.ispkg and not module.name.endswith(".__main__")]
    return [package, *inside]


def packages() -> list[str]:
    """Return the full names of the packages that the site describes: the project's, the library's, those in them."""
    found = []
    for name in (PACKAGE, LIBRARY):
        inside = pkgutil.iter_modules(importlib.import_module(name).__path__, f"{name}.")
        found += [name, *(module.name for module in inside if module.ispkg)]
    return found


ABOUT = library("about").about_of(PACKAGE)
"""What the service is called and whom to ask: the content of `about.toml`."""

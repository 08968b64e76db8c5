"""Whether every public name of the package is explained where it is defined."""

import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any

from project import modules, packages
from sphinx.pycode import ModuleAnalyzer


@cache  # autodoc, which runs between the two times this is asked, adds names of its own to the classes
def public_names() -> dict[str, str]:
    """Return the docstring of every public class, function, method, property, member and constant, by its full name."""
    return dict(pair for package in packages() for name in modules(package) for pair in _names_of(name))


def _names_of(module_name: str) -> Iterator[tuple[str, str]]:
    module = import_module(module_name)
    yield module_name, inspect.getdoc(module) or ""
    written = {
        place: "\n".join(lines) for place, lines in ModuleAnalyzer.for_module(module_name).find_attr_docs().items()
    }
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        if (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module_name:
            yield f"{module_name}.{name}", _own_docstring(value)
            if inspect.isclass(value):
                yield from _members_of(value, f"{module_name}.{name}", written)
        elif name.isupper() and len(name) > 1 and _defines(module, name):
            yield f"{module_name}.{name}", written.get(("", name), "")


def _members_of(owner: type, full_name: str, written: dict[tuple[str, str], str]) -> Iterator[tuple[str, str]]:
    for name in inspect.get_annotations(owner):
        inherited = any(hasattr(base, name) or name in inspect.get_annotations(base) for base in owner.__mro__[1:])
        if not name.startswith("_") and not inherited:
            yield f"{full_name}.{name}", written.get((owner.__name__, name), "")
    for name, value in vars(owner).items():
        if name.startswith("_"):
            continue
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isfunction(function) or isinstance(function, property):
            yield f"{full_name}.{name}", _own_docstring(function) or inspect.getdoc(getattr(owner, name)) or ""


def _own_docstring(value: Any) -> str:
    return inspect.cleandoc(value.__doc__ or "")


def _defines(module: Any, name: str) -> bool:
    """Tell whether a module assigns a constant itself, rather than importing it."""
    source = ModuleAnalyzer.for_module(module.__name__).code
    return any(line.startswith((f"{name} =", f"{name}:", f"{name},")) for line in source.splitlines())

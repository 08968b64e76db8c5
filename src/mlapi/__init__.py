"""Machine-learning services: a model class and its settings become a documented service over HTTPS.

Import from `mlapi` itself: what `__all__` lists is public, everything else is private. A name is loaded when it is
first used, so that a command that needs none of them starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ml.base import Dataset, Hyperparameters
    from .ml.classification import Classifier
    from .ml.features import Features, category, number, text
    from .ml.regression import Regressor
    from .service import Service
    from .settings import Settings

__all__ = [
    "Classifier",
    "Dataset",
    "Features",
    "Hyperparameters",
    "Regressor",
    "Service",
    "Settings",
    "__version__",
    "category",
    "number",
    "text",
]

__version__ = "0.2.1"
"""Version of the library. Before 1.0 the minor version is the major one: projects require `mlapi-engine>=0.2,<0.3`."""

_HOMES = {
    "Classifier": "ml.classification",
    "Dataset": "ml.base",
    "Features": "ml.features",
    "Hyperparameters": "ml.base",
    "Regressor": "ml.regression",
    "Service": "service",
    "Settings": "settings",
    "category": "ml.features",
    "number": "ml.features",
    "text": "ml.features",
}
"""Modules in which the public names are defined."""


if not TYPE_CHECKING:  # type checkers know the names from above, and tell a wrong one

    def __getattr__(name: str) -> Any:
        """Load a public name from its module."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        return found


def __dir__() -> list[str]:
    """Name what is public too, loaded or not."""
    return sorted({*globals(), *__all__})

"""Making a candidate: a trained and measured model that is no version yet."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..cluster import learning
from ..errors import TrainingFailed
from ..settings import Settings
from .child import Report

if TYPE_CHECKING:
    from ..ml.base import SupervisedModel

_PATH = re.compile(r"""(?<![\w/])(?:~|[A-Za-z]:)?[/\\][^\s'",;:]+""")


def order(
    model: "type[SupervisedModel]", settings: Settings, directory: Path, hyperparameters: dict[str, Any]
) -> dict[str, Any]:
    """Write down all that a training needs, in values that JSON can carry; the directory has the name of the run."""
    return {
        "kind": "train",
        "model": f"{model.__module__}:{model.__qualname__}",
        "directory": str(directory),
        "hyperparameters": hyperparameters,
        "url": None if settings.dataset_url is None else str(settings.dataset_url),
        "sha256": settings.dataset_sha256,
        "cache": str(settings.data_dir.resolve() / "downloads"),
        "cluster": settings.cluster_url,
    }


def model_of(what: dict[str, Any]) -> "type[SupervisedModel]":
    """Return the class of the model that an order names.

    Raises:
        TrainingFailed: it cannot be imported here, as one that stands in a notebook or in a function.
        ModuleNotFoundError: its module needs a library that is not installed.

    """
    module, _, name = what["model"].partition(":")
    told = f"The model {name} cannot be imported from {module}: its class must stand at the top level of a module."
    try:
        stands_in = import_module(module)
    except ModuleNotFoundError as error:
        if error.name and not f"{module}.".startswith(f"{error.name}."):
            raise
        raise TrainingFailed(told) from error
    try:
        model: type[SupervisedModel] = attrgetter(name)(stands_in)
    except AttributeError as error:
        raise TrainingFailed(told) from error
    return model


def train_ordered(what: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train the model that an order names, and return the metrics; raises as `train_here` does."""
    with explained("training"):
        model = model_of(what)
    return train_here(model, what, report)


def train_here(model: "type[SupervisedModel]", what: dict[str, Any], report: Report) -> dict[str, Any]:
    """Train a model in this process and return the metrics.

    Raises:
        TrainingFailed: the data or the model are at fault.
        ClusterUnavailable: the cluster that was to help is away.

    """
    with explained("training"), learning(what["cluster"]):
        from ..ml.download import Archive
        from ..ml.training import train_candidate

        archive = Archive(what["url"], what["sha256"], Path(what["cache"])) if what["url"] else None
        return train_candidate(model, Path(what["directory"]), what["hyperparameters"], archive, report)


@contextmanager
def explained(task: str) -> Iterator[None]:
    """Raise `TrainingFailed` for what may go wrong in a training, or a part of one, in words for whoever asked."""
    from ..ml.training import TrainingRefused

    try:
        yield
    except TrainingRefused as error:
        raise TrainingFailed(str(error)) from error
    except ModuleNotFoundError as error:
        raise TrainingFailed(
            f"Training needs {error.name}, which is not installed here: install the group train, with it in there."
        ) from error
    except MemoryError as error:
        raise TrainingFailed(f"The {task} ran out of memory.") from error
    except OSError as error:
        raise TrainingFailed(f"The {task} failed: {error.strerror or type(error).__name__}.") from error
    except ValueError as error:
        first = (str(error).splitlines() or ["a value is wrong"])[0]
        raise TrainingFailed(f"The {task} failed: {_PATH.sub('...', first)}") from error

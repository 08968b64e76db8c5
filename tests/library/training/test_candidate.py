"""The model that an order for a training names, and the error if it cannot be found."""

import sys
from pathlib import Path
from typing import Any

import pytest
from sample.ml import Model
from sample.settings import Settings

from mlapi.errors import TrainingFailed
from mlapi.training.candidate import model_of, order, train_ordered
from mlapi.training.foreground import train_now

from rig.toys import Rent


def silent(_progress: float, _phase: str) -> None:
    """Report to nobody."""


@pytest.mark.parametrize("model", [Model, Rent])
def test_the_model_of_an_order_is_the_one_that_it_was_written_for(settings: Settings, model: Any) -> None:
    assert model_of(order(model, settings, Path("run"), {})) is model


def test_a_class_that_no_other_process_can_import_is_told_so(settings: Settings) -> None:
    class Local(Rent):
        pass

    for name in (f"{Local.__module__}:{Local.__qualname__}", "__main__:Missing", "no_such_module.at_all:Model"):
        what = order(Local, settings, Path("run"), {}) | {"model": name}
        with pytest.raises(TrainingFailed, match=r"cannot be imported from .* at the top level of a module"):
            train_ordered(what, silent)


def test_a_library_that_the_models_module_lacks_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text("import needed\n")
    monkeypatch.syspath_prepend(tmp_path)
    what = order(Rent, settings, Path("run"), {}) | {"model": "needy:Model"}
    with pytest.raises(TrainingFailed, match="Training needs needed, which is not installed here"):
        train_ordered(what, silent)
    assert "needy" not in sys.modules


def test_a_class_that_stands_in_a_function_is_trained_in_its_own_process(settings: Settings) -> None:
    class Local(Rent):
        pass

    assert train_now(Local, settings, {}, "always", silent)["version"] == "1"


def test_a_fault_of_the_models_module_is_not_taken_for_a_missing_class(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "faulty.py").write_text("None.nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    what = order(Rent, settings, Path("run"), {}) | {"model": "faulty:Model"}
    with pytest.raises(AttributeError):
        train_ordered(what, silent)

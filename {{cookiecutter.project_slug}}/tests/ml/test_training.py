from pathlib import Path
from typing import Any

import numpy as np
import pytest

from package_name.ml import Model, training
from package_name.ml.base import Dataset
from package_name.ml.export import Parity
from package_name.ml.manifest import Manifest
from package_name.ml.training import TrainingRefused, check, split, train_candidate


def train(directory: Path, **hyperparameters: Any) -> Manifest:
    train_candidate(directory, hyperparameters, None, lambda _progress, _phase: None)
    return Manifest.model_validate_json((directory / "manifest.json").read_bytes())


def test_a_seeded_training_repeated_gives_the_same_metrics_and_the_same_model(tmp_path: Path) -> None:
    first, second = train(tmp_path / "a", seed=5), train(tmp_path / "b", seed=5)
    assert first.metrics == second.metrics
    assert first.files["model.onnx"] == second.files["model.onnx"]


def test_the_manifest_says_what_was_made_and_how(tmp_path: Path) -> None:
    manifest = train(tmp_path / "run", seed=5)
    assert manifest.run == "run"
    assert manifest.hyperparameters["seed"] == 5
    assert manifest.labels == list(Model.labels)
    assert manifest.dataset.fingerprint == Model.dataset().fingerprint
    assert sum(map(sum, manifest.confusion)) == manifest.dataset.test_rows
    assert set(manifest.reference) == set(Model.Features.names())
    assert manifest.created_at.utcoffset() is not None


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "half").write_text("a file")
    train(tmp_path / "run")
    assert not (tmp_path / "run" / "half").exists()


def test_progress_is_reported_and_never_falls(tmp_path: Path) -> None:
    seen: list[float] = []
    train_candidate(tmp_path / "run", {}, None, lambda progress, _phase: seen.append(progress))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)


def test_a_model_whose_export_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        training, "compare", lambda *_: Parity(rows=9, label_differences=1, largest_difference=0, worst_row=[1.5])
    )
    with pytest.raises(TrainingRefused, match="differs from the original"):
        train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_hyperparameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed"):
        train(tmp_path / "run", seed=-1)


def test_examples_are_held_back_in_proportion_and_not_learned_from() -> None:
    data = Model.dataset()
    numbered = Dataset(np.arange(len(data.y), dtype=np.float32)[:, None], data.y, data.source)
    learned, held = split(numbered)
    assert sorted([*learned.X[:, 0], *held.X[:, 0]]) == numbered.X[:, 0].tolist()
    shares = [np.bincount(part.y) / len(part.y) for part in (data, held)]
    assert np.abs(shares[0] - shares[1]).max() < 0.05


def changed(X: Any = None, y: Any = None) -> Dataset:
    data = Model.dataset()
    return Dataset(data.X if X is None else X(data.X.copy()), data.y if y is None else y(data.y.copy()), "changed")


def with_value(value: float) -> Any:
    def change(X: Any) -> Any:
        X[17, 0] = value
        return X

    return change


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(X=with_value(float("nan"))), f"{Model.Features.names()[0]} of example 17"),
        (changed(X=with_value(1e30)), f"{Model.Features.names()[0]} of example 17"),
        (changed(X=lambda X: X[:, :-1]), "must have"),
        (changed(X=lambda X: X[:-1]), "must have"),
        (changed(y=lambda y: np.minimum(y, len(Model.labels) - 2)), f"fewer than 5 examples of {Model.labels[-1]}"),
        (changed(y=lambda y: y + 1), "indices of the"),
        (changed(y=lambda y: y - 1), "indices of the"),
    ],
    ids=["nan", "out of range", "a column less", "a row less", "a class is missing", "too high", "too low"],
)
def test_data_that_are_not_what_is_promised_are_refused(data: Dataset, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(data)


def test_the_bundled_data_are_what_is_promised() -> None:
    check(Model.dataset())

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from package_name.ml import Model, training
from package_name.ml.export import Parity
from package_name.ml.manifest import Manifest
from package_name.ml.training import TrainingRefused, split, train_candidate


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
    monkeypatch.setattr(training, "compare", lambda *_: Parity(rows=9, label_differences=1, largest_difference=0))
    with pytest.raises(TrainingRefused, match="differs from the original"):
        train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_hyperparameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed"):
        train(tmp_path / "run", seed=-1)


def test_held_back_examples_are_not_learned_from() -> None:
    data = Model.dataset()
    learned, held = split(data, seed=0)
    assert len(learned.y) + len(held.y) == len(data.y)
    assert np.bincount(held.y).tolist() == [len(held.y) // len(Model.labels)] * len(Model.labels)

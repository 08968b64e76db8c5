from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sample.ml import Model

from mlapi.ml import training
from mlapi.ml.manifest import FileRecord, Manifest
from mlapi.ml.parity import Parity
from mlapi.ml.training import PLOTS, TrainingRefused, train_candidate


def train(directory: Path, model: Any = Model, **hyperparameters: Any) -> Manifest:
    train_candidate(model, directory, hyperparameters, None, lambda _progress, _phase: None)
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
    assert (manifest.kind, manifest.score) == (Model.kind, Model.score)
    assert manifest.metrics[manifest.score] <= 1
    assert (manifest.interval is None) == bool(manifest.labels)
    assert len(manifest.reference) == len(Model.Features.names()) + 1
    assert manifest.created_at.utcoffset() is not None


def test_what_an_interrupted_run_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "half").write_text("a file")
    train(tmp_path / "run")
    assert not (tmp_path / "run" / "half").exists()


def test_progress_is_reported_and_never_falls(tmp_path: Path) -> None:
    seen: list[float] = []
    train_candidate(Model, tmp_path / "run", {}, None, lambda progress, _phase: seen.append(progress))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)


def test_a_model_whose_export_differs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        training, "compare", lambda *_: Parity(rows=9, label_differences=1, largest_difference=0, worst_row=[1.5])
    )
    with pytest.raises(TrainingRefused, match="differs from the original"):
        train(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_that_cannot_be_exported_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(_: Model) -> bytes:
        raise RuntimeError("no converter\nand a long story")

    monkeypatch.setattr(Model, "export", export)
    with pytest.raises(TrainingRefused, match=r"cannot be exported to ONNX \(RuntimeError: no converter\)\. Try"):
        train(tmp_path / "run")


def test_a_missing_library_is_not_taken_for_a_fault_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(_: Model) -> bytes:
        raise ModuleNotFoundError("there is none", name="converter")

    monkeypatch.setattr(Model, "export", export)
    with pytest.raises(ModuleNotFoundError):
        train(tmp_path / "run")


def test_a_model_that_fails_on_what_it_should_accept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Model.dataset()
    model = Model().train(data)

    def compute(_: Model, _rows: Any) -> Any:
        raise ValueError("Found unknown categories" + " 7" * 1000)

    monkeypatch.setattr(Model, "compute", compute)
    with pytest.raises(TrainingRefused, match=r"fails on a row that Features accepts .* handle_unknown") as refused:
        training.export(model, data)
    assert len(str(refused.value)) < 500


def test_what_a_missing_value_breaks_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    parity = Parity(rows=9, label_differences=1, largest_difference=0, worst_row=[1.5, np.nan])
    monkeypatch.setattr(training, "compare", lambda *_: parity)
    data = Model.dataset()
    with pytest.raises(TrainingRefused, match=r"a value is missing: fill missing values in before the estimator"):
        training.export(Model().train(data), data)


def test_an_estimator_that_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    model = Model().train(Model.dataset())
    model.estimator = lambda: None
    with pytest.raises(TrainingRefused, match="cannot be saved with joblib"):
        training.write_model(tmp_path / "run", model, None)


class Served(Model):
    """The model, serving without an export."""

    runtime: ClassVar = "joblib"

    def export(self) -> bytes:
        raise NotImplementedError


def test_a_model_that_serves_by_joblib_is_recorded_without_an_export(tmp_path: Path) -> None:
    manifest = train(tmp_path / "run", Served)
    assert (manifest.runtime, manifest.parity) == ("joblib", None)
    assert set(manifest.files) == {"model.joblib", PLOTS}
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["manifest.json", "model.joblib", PLOTS]


def test_a_wrong_hyperparameter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="seed"):
        train(tmp_path / "run", seed=-1)


def test_a_model_whose_class_says_too_little_is_refused_before_anything_is_read(
    tmp_path: Path, toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert toy.lacking() == []
    needed = "unit" if toy.kind == "regression" else "target"
    monkeypatch.delattr(toy, needed)
    monkeypatch.setattr(toy, "dataset", None)
    with pytest.raises(TrainingRefused, match=f"{toy.__name__} lacks {needed}"):
        train(tmp_path / "run", toy)


def test_a_model_of_any_kind_is_trained_and_recorded(tmp_path: Path, toy: Any) -> None:
    manifest = train(tmp_path / "run", toy, seed=5)
    assert manifest.predicts()[0] == toy.kind
    assert manifest.predicts()[1] == [(column.name, list(column.choices)) for column in toy.Features.columns()]
    assert manifest.parity is not None
    assert manifest.parity.passed
    assert manifest.files[PLOTS] == FileRecord.of((tmp_path / "run" / PLOTS).read_bytes())
    if manifest.interval is not None:
        assert manifest.metrics["interval_coverage"] == pytest.approx(0.9, abs=0.1)

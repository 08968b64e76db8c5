"""One training, from data to a candidate version: fit, export, prove the export equal, evaluate, write it all down."""

import json
import pickle
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import examples
from .base import Dataset, SupervisedModel
from .download import Archive
from .evaluation import Plot, evaluate
from .manifest import FILE_NAME, DatasetRecord, FileRecord, Manifest, git_commit, library_versions, now
from .onnx import OnnxModel
from .parity import Parity, compare
from .reference import PREDICTION, histogram, histograms

PLOTS = "plots.json"
"""Name of the file with the numbers behind a version's figures."""

Report = Callable[[float, str], None]
"""Called with the share done (0 to 1) and what comes next."""


class TrainingRefused(ValueError):
    """The trained model may not serve."""


def train_candidate(
    model: type[SupervisedModel],
    directory: Path,
    hyperparameters: Mapping[str, Any],
    archive: Archive | None,
    report: Report,
) -> dict[str, float]:
    """Train a model and write it, with its manifest, to `directory`; its name is the run's identifier.

    These are the stages of `pipeline` in one go.

    Args:
        model: The class of the model.
        directory: Where to write; what an earlier, interrupted run left there is removed.
        hyperparameters: What to vary, checked against the model's `Hyperparameters`.
        archive: Where to download the examples; None for the bundled ones.
        report: Called with the share done (0 to 1) and what comes next.

    Returns:
        The metrics on the held-back examples.

    Raises:
        TrainingRefused: the model's class lacks something, it cannot be exported, the export differs from the original,
            or it cannot be saved.
        ValueError: the hyperparameters or the data are not acceptable.

    """
    refuse_unfinished(model)
    untrained = model(model.Hyperparameters(**hyperparameters))
    report(0.0, "reading the data")
    data = examples.read(model, archive)
    trained = train(directory, directory.name, untrained, data, report)
    report(0.9, "evaluating and writing")
    metrics = complete(model, directory, trained, data)
    report(1.0, "trained")
    return metrics


def refuse_unfinished(model: type[SupervisedModel]) -> None:
    """Raise `TrainingRefused` if a model's class does not say all that serving it takes."""
    if lacking := model.lacking():
        raise TrainingRefused(f"{model.__name__} lacks {' and '.join(lacking)}: give the class a value for each")


def train(directory: Path, run: str, model: SupervisedModel, data: Dataset, report: Report) -> Manifest:
    """Fit a model to the examples that are not held back, and write it to `directory` if its export is equal to it.

    Args:
        directory: Where to write; what it holds is removed.
        run: Identifier of this training.
        model: The model, not yet trained.
        data: All examples, checked.
        report: Called with the share done (0 to 1) and what comes next.

    Returns:
        The record of what was made. Its metrics are empty: the model is not evaluated yet.

    Raises:
        TrainingRefused: the exported model differs from the original.

    """
    training, held_back = examples.split(type(model), data)
    report(0.1, "training")
    model.train(training)
    report(0.7, "exporting")
    content, parity = export(model, data) if model.runtime == "onnx" else (None, None)
    return Manifest(
        model=model.name,
        run=run,
        created_at=now(),
        files=write_model(directory, model, content),
        features=model.Features.model_json_schema(),
        kind=model.kind,
        runtime=model.runtime,
        labels=list(model.labels),
        hyperparameters=model.hyperparameters.model_dump(),
        metrics={},
        score=model.score,
        interval=model.interval,
        parity=parity,
        dataset=DatasetRecord(
            source=data.source, fingerprint=data.fingerprint, training_rows=len(training.y), test_rows=len(held_back.y)
        ),
        reference={
            **histograms(model.Features, training.X),
            PREDICTION: histogram(model.answer(model.compute(training.X), model.interval).prediction),
        },
        git_commit=git_commit(type(model)),
        libraries=library_versions(model.estimator),
    )


def complete(model: type[SupervisedModel], directory: Path, trained: Manifest, data: Dataset) -> dict[str, float]:
    """Evaluate the model in `directory`, write its manifest there, and return the metrics: now it is a candidate."""
    _, held_back = examples.split(model, data)
    compute = opened(model, directory, trained.runtime).compute
    metrics, plots = evaluate(model, compute, trained.interval, held_back)
    files = {**trained.files, PLOTS: write_plots(directory / PLOTS, plots)}
    manifest = trained.model_copy(update={"metrics": metrics, "files": files})
    (directory / FILE_NAME).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    return metrics


def opened(model: type[SupervisedModel], directory: Path, runtime: str) -> Any:
    """Open the model in a directory in the form that serves; what `compute` of the result does is what callers get."""
    if runtime == "joblib":
        return model.load(directory / "model.joblib")
    return OnnxModel((directory / "model.onnx").read_bytes(), model.output)


def write_plots(path: Path, plots: Mapping[str, Plot]) -> FileRecord:
    """Write the numbers behind the figures as JSON: lists by column by plot."""
    lists = {name: {column: values.tolist() for column, values in plot.items()} for name, plot in plots.items()}
    path.write_text(json.dumps(lists), encoding="utf-8")
    return FileRecord.of(path.read_bytes())


def export(model: SupervisedModel, data: Dataset) -> tuple[bytes, Parity]:
    """Return the trained model as ONNX, and how it compares with the original.

    Raises:
        TrainingRefused: it cannot be exported, or the two differ.

    """
    try:
        content = model.export()
    except ImportError:
        raise
    except Exception as error:  # a converter may raise anything
        raise TrainingRefused(
            f"the trained estimator cannot be exported to ONNX ({_in_short(error)}). Try other steps, or let the model "
            "bring its own export"
        ) from error
    try:
        parity = compare(model, OnnxModel(content, model.output).compute, data.X)
    except ValueError as error:
        raise TrainingRefused(
            f"the trained model fails on a row that Features accepts ({_in_short(error)}). Let it take all that may "
            'come: OneHotEncoder, for instance, with handle_unknown="ignore"'
        ) from error
    if not parity.passed:
        raise TrainingRefused(
            f"the exported model differs from the original on {parity.rows} rows: {parity.label_differences} labels, "
            f"outputs by up to {parity.largest_difference:.1e} (at most {parity.tolerance:.0e} is accepted), "
            f"most on {parity.worst_row}. {_advice(parity)}"
        )
    return content, parity


def _in_short(error: Exception) -> str:
    """Return the first line of what an error says, at most 200 characters of it."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"


def _advice(parity: Parity) -> str:
    """Say what often makes such a difference."""
    if any(value != value for value in parity.worst_row):  # noqa: PLR0124 - only NaN differs from itself
        return "There a value is missing: fill missing values in before the estimator, with a SimpleImputer"
    return "Try another estimator, or leave out what scales, calibrates or takes codes for categories"


def write_model(directory: Path, model: SupervisedModel, content: bytes | None) -> dict[str, FileRecord]:
    """Write a model, original and exported (if it is), to an empty directory; return the record of each file.

    Raises:
        TrainingRefused: the original cannot be saved.

    """
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    if content is not None:
        (directory / "model.onnx").write_bytes(content)
    try:
        model.save(directory / "model.joblib")
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TrainingRefused(
            f"the trained estimator cannot be saved with joblib ({error}). Functions that it holds must stand at the "
            "top level of a module"
        ) from error
    return {path.name: FileRecord.of(path.read_bytes()) for path in sorted(directory.iterdir())}

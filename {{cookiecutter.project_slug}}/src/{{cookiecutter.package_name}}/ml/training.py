"""One training, from data to a candidate version: fit, evaluate, export, prove the export equal, write it all down."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import Model
from .base import Dataset
from .download import Archive
from .evaluation import confusion, evaluate, histograms
from .export import Parity, compare
from .manifest import FILE_NAME, DatasetRecord, FileRecord, Manifest, git_commit, library_versions, now
from .onnx import OnnxClassifier

TEST_SHARE = 0.2
"""Share of the examples that is held back to evaluate the model."""
SPLIT_SEED = 0
"""Seed of that choice. It is not a hyperparameter, so that versions are compared on the same examples."""
FEWEST_EXAMPLES = 5
"""Examples that every class needs, so that some are left to evaluate it on."""


class TrainingRefused(ValueError):
    """The trained model may not serve."""


def train_candidate(
    directory: Path, hyperparameters: Mapping[str, Any], archive: Archive | None, report: Callable[[float, str], None]
) -> dict[str, float]:
    """Train a model and write it, with its manifest, to `directory`; its name is the run's identifier.

    Args:
        directory: Where to write; what an earlier, interrupted run left there is removed.
        hyperparameters: What to vary, checked against `Model.Hyperparameters`.
        archive: Where to download the examples; None for the bundled ones.
        report: Called with the share done (0 to 1) and what comes next.

    Returns:
        The metrics on the held-back examples.

    Raises:
        TrainingRefused: the exported model differs from the original.
        ValueError: the hyperparameters or the data are not acceptable.

    """
    model = Model(Model.Hyperparameters(**hyperparameters))
    report(0.0, "reading the data")
    data = Model.dataset(archive.fetch() if archive else None)
    check(data)
    training, test = split(data)
    report(0.1, "training")
    model.train(training)
    report(0.7, "exporting")
    content, parity = export(model, data)
    report(0.9, "evaluating and writing")
    answer = model.predict(test.X)
    files = write_model(directory, model, content)
    manifest = Manifest(
        model=model.name,
        run=directory.name,
        created_at=now(),
        files=files,
        features=model.Features.model_json_schema(),
        labels=list(model.labels),
        hyperparameters=model.hyperparameters.model_dump(),
        metrics=evaluate(answer, test.y),
        confusion=confusion(answer, test.y),
        parity=parity,
        dataset=DatasetRecord(
            source=data.source, fingerprint=data.fingerprint, training_rows=len(training.y), test_rows=len(test.y)
        ),
        reference=histograms(training.X, model.Features.names()),
        git_commit=git_commit(),
        libraries=library_versions(),
    )
    (directory / FILE_NAME).write_text(manifest.model_dump_json(indent=2), encoding="utf-8")
    report(1.0, "trained")
    return manifest.metrics


def export(model: Model, data: Dataset) -> tuple[bytes, Parity]:
    """Return the trained model as ONNX, and how it compares with the original.

    Raises:
        TrainingRefused: the two differ.

    """
    content = model.export()
    parity = compare(model, OnnxClassifier(content), data.X)
    if not parity.passed:
        raise TrainingRefused(
            f"the exported model differs from the original on {parity.rows} rows: {parity.label_differences} labels, "
            f"probabilities by up to {parity.largest_difference:.1e} (at most {parity.tolerance:.0e} is accepted), "
            f"most on {parity.worst_row}. Try another estimator, or leave out what scales or calibrates it"
        )
    return content, parity


def write_model(directory: Path, model: Model, content: bytes) -> dict[str, FileRecord]:
    """Write a model, original and exported, to an empty directory; return the record of each file."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "model.onnx").write_bytes(content)
    model.save(directory / "model.joblib")
    return {name: FileRecord.of((directory / name).read_bytes()) for name in ("model.joblib", "model.onnx")}


def check(data: Dataset) -> None:
    """Make sure that the examples are what `Features` and `labels` promise: a model learns nonsense without complaint.

    Raises:
        ValueError: they are not; the message says where.

    """
    names, bounds = Model.Features.names(), Model.Features.bounds()
    if data.X.ndim != 2 or data.X.shape != (len(data.y), len(names)):  # noqa: PLR2004 - rows and columns
        raise ValueError(f"the examples must have {len(names)} features and a label each; X is {data.X.shape}")
    wrong = np.argwhere(~((bounds[0].astype(np.float32) <= data.X) & (bounds[1].astype(np.float32) >= data.X)))
    if len(wrong):
        row, column = wrong[0]
        low, high = bounds[:, column]
        raise ValueError(
            f"{names[column]} of example {row} (counted from 0) is not from {low:g} to {high:g}, as Features promises"
        )
    counts = np.bincount(data.y, minlength=len(Model.labels)) if (data.y >= 0).all() else np.array([])
    if len(counts) != len(Model.labels):
        raise ValueError(f"y must hold indices of the {len(Model.labels)} labels")
    rare = [label for label, count in zip(Model.labels, counts, strict=True) if count < FEWEST_EXAMPLES]
    if rare:
        raise ValueError(f"there are fewer than {FEWEST_EXAMPLES} examples of {', '.join(rare)}")


def split(data: Dataset) -> tuple[Dataset, Dataset]:
    """Hold back a share of the examples, every class in proportion; return those to learn from and those held back."""
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(data.y))
    training, test = train_test_split(rows, test_size=TEST_SHARE, random_state=SPLIT_SEED, stratify=data.y)
    return (
        Dataset(data.X[training], data.y[training], data.source),
        Dataset(data.X[test], data.y[test], data.source),
    )

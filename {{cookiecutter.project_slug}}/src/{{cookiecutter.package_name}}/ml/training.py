"""One training, from data to a candidate version: fit, evaluate, export, prove the export equal, write it all down."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import Model
from .base import Dataset
from .evaluation import confusion, evaluate, histograms
from .export import compare
from .manifest import FILE_NAME, DatasetRecord, FileRecord, Manifest, git_commit, library_versions, now, write_durably
from .onnx import OnnxClassifier

TEST_SHARE = 0.2
"""Share of the examples that is held back to evaluate the model."""


class TrainingRefused(ValueError):
    """The trained model may not serve."""


def train_candidate(
    directory: Path,
    hyperparameters: Mapping[str, Any],
    *,
    url: str | None = None,
    sha256: str | None = None,
    cache: Path,
    report: Callable[[float, str], None],
) -> dict[str, float]:
    """Train a model and write it, with its manifest, to `directory`; its name is the run's identifier.

    Args:
        directory: Where to write; what an earlier, interrupted run left there is removed.
        hyperparameters: What to vary, checked against `Model.Hyperparameters`.
        url: Where to download the examples; the bundled ones if None.
        sha256: Digest of that download.
        cache: Where downloads are kept.
        report: Called with the share done (0 to 1) and what comes next.

    Returns:
        The metrics on the held-back examples.

    Raises:
        TrainingRefused: the exported model differs from the original.
        ValueError: the hyperparameters or the data are not acceptable.

    """
    model = Model(Model.Hyperparameters(**hyperparameters))
    report(0.0, "reading the data")
    data = _read(url, sha256, cache)
    training, test = split(data, model.hyperparameters.seed)
    report(0.1, "training")
    model.train(training)
    report(0.7, "evaluating")
    answer = model.predict(test.X)
    report(0.8, "exporting")
    content = model.export()
    parity = compare(model, OnnxClassifier(content), data.X)
    if not parity.passed:
        raise TrainingRefused(
            f"the exported model differs from the original on {parity.rows} rows: {parity.label_differences} labels, "
            f"probabilities by up to {parity.largest_difference:.1e} (at most {parity.tolerance:.0e} is accepted)"
        )
    report(0.9, "writing")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    write_durably(directory / "model.onnx", content)
    model.save(directory / "model.joblib")
    manifest = Manifest(
        model=model.name,
        run=directory.name,
        created_at=now(),
        files={name: FileRecord.of((directory / name).read_bytes()) for name in ("model.joblib", "model.onnx")},
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
    write_durably(directory / FILE_NAME, manifest.model_dump_json(indent=2).encode())
    report(1.0, "trained")
    return manifest.metrics


def _read(url: str | None, sha256: str | None, cache: Path) -> Dataset:
    """Read the examples, bundled or downloaded."""
    if url is None or sha256 is None:
        return Model.dataset()
    from .download import fetch

    return Model.dataset(fetch(url, sha256, cache))


def split(data: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Hold back a share of the examples, every class in proportion; return those to learn from and those held back.

    Raises:
        ValueError: a class has too few examples to be in both parts.

    """
    from sklearn.model_selection import train_test_split

    rows = np.arange(len(data.y))
    training, test = train_test_split(rows, test_size=TEST_SHARE, random_state=seed, stratify=data.y)
    return (
        Dataset(data.X[training], data.y[training], data.source),
        Dataset(data.X[test], data.y[test], data.source),
    )

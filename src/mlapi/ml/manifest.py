"""The record that is kept with every trained version: what it is, how it was made and how good it is."""

import inspect
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from .base import Interval
from .parity import Parity

FILE_NAME = "manifest.json"
"""Name of the record in a version's directory."""


class Record(BaseModel):
    """Base of the parts of a manifest."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class FileRecord(Record):
    """What a file of the version must be."""

    sha256: str
    """Digest of its content, 64 hexadecimal digits."""
    size: int
    """Its length in bytes."""

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Describe a file with this content."""
        return cls(sha256=sha256(content).hexdigest(), size=len(content))


class DatasetRecord(Record):
    """The examples a version was trained and evaluated on."""

    source: str
    """Where they come from."""
    fingerprint: str
    """SHA-256 of all values."""
    training_rows: int
    """Examples it learned from."""
    test_rows: int
    """Examples held back to evaluate it."""


class Manifest(Record):
    """What a version is, how it was made and how good it is."""

    model: str
    """Name of the model."""
    run: str
    """Identifier of the training that made this version."""
    created_at: datetime
    """When it was trained, in UTC."""
    files: dict[str, FileRecord]
    """The version's files by name."""
    features: dict[str, Any]
    """JSON Schema of one row of input."""
    kind: Literal["classification", "regression"] = "classification"
    """What it predicts: a class or a value."""
    runtime: Literal["onnx", "joblib"] = "onnx"
    """What serves it: `onnx` computes `model.onnx`; `joblib` loads `model.joblib`, which runs code."""
    labels: list[str]
    """Names of the classes, in the order of their index; none if it predicts values."""
    hyperparameters: dict[str, Any]
    """What this training varied, the seed included."""
    metrics: dict[str, float]
    """How good it is on the held-back examples."""
    score: str = "balanced_accuracy"
    """The metric that versions are compared by; higher is better."""
    interval: Interval | None = None
    """How far a predicted value may be off; none if it predicts classes."""
    parity: Parity | None = None
    """How the exported model compares with the original; none if the original serves: there is nothing to compare."""
    dataset: DatasetRecord
    """The examples."""
    reference: dict[str, dict[str, list[float]]]
    """Distribution in training of each feature, or of the texts' lengths, which drift is measured against."""
    git_commit: str | None
    """Commit of the code that trained it, `-dirty` if changed since; none outside a git checkout."""
    libraries: dict[str, str]
    """Versions of the libraries that made it."""

    def predicts(self) -> tuple[str, list[tuple[str, list[str]]], list[str]]:
        """Return the kind, the features in order, each with the choices it has, and the classes.

        Versions that differ in these are not alike.
        """
        features = [(name, _choices(schema)) for name, schema in self.features["properties"].items()]
        return self.kind, features, self.labels


def _choices(schema: Mapping[str, Any]) -> list[str]:
    """Return the words that a feature may be, from its JSON Schema; none for a number or a text."""
    of = next((one for one in schema.get("anyOf", []) if one.get("type") != "null"), schema)
    return [str(word) for word in of.get("enum", [of["const"]] if "const" in of else [])]


def now() -> datetime:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def library_versions(estimator: Any) -> dict[str, str]:
    """Return the versions of the libraries that decide what a trained model computes, its estimator's among them."""
    module = type(estimator).__module__.partition(".")[0]
    names = {"joblib", "numpy", "onnxruntime", "scikit-learn", "skl2onnx", *packages_distributions().get(module, ())}
    return {name: version(name) for name in sorted(names)}


def git_commit(model: type) -> str | None:
    """Return the commit of the code that a class stands in."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        here = Path(inspect.getfile(model)).parent
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, cwd=here)  # noqa: S603
    except (OSError, TypeError, subprocess.SubprocessError):  # a class of a notebook has no file
        return None
    return done.stdout.strip()

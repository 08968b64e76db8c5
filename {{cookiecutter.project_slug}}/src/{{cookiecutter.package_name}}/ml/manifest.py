"""The record that is kept with every trained version: what it is, how it was made and how good it is."""

import subprocess
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from .export import Parity

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
    labels: list[str]
    """Names of the classes, in the order of their index."""
    hyperparameters: dict[str, Any]
    """What this training varied, the seed included."""
    metrics: dict[str, float]
    """How good it is on the held-back examples."""
    confusion: list[list[int]]
    """How often each class (outer list) was taken for each class (inner list), on the held-back examples."""
    parity: Parity
    """How the exported model compares with the original."""
    dataset: DatasetRecord
    """The examples."""
    reference: dict[str, dict[str, list[float]]]
    """Distribution of each feature in training, which drift is measured against."""
    git_commit: str | None
    """Commit of the code that trained it, `-dirty` if changed since; none outside a git checkout."""
    libraries: dict[str, str]
    """Versions of the libraries that made it."""

    def predicts(self) -> tuple[list[str], list[str]]:
        """Return the names of the features, in order, and of the classes; versions that differ here are not alike."""
        return list(self.features["properties"]), self.labels


def now() -> datetime:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide what a trained model computes."""
    return {name: version(name) for name in ("numpy", "onnxruntime", "scikit-learn", "skl2onnx")}


def git_commit() -> str | None:
    """Return the commit of this code."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        here = Path(__file__).parent
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10, cwd=here)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

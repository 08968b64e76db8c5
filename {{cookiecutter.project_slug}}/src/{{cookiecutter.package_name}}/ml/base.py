"""What a model is: its features, its hyperparameters, its data and its estimator.

Training imports (scikit-learn, joblib) stand inside the methods that train: the serving process imports these modules
for `Features` and `labels`, and must stay small and quick to start.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from . import features


@dataclass(frozen=True)
class Dataset:
    """Examples to learn from."""

    X: NDArray[np.float32]
    """Feature values, one row an example, columns in the order of `Features.names()`; shape (rows, features)."""
    y: NDArray[np.int64]
    """Index into `labels` of each example's class; shape (rows,)."""
    source: str
    """Where the examples come from, for the record."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the values, 64 hexadecimal digits: equal for equal data."""
        return sha256(self.X.tobytes() + self.y.tobytes()).hexdigest()


@dataclass(frozen=True)
class Classes:
    """A classifier's answer for some rows."""

    index: NDArray[np.int64]
    """Index into `labels` of the most probable class; shape (rows,)."""
    probability: NDArray[np.float32]
    """Probability of each class, each row adding up to 1; shape (rows, classes)."""


class Hyperparameters(BaseModel):
    """What a training may vary. Subclass it; give every field a default, limits and a sentence on its meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of every random choice: the same seed and data give the same model."""


class Classifier(ABC):
    """A model that tells classes apart. A subclass says what is special about it; training and saving stand here."""

    name: ClassVar[str]
    """Name in the registry and in answers: lower-case letters, digits and dashes."""
    labels: ClassVar[tuple[str, ...]]
    """Names of the classes, in the order of their index."""
    Features: ClassVar[type[features.Features]]
    """One row of input."""
    Hyperparameters: ClassVar[type[Hyperparameters]]
    """What a training may vary."""

    hyperparameters: Any
    """What this training varies, an instance of `Hyperparameters`."""

    def __init__(self, hyperparameters: BaseModel | None = None) -> None:
        self.hyperparameters = hyperparameters or self.Hyperparameters()
        self.estimator: Any = None

    @classmethod
    @abstractmethod
    def dataset(cls, archive: Path | None = None) -> Dataset:
        """Read the examples: from a downloaded and unpacked CSV file if one is given, else the bundled ones.

        Raises:
            ValueError: the file does not hold what `Features` and `labels` promise.

        """

    @abstractmethod
    def build(self) -> Any:
        """Return a new scikit-learn estimator with these hyperparameters, not yet trained."""

    def train(self, data: Dataset) -> Self:
        """Fit a new estimator to the examples."""
        self.estimator = self.build().fit(data.X, data.y)
        return self

    def predict(self, X: NDArray[np.float32]) -> Classes:
        """Return the most probable class and all probabilities of each row of `X`; shape (rows, features)."""
        probability = self.estimator.predict_proba(X).astype(np.float32)
        return Classes(index=probability.argmax(axis=1), probability=probability)

    def save(self, path: Path) -> None:
        """Write hyperparameters and trained estimator with joblib. Serving reads the ONNX export instead."""
        import joblib

        joblib.dump({"hyperparameters": self.hyperparameters.model_dump(), "estimator": self.estimator}, path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Unpickling runs code: load only files you trust."""
        import joblib

        content = joblib.load(path)
        model = cls(cls.Hyperparameters(**content["hyperparameters"]))
        model.estimator = content["estimator"]
        return model

    def export(self) -> bytes:
        """Return the trained estimator as an ONNX model with an output `probabilities`: float32, (rows, classes).

        Override it for an estimator that scikit-learn's converter does not know.
        """
        from .export import sklearn_to_onnx

        return sklearn_to_onnx(self.estimator, self.name, len(self.Features.names()))

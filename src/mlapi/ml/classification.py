"""Models that tell classes apart."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from .base import Interval, SupervisedModel, Words
from .parity import TOLERANCE

FEWEST_EXAMPLES = 5
"""Examples that every class needs, so that some are left to evaluate it on."""


@dataclass(frozen=True)
class Classes:
    """A classifier's answer for some rows."""

    index: NDArray[np.int64]
    """Index into `labels` of the most probable class; shape (rows,)."""
    probability: NDArray[np.float32]
    """Probability of each class, each row adding up to 1; shape (rows, classes)."""
    labels: tuple[str, ...]
    """Names of the classes, in the order of their index."""

    @property
    def finite(self) -> bool:
        """Whether every probability is finite."""
        return bool(np.isfinite(self.probability).all())

    @property
    def prediction(self) -> NDArray[np.int64]:
        """The index of each row's most probable class; shape (rows,)."""
        return self.index

    def disagrees(self, other: "Classes") -> NDArray[np.bool_]:
        """Tell for which rows another answer names another class; shape (rows,)."""
        return np.asarray(self.index != other.index)

    def columns(self) -> dict[str, NDArray[Any] | Words]:
        """Return the most probable class of each row and the probabilities of all, each of shape (rows,)."""
        probabilities = zip(self.labels, self.probability.T, strict=True)
        return {
            "label": Words(self.index, self.labels),
            **{f"probability_{label}": column for label, column in probabilities},
        }

    def lists(self) -> dict[str, list[Any]]:
        """Return the fields of `Predictions`."""
        index = self.index.tolist()
        return {
            "prediction": index,
            "label": [self.labels[i] for i in index],
            "probability": self.probability.tolist(),
        }


class Classifier(SupervisedModel):
    """A model that tells classes apart. Its ONNX export has an output `probabilities`: float32, (rows, classes)."""

    kind = "classification"
    output = "probabilities"
    score = "balanced_accuracy"

    labels: ClassVar[tuple[str, ...]]
    """Names of the classes, in the order of their index."""

    class Predictions(BaseModel):
        """The predictions, one for each row and in the same order."""

        model_config = ConfigDict(use_attribute_docstrings=True)

        prediction: list[int]
        """Index of the most probable class of each row."""
        label: list[str]
        """Name of that class."""
        probability: list[list[float]]
        """Probability of every class for each row, 0 to 1, in the order of the labels."""

    def compute(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Return the probability of each class; shape (rows, classes)."""
        return np.asarray(self.estimator.predict_proba(X), dtype=np.float32)

    def predict(self, X: NDArray[Any]) -> Classes:
        """Return the most probable class and all probabilities of each row of `X`; shape (rows, features)."""
        return self.answer(self.compute(X))

    @classmethod
    def answer(cls, output: NDArray[np.float32], _interval: Interval | None = None) -> Classes:
        """Read the probabilities of some rows; raise `ValueError` if there are not as many as classes."""
        if output.ndim != 2 or output.shape[1] != len(cls.labels):  # noqa: PLR2004 - rows and columns
            raise ValueError(f"does not tell {len(cls.labels)} classes apart")
        return Classes(output.argmax(axis=1), output, cls.labels)

    @classmethod
    def example_answer(cls) -> Classes:
        """Return an answer that is sure of the first class."""
        return cls.answer(np.eye(1, len(cls.labels), dtype=np.float32))

    @classmethod
    def read_target(cls, cell: str) -> int:
        """Return the index of a label."""
        if cell not in cls.labels:
            raise ValueError(f"must be one of {', '.join(cls.labels)}")
        return cls.labels.index(cell)

    @classmethod
    def check_targets(cls, y: NDArray[np.int64]) -> None:
        """Make sure that every class has enough examples, and that there are no other classes."""
        counts = np.bincount(y, minlength=len(cls.labels)) if (y >= 0).all() else np.array([])
        if len(counts) != len(cls.labels):
            raise ValueError(f"y must hold indices of the {len(cls.labels)} labels")
        rare = [label for label, count in zip(cls.labels, counts, strict=True) if count < FEWEST_EXAMPLES]
        if rare:
            raise ValueError(f"there are fewer than {FEWEST_EXAMPLES} examples of {', '.join(rare)}")

    @classmethod
    def strata(cls, y: NDArray[Any]) -> NDArray[Any]:
        """Return the classes: each is held back in proportion."""
        return y

    @classmethod
    def evaluate(
        cls, output: NDArray[np.float32], y: NDArray[np.int64], _interval: Interval | None = None
    ) -> dict[str, float]:
        """Compare probabilities with the true classes.

        Returns:
            `accuracy`, `balanced_accuracy` and `macro_f1`, each 0 to 1 with 1 the best, and `log_loss` in nats, 0 the
            best.

        """
        from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, log_loss

        index, classes = output.argmax(axis=1), np.arange(output.shape[1])
        probability = output.astype(np.float64)  # float32 adds up to 1 only nearly
        return {
            "accuracy": float(accuracy_score(y, index)),
            "balanced_accuracy": float(balanced_accuracy_score(y, index)),
            "macro_f1": float(f1_score(y, index, average="macro", labels=classes, zero_division=0)),
            "log_loss": float(log_loss(y, probability / probability.sum(axis=1, keepdims=True), labels=classes)),
        }

    @classmethod
    def differences(
        cls, ours: NDArray[np.float32], theirs: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the largest difference of a probability in each row, and whether the most probable classes differ.

        Two classes that are equally probable within the tolerance are a tie, of which either is a right answer.
        """
        second, first = np.sort(ours, axis=1)[:, -2:].T
        other = (ours.argmax(axis=1) != theirs.argmax(axis=1)) & (first - second > TOLERANCE)
        return np.abs(ours.astype(np.float64) - theirs).max(axis=1), other


def confusion(output: NDArray[np.float32], y: NDArray[np.int64]) -> list[list[int]]:
    """Count how often each class (outer list) was taken for each class (inner list)."""
    counts = np.zeros((output.shape[1],) * 2, dtype=int)
    np.add.at(counts, (y, output.argmax(axis=1)), 1)
    return [[int(count) for count in row] for row in counts]

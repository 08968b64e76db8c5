"""What a model is: its features, its hyperparameters, its data and its estimator.

`classification` and `regression` say what the two kinds of models have of their own. Training imports (scikit-learn,
joblib) stand inside the methods that train: the serving process imports these modules for `Features` and what answers
look like, and must stay small and quick to start.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, Protocol, Self, get_origin

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from . import features
from .table import read_examples


@dataclass(frozen=True)
class Dataset:
    """Examples to learn from."""

    X: NDArray[Any]
    """Feature values, one row an example, as `Features.matrix` returns them; shape (rows, features)."""
    y: NDArray[Any]
    """What is to be predicted: a class's index into `labels` (int64) or a value (float64); shape (rows,)."""
    source: str
    """Where the examples come from, for the record."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the values, 64 hexadecimal digits: equal for equal data."""
        values = "\0".join(map(str, self.X.ravel())).encode() if self.X.dtype == object else self.X.tobytes()
        return sha256(values + self.y.tobytes()).hexdigest()

    def rows(self, chosen: NDArray[np.int64]) -> "Dataset":
        """Return the examples at these places."""
        return Dataset(self.X[chosen], self.y[chosen], self.source)


@dataclass(frozen=True)
class Words:
    """A column of words of which there are few, so that each is kept once."""

    index: NDArray[np.int64]
    """Which of the words stands in each row; shape (rows,)."""
    among: tuple[str, ...]
    """The words."""

    def __len__(self) -> int:
        return len(self.index)

    def tolist(self) -> list[str]:
        """Return the word of each row."""
        return [self.among[index] for index in self.index.tolist()]


Lists = Mapping[str, list[Any]]
"""The fields of a model's `Predictions`, one element a row."""


class Answer(Protocol):
    """A model's answer for some rows."""

    @property
    def finite(self) -> bool:
        """Whether every number in it is finite."""

    @property
    def prediction(self) -> NDArray[Any]:
        """The index of each row's class, or its value; shape (rows,)."""

    def disagrees(self, other: Any) -> NDArray[np.bool_]:
        """Tell for which rows another answer of this kind says something else; shape (rows,)."""

    def columns(self) -> Mapping[str, NDArray[Any] | Words]:
        """Return what is added to a table that is scored: the values of each new column, shape (rows,)."""

    def lists(self) -> Lists:
        """Return what the API answers: the fields of the model's `Predictions`, one element a row."""


class Hyperparameters(BaseModel):
    """What a training may vary. Subclass it; give every field a default, limits and a sentence on its meaning."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of every random choice: the same seed and data give the same model."""


class Interval(BaseModel):
    """How far a predicted value may be off: a prediction interval is the value plus and minus `half_width`."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    half_width: float
    """Half the width of the interval, in the unit of what is predicted."""
    coverage: float
    """Share of true values, 0 to 1, that such intervals are made to contain."""
    examples: int
    """Examples that the width was measured on, none of which the estimator learned from."""


class SupervisedModel(ABC):
    """A model that learns from examples, of one of two kinds: `Classifier` or `Regressor`. Subclass one of these."""

    kind: ClassVar[Literal["classification", "regression"]]
    """What it predicts: a class or a value."""
    output: ClassVar[str]
    """Name of the output that its ONNX export has."""
    runtime: ClassVar[Literal["onnx", "joblib"]] = "onnx"
    """What answers in the service: `onnx`, the export; or `joblib`, the estimator itself, if it cannot be exported.

    The latter serves only where the setting `allow_pickle` says so: loading it runs code.
    """
    score: ClassVar[str]
    """The metric, higher is better and 1 the best, that decides whether a new version may replace the champion."""
    name: ClassVar[str]
    """Name in the registry and in answers: lower-case letters, digits and dashes."""
    target: ClassVar[str]
    """What is predicted, as the column of a table of examples is called."""
    labels: ClassVar[tuple[str, ...]] = ()
    """Names of the classes, in the order of their index; none for a model that predicts values."""
    Features: ClassVar[type[features.Features]]
    """One row of input."""
    Hyperparameters: ClassVar[type[Hyperparameters]] = Hyperparameters
    """Class of its hyperparameters; by default they are the seed alone."""
    Predictions: ClassVar[type[BaseModel]]
    """The fields of an answer, each a list with one element a row."""

    hyperparameters: Any
    """What this training varies, an instance of `Hyperparameters`."""

    def __init__(self, hyperparameters: BaseModel | None = None) -> None:
        self.hyperparameters = hyperparameters or self.Hyperparameters()
        self.estimator: Any = None
        self.interval: Interval | None = None

    @classmethod
    def lacking(cls) -> list[str]:
        """Name what every model of its kind must say of itself and this one does not: class variables not set."""
        declared = {name: kind for base in cls.__mro__ for name, kind in inspect.get_annotations(base).items()}
        return [name for name, kind in declared.items() if get_origin(kind) is ClassVar and not hasattr(cls, name)]

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

    @classmethod
    def read_table(cls, path: Path, *, header: Mapping[str, str] | None = None, missing: Sequence[str] = ()) -> Dataset:
        """Read examples from a UTF-8 CSV file with the columns of `Features` and one called as `target` says.

        Args:
            path: The file. Its other columns are passed over.
            header: What the column of a feature is called, for those called otherwise than the feature.
            missing: What stands for a missing value, such as `NA`, beside an empty cell.

        Raises:
            ValueError: a cell is not acceptable; the message says in which line and column.

        """
        X, y = read_examples(path, cls.Features, cls.target, cls.read_target, header=header, missing=missing)
        return Dataset(X, y, source=path.name)

    def train(self, data: Dataset) -> Self:
        """Fit a new estimator to the examples."""
        self.estimator = self.build().fit(data.X, data.y)
        return self

    @abstractmethod
    def compute(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Return what the ONNX export computes as `output`, computed by the estimator itself."""

    @classmethod
    @abstractmethod
    def answer(cls, output: NDArray[np.float32], interval: Interval | None = None) -> Answer:
        """Read the computed `output` of some rows.

        Raises:
            ValueError: its shape is not what this model computes.

        """

    @classmethod
    @abstractmethod
    def example_answer(cls) -> Answer:
        """Return what an answer for one row looks like, for the documentation."""

    @classmethod
    @abstractmethod
    def read_target(cls, cell: str) -> float:
        """Read the cell of a table that holds what is to be predicted.

        Raises:
            ValueError: it holds something else; the message goes on after the column's name.

        """

    @classmethod
    @abstractmethod
    def check_targets(cls, y: NDArray[Any]) -> None:
        """Make sure that the examples' targets are what this model predicts.

        Raises:
            ValueError: they are not.

        """

    @classmethod
    def strata(cls, _y: NDArray[Any]) -> NDArray[Any] | None:
        """Return the group of each example, if those held back shall hold all groups in proportion; shape (rows,)."""
        return None

    @classmethod
    @abstractmethod
    def evaluate(
        cls, output: NDArray[np.float32], y: NDArray[Any], interval: Interval | None = None
    ) -> dict[str, float]:
        """Compare what was computed with the truth; return the metrics, `score` among them."""

    @classmethod
    @abstractmethod
    def differences(
        cls, ours: NDArray[np.float32], theirs: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Compare two outputs for the same rows.

        Returns:
            How far apart they are, on a scale where 1 is everything, and whether they name different classes; each of
            shape (rows,).

        """

    def save(self, path: Path) -> None:
        """Write hyperparameters and trained estimator with joblib. A service reads it if `runtime` says so only."""
        import joblib

        content = {"hyperparameters": self.hyperparameters, "estimator": self.estimator, "interval": self.interval}
        joblib.dump(
            {name: part.model_dump() if isinstance(part, BaseModel) else part for name, part in content.items()}, path
        )

    @classmethod
    def load(cls, source: Path | BinaryIO) -> Self:
        """Read what `save` wrote, from a path or an open file. Unpickling runs code: load only files you trust."""
        import joblib

        content = joblib.load(source)
        model = cls(cls.Hyperparameters(**content["hyperparameters"]))
        model.estimator = content["estimator"]
        model.interval = None if content["interval"] is None else Interval(**content["interval"])
        return model

    def export(self) -> bytes:
        """Return the trained estimator as an ONNX model with an input `X` and an output called as `output` says.

        Override it for an estimator that scikit-learn's converter does not know; `export.to_bytes` finishes a graph.
        """
        from .export import sklearn_to_onnx

        return sklearn_to_onnx(self)

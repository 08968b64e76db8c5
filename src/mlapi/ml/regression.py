"""Models that predict a value, and how far it may be off."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from .base import Dataset, Interval, SupervisedModel
from .table import to_number

CALIBRATION_SHARE = 0.25
"""Share of the examples to learn from that the interval is measured on instead."""
CALIBRATION_SEED = 1
"""Seed of that choice. It is not a hyperparameter, so that versions are measured on the same examples."""
FEWEST_EXAMPLES = 50
"""Examples needed: fewer would leave too few to measure the interval on."""


@dataclass(frozen=True)
class Values:
    """A regressor's answer for some rows."""

    value: NDArray[np.float64]
    """The predicted values; shape (rows,)."""
    half_width: float
    """How far each may be off; see `Interval`."""
    lowest: float = -np.inf
    """The least value that is possible, where an interval ends at the latest."""

    @property
    def finite(self) -> bool:
        """Whether every value is finite."""
        return bool(np.isfinite(self.value).all())

    @property
    def prediction(self) -> NDArray[np.float64]:
        """The predicted values; shape (rows,)."""
        return self.value

    def disagrees(self, other: "Values") -> NDArray[np.bool_]:
        """Tell for which rows another answer's value lies outside this one's interval; shape (rows,)."""
        return np.asarray(np.abs(self.value - other.value) > self.half_width)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Return value and interval of each row, each of shape (rows,)."""
        return {
            "prediction": self.value,
            "lower": np.maximum(self.value - self.half_width, self.lowest),
            "upper": self.value + self.half_width,
        }

    def lists(self) -> dict[str, list[Any]]:
        """Return the fields of `Predictions`."""
        return {name: column.tolist() for name, column in self.columns().items()}


class Regressor(SupervisedModel):
    """A model that predicts a value. Its ONNX export has an output `values`: float32, (rows, 1) or (rows,)."""

    kind = "regression"
    output = "values"
    score = "r2"

    unit: ClassVar[str]
    """Unit of measurement of what is predicted, such as `EUR`."""
    typical: ClassVar[float]
    """A typical value of it, shown in the documentation."""
    lowest: ClassVar[float] = -np.inf
    """The least value that is possible, such as 0 for a price: no interval goes below it."""
    coverage: ClassVar[float] = 0.9
    """Share of true values, 0 to 1, that the prediction intervals are to contain."""

    class Predictions(BaseModel):
        """The predictions, one for each row and in the same order."""

        model_config = ConfigDict(use_attribute_docstrings=True)

        prediction: list[float]
        """The predicted value of each row."""
        lower: list[float]
        """Lower end of its prediction interval."""
        upper: list[float]
        """Upper end of its prediction interval: nine in ten true values lie between the two."""

    def train(self, data: Dataset) -> Self:
        """Fit a new estimator to most of the examples, and measure on the others how far it may be off.

        That is split conformal prediction (H. Papadopoulos et al., "Inductive confidence machines for regression",
        ECML 2002; J. Lei et al., "Distribution-free predictive inference for regression", JASA 113, 2018): for new
        examples from the same source the intervals contain the true value at least as often as `coverage` says.
        """
        from sklearn.model_selection import train_test_split

        learned, calibration = train_test_split(
            np.arange(len(data.y)), test_size=CALIBRATION_SHARE, random_state=CALIBRATION_SEED
        )
        super().train(data.rows(learned))
        off = np.sort(np.abs(self.compute(data.X[calibration]).astype(np.float64) - data.y[calibration]))
        rank = min(int(np.ceil((len(off) + 1) * self.coverage)), len(off))
        self.interval = Interval(half_width=float(off[rank - 1]), coverage=self.coverage, examples=len(off))
        return self

    def compute(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Return the predicted values; shape (rows,)."""
        return np.asarray(self.estimator.predict(X), dtype=np.float32).reshape(len(X))

    def predict(self, X: NDArray[Any]) -> Values:
        """Return value and interval of each row of `X`; shape (rows, features)."""
        return self.answer(self.compute(X), self.interval)

    @classmethod
    def answer(cls, output: NDArray[np.float32], interval: Interval | None = None) -> Values:
        """Read the values of some rows; raise `ValueError` if there is not one a row, or no interval."""
        if output.ndim > 2 or output.size != len(output):  # noqa: PLR2004 - rows and one column
            raise ValueError("does not compute one value a row")
        if interval is None:
            raise ValueError("has no prediction interval")
        return Values(output.reshape(len(output)).astype(np.float64), interval.half_width, cls.lowest)

    @classmethod
    def example_answer(cls) -> Values:
        """Return an answer with the typical value."""
        return Values(np.array([cls.typical]), cls.typical / 4, cls.lowest)

    @classmethod
    def read_target(cls, cell: str) -> float:
        """Return a value."""
        return to_number(cell)

    @classmethod
    def check_targets(cls, y: NDArray[np.float64]) -> None:
        """Make sure that there are enough examples, all finite and not all the same."""
        if len(y) < FEWEST_EXAMPLES:
            raise ValueError(f"there are {len(y)} examples; {FEWEST_EXAMPLES} are needed")
        if not np.isfinite(y).all():
            first = np.isfinite(y).argmin()
            raise ValueError(f"{cls.target} of example {first} (counted from 0) is not a finite number")
        if not np.ptp(y) > 0:
            raise ValueError(f"{cls.target} is the same in all examples")

    @classmethod
    def evaluate(
        cls, output: NDArray[np.float32], y: NDArray[np.float64], interval: Interval | None = None
    ) -> dict[str, float]:
        """Compare values with the true ones.

        Returns:
            `r2`, 1 the best; `mean_absolute_error`, `median_absolute_error` and `root_mean_squared_error` in the
            target's unit, 0 the best; `interval_coverage`, the share of true values inside their intervals.

        """
        from sklearn.metrics import (
            mean_absolute_error,
            median_absolute_error,
            r2_score,
            root_mean_squared_error,
        )

        answer = cls.answer(output, interval)
        inside = np.abs(answer.value - y) <= answer.half_width
        return {
            "r2": float(r2_score(y, answer.value)),
            "mean_absolute_error": float(mean_absolute_error(y, answer.value)),
            "median_absolute_error": float(median_absolute_error(y, answer.value)),
            "root_mean_squared_error": float(root_mean_squared_error(y, answer.value)),
            "interval_coverage": float(inside.mean()),
        }

    @classmethod
    def differences(
        cls, ours: NDArray[np.float32], theirs: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return how far the values are apart, as a share of the largest magnitude among all; no row has a class."""
        largest = max(float(np.abs(ours).max(initial=0)), np.finfo(np.float32).tiny)
        apart = np.abs(ours.astype(np.float64) - theirs.reshape(len(ours))) / largest
        return apart, np.zeros(len(ours), dtype=bool)

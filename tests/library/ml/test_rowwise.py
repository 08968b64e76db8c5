import warnings
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestRegressor

from mlapi.ml.features import Features, category, number, text
from mlapi.ml.onnx import OnnxModel
from mlapi.ml.rowwise import ROWS, is_rowwise, spread


class Parcel(Features):
    """A parcel."""

    width: float = number(example=1, low=-2, high=2, unit="cm")
    """How wide it is."""
    weight: float = number(example=9e4, low=0, high=1e5, unit="g")
    """How heavy it is."""
    colour: Literal["red", "blue", "white"] = category(example="red")
    """What it looks like."""


class Remark(Features):
    """A text."""

    said: str = text(example="well", min_length=1, max_length=9)
    """What was said."""


X = spread(Parcel)


def test_the_rows_that_it_is_tried_on_differ_in_each_feature_and_are_acceptable() -> None:
    assert X.shape == (ROWS, 3)
    assert X.dtype == np.float32
    assert [len(np.unique(column)) for column in X.T] == [ROWS, ROWS, 3]
    low, high = Parcel.bounds()
    assert ((low <= X) & (high >= X)).all()


def test_a_model_of_trees_is_rowwise() -> None:
    estimator = RandomForestRegressor(20, random_state=0).fit(X, X[:, 0] * X[:, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        exported = to_onnx(estimator, X[:1], target_opset={"": 21, "ai.onnx.ml": 3})
    assert is_rowwise(OnnxModel(exported.SerializeToString(), "variable").compute, Parcel)


def alone_otherwise(X: NDArray[Any]) -> Any:
    """Add up the features in one order for a row alone, and in another for several."""
    a, b, c = (X / np.array([2, 1e5, 3], dtype=np.float32)).T
    return (a + b) + c if len(X) == 1 else a + (b + c)


def by_its_neighbours(X: NDArray[Any]) -> Any:
    return X - X.mean(axis=0)


def refuses(_X: NDArray[Any]) -> Any:
    raise ValueError("no such parcel")


@pytest.mark.parametrize("compute", [alone_otherwise, by_its_neighbours, refuses])
def test_a_model_is_not_if_a_bit_differs_or_it_cannot_be_tried(compute: Any) -> None:
    assert not is_rowwise(compute, Parcel)


def test_a_model_that_reads_texts_is_not_tried() -> None:
    assert not is_rowwise(refuses, Remark)

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestRegressor

from mlapi.ml import likeness, onnx
from mlapi.ml.likeness import alike
from mlapi.ml.onnx import MANY_ROWS, OnnxModel

ROWS = np.random.default_rng(0).normal(size=(1_000, 5)).astype(np.float32)


def forest(trees: int) -> OnnxModel:
    estimator = RandomForestRegressor(trees, random_state=0).fit(ROWS[:200], ROWS[:200, 0] * ROWS[:200, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        exported = to_onnx(estimator, ROWS[:1], target_opset={"": 21, "ai.onnx.ml": 3})
    return OnnxModel(exported.SerializeToString(), "variable")


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3e38, 0])
@pytest.mark.parametrize("features", [1, 5, 40])
def test_every_row_has_one_place_whatever_it_holds(odd: float, features: int) -> None:
    X = np.random.default_rng(1).normal(size=(300, features)).astype(np.float32)
    X[::7, 0] = odd
    X[:, -1] = odd
    assert sorted(alike(X)) == list(range(300))


def test_rows_that_are_alike_stand_together() -> None:
    kinds = np.array([[0, 0], [0, 9], [9, 0], [9, 9]], dtype=np.float32)
    order = alike(np.tile(kinds, (50, 1)))
    assert np.flatnonzero(np.diff(order % 4)).tolist() == [49, 99, 149]


def test_many_trees_compute_the_same_for_sorted_rows_and_each_answer_is_for_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def noted(X: NDArray[np.float32]) -> NDArray[np.intp]:
        asked.append(len(X))
        return likeness.alike(X)

    monkeypatch.setattr(onnx, "alike", noted)
    model = forest(100)
    one_by_one = np.concatenate([model.compute(ROWS[place : place + 1]) for place in range(len(ROWS))])
    assert (model.compute(ROWS) == one_by_one).all()
    assert asked == [len(ROWS)]
    model.compute(ROWS[: MANY_ROWS - 1])
    forest(1).compute(ROWS)
    assert asked == [len(ROWS)]

"""Tests of the example model; replace them together with it."""

from pathlib import Path

import numpy as np
import pytest

from package_name.ml.classifier import IrisClassifier, IrisHyperparameters


@pytest.mark.parametrize("gradient_boosting", [False, True])
def test_it_tells_most_flowers_apart(*, gradient_boosting: bool) -> None:
    data = IrisClassifier.dataset()
    model = IrisClassifier(IrisHyperparameters(gradient_boosting=gradient_boosting)).train(data)
    assert (model.predict(data.X).index == data.y).mean() > 0.95


def test_the_bundled_data_are_fishers_150_flowers() -> None:
    data = IrisClassifier.dataset()
    assert data.X.shape == (150, 4)
    assert np.bincount(data.y).tolist() == [50, 50, 50]
    bounds = IrisClassifier.Features.bounds()
    assert ((bounds[0] <= data.X) & (bounds[1] >= data.X)).all()


def test_a_table_of_ones_own_is_read(tmp_path: Path) -> None:
    table = tmp_path / "flowers.csv"
    table.write_text(
        "species,petal_width,petal_length,sepal_width,sepal_length\nvirginica,2.5,6,3.3,6.3\n", encoding="utf-8"
    )
    data = IrisClassifier.dataset(table)
    assert data.X.tolist() == np.array([[6.3, 3.3, 6, 2.5]], dtype=np.float32).tolist()
    assert data.y.tolist() == [2]


def test_the_hyperparameters_decide_what_is_built() -> None:
    tree = IrisClassifier(IrisHyperparameters(max_depth=5, seed=7)).build()
    assert (type(tree).__name__, tree.max_depth, tree.random_state) == ("DecisionTreeClassifier", 5, 7)
    boosted = IrisClassifier(IrisHyperparameters(gradient_boosting=True, trees=3, learning_rate=0.5)).build()
    assert (type(boosted).__name__, boosted.n_estimators, boosted.learning_rate) == (
        "GradientBoostingClassifier",
        3,
        0.5,
    )

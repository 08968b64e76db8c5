"""Tests of the example model; replace them together with it."""

from pathlib import Path

import numpy as np
import pytest
from mlapi import Dataset
from mlapi.ml.examples import split
from mlapi.ml.onnx import OnnxModel
from mlapi.ml.training import export

from package_name.ml.regressor import HouseHyperparameters, HousePriceRegressor


@pytest.fixture(scope="module")
def data() -> Dataset:
    """The bundled sales."""
    return HousePriceRegressor.dataset()


@pytest.fixture(scope="module")
def model(data: Dataset) -> HousePriceRegressor:
    """A model trained on those that are not held back."""
    return HousePriceRegressor().train(split(HousePriceRegressor, data)[0])


def test_it_predicts_far_better_than_the_mean(model: HousePriceRegressor, data: Dataset) -> None:
    held_back = split(HousePriceRegressor, data)[1]
    metrics = model.evaluate(model.compute(held_back.X), held_back.y, model.interval)
    assert metrics["r2"] > 0.75
    assert metrics["median_absolute_error"] < 60_000


def test_intervals_contain_about_nine_in_ten_prices_of_new_houses(model: HousePriceRegressor, data: Dataset) -> None:
    held_back = split(HousePriceRegressor, data)[1]
    metrics = model.evaluate(model.compute(held_back.X), held_back.y, model.interval)
    assert 0.85 < metrics["interval_coverage"] < 0.95


def test_the_export_is_equal_to_the_forest_and_small(model: HousePriceRegressor, data: Dataset) -> None:
    content, parity = export(model, data)
    assert parity.passed
    assert parity.rows > 30_000
    assert len(content) < 4_000_000
    shown = HousePriceRegressor.Features.matrix([HousePriceRegressor.Features.example().values()])
    assert OnnxModel(content, model.output).compute(shown) == pytest.approx(450_000, rel=0.2)


def test_the_bundled_data_are_four_thousand_sales_in_the_county(data: Dataset) -> None:
    assert data.X.shape == (4000, 13)
    bounds = HousePriceRegressor.Features.bounds()
    assert ((bounds[0] <= data.X) & (bounds[1] >= data.X)).all()
    assert (data.y.min(), np.median(data.y), data.y.max()) == (83_000, 458_000, 5_350_000)


def test_no_house_is_in_the_bundled_data_twice(data: Dataset) -> None:
    assert len(np.unique(np.column_stack([data.X, data.y]), axis=0)) == len(data.y)


def test_a_better_house_in_the_same_place_costs_more(model: HousePriceRegressor) -> None:
    house = HousePriceRegressor.Features.example()
    better = house.model_copy(update={"grade": 10, "living_area": 3500, "waterfront": "yes", "view": 4})
    usual, dear = model.predict(HousePriceRegressor.Features.matrix([house.values(), better.values()])).value
    assert dear > 1.5 * usual


def test_a_table_of_ones_own_is_read(tmp_path: Path) -> None:
    table = tmp_path / "houses.csv"
    names = HousePriceRegressor.Features.names()
    table.write_text(
        f"price,{','.join(names)}\n538000,3,2.25,2570,7242,2,yes,1,very good,7,1951,47.72,-122.32,1690\n",
        encoding="utf-8",
    )
    data = HousePriceRegressor.dataset(table)
    row = [3, 2.25, 2570, 7242, 2, 1, 1, 4, 7, 1951, 47.72, -122.32, 1690]
    assert data.X.tolist() == np.array([row], dtype=np.float32).tolist()
    assert data.y.tolist() == [538000]


def test_the_hyperparameters_decide_what_is_built() -> None:
    chosen = HouseHyperparameters(trees=7, max_depth=5, min_samples_leaf=9, features_tried=0.3, seed=4)
    forest = HousePriceRegressor(chosen).build()
    assert type(forest).__name__ == "RandomForestRegressor"
    assert (forest.n_estimators, forest.max_depth, forest.min_samples_leaf) == (7, 5, 9)
    assert (forest.max_features, forest.random_state) == (0.3, 4)

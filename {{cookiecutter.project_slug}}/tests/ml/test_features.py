from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from package_name.ml import Model
from package_name.ml.features import Features, number


class Weather(Features):
    """A day's weather."""

    temperature: float = number(example=20.5, low=-90, high=60, unit="°C")
    """Mean air temperature."""
    rain: float = number(example=0, low=0, high=2000, unit="mm")
    """Sum of a day's rain."""


def test_a_feature_is_declared_once_and_its_schema_follows() -> None:
    schema = Weather.model_json_schema()["properties"]["temperature"]
    assert schema == {
        "description": "Mean air temperature.",
        "examples": [20.5],
        "maximum": 60,
        "minimum": -90,
        "title": "Temperature",
        "type": "number",
        "unit": "°C",
    }


def test_names_examples_and_bounds_are_in_the_order_of_declaration() -> None:
    assert Weather.names() == ("temperature", "rain")
    assert Weather.example().values() == (20.5, 0)
    assert Weather.bounds().tolist() == [[-90, 0], [60, 2000]]


def test_a_matrix_is_float32_with_a_row_for_each_row() -> None:
    matrix = Weather.matrix([(1, 2), (3, 4)])
    assert matrix.dtype == np.float32
    assert matrix.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("value", [True, "3.5", None, float("nan"), float("inf"), -91, 61, [1]])
def test_a_value_that_is_not_an_acceptable_number_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        Weather(temperature=value, rain=0)
    assert [error["loc"] for error in refused.value.errors()] == [("temperature",)]


@pytest.mark.filterwarnings("ignore:Field name")  # pydantic warns first
def test_a_feature_that_cannot_work_is_refused_when_it_is_declared() -> None:
    with pytest.raises(TypeError, match=r"Bad\.values cannot be the name of a feature"):

        class Bad(Features):
            values: float = number(example=1, low=0, high=2, unit="1")  # type: ignore[assignment]

    with pytest.raises(TypeError, match="must be declared with number"):

        class Vague(Features):
            height: float


def test_every_feature_of_the_model_says_what_it_is() -> None:
    for name, schema in Model.Features.model_json_schema()["properties"].items():
        assert {"description", "examples", "minimum", "maximum", "unit"} <= set(schema), name

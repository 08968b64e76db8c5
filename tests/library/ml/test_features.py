from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ValidationError
from sample.ml import Model

from mlapi.ml.features import Features, category, number, text


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

    with pytest.raises(TypeError, match="no feature beside its text"):

        class Mixed(Features):
            words: str = text(example="a", min_length=1, max_length=9)
            height: float = number(example=1, low=0, high=2, unit="m")

    with pytest.raises(TypeError, match="or neither"):

        class Half(Features):
            height: float | None = number(example=1, low=0, high=2, unit="m")

    with pytest.raises(TypeError, match=r"Wrong\.height must be a float with number"):

        class Wrong(Features):
            height: int = number(example=1, low=0, high=2, unit="m")

    with pytest.raises(TypeError, match=r"Loose\.colour must be a float with number"):

        class Loose(Features):
            colour: str = category(example="red")


class Flat(Features):
    """A flat to let."""

    quarter: Literal["north", "south"] = category(example="south")
    """Part of the town."""
    heating: Literal["gas", "wood"] | None = category(example="gas", optional=True)
    """What it is heated with."""
    year: float | None = number(example=1970, low=1000, high=2100, unit="1", optional=True)
    """Year it was built."""


def test_a_category_is_the_index_of_its_word_and_a_missing_value_is_not_a_number() -> None:
    rows = [Flat(quarter="south", heating="wood", year=1900), Flat(quarter="north"), Flat.example()]
    matrix = Flat.matrix([row.values() for row in rows])
    assert matrix.dtype == np.float32
    assert np.array_equal(matrix, np.array([[1, 1, 1900], [0, np.nan, np.nan], [1, 0, 1970]]), equal_nan=True)
    assert Flat.bounds().tolist() == [[0, 0, 1000], [1, 1, 2100]]
    assert [column.range for column in Flat.columns()] == [
        "north, south",
        "gas, wood, or missing",
        "1000 to 2100, or missing",
    ]


@pytest.mark.parametrize("row", [{}, {"quarter": "west"}, {"quarter": None}, {"quarter": "north", "heating": "coal"}])
def test_a_word_that_is_no_choice_and_a_missing_word_are_refused(row: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Flat(**row)


class Review(Features):
    """What somebody thinks."""

    words: str = text(example="good", min_length=3, max_length=9)
    """The opinion."""


def test_a_text_is_a_matrix_of_strings() -> None:
    assert Review.is_text()
    assert not Flat.is_text()
    matrix = Review.matrix([("bad",), ("fine",)])
    assert (matrix.dtype, matrix.tolist()) == (np.dtype(object), [["bad"], ["fine"]])
    assert Review.matrix([]).shape == (0, 1)
    assert Review.columns()[0].range == "3 to 9 characters"


@pytest.mark.parametrize("words", ["", "ab", "x" * 10, "a\0b", 1, None, ["abc"]])
def test_a_text_that_is_too_short_too_long_or_none_is_refused(words: Any) -> None:
    with pytest.raises(ValidationError):
        Review(words=words)


def test_every_feature_of_the_model_says_what_it_is() -> None:
    for name, schema in Model.Features.model_json_schema()["properties"].items():
        assert {"description", "examples"} <= set(schema), name
    for column in Model.Features.columns():
        assert column.kind != "number" or "unit" in Model.Features.model_json_schema()["properties"][column.name]

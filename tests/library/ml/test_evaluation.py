from typing import Any

import numpy as np
import pytest

from mlapi.ml.base import Interval
from mlapi.ml.evaluation import GROUPS, MOST_ROWS, plots
from mlapi.ml.figures import draw


@pytest.fixture
def answers(dear: Any) -> Any:
    """Return what a classifier computes for four examples: right and sure, right, wrong, wrong and sure."""
    output = np.array([[0.95, 0.05], [0.42, 0.58], [0.55, 0.45], [0.05, 0.95]], dtype=np.float32)
    return plots(dear, output, np.array([0, 1, 1, 0]), None)


def test_the_confusion_names_the_class_of_each_example_and_the_one_it_was_taken_for(answers: Any) -> None:
    assert answers["confusion"]["actual"].tolist() == ["cheap", "dear", "dear", "cheap"]
    assert answers["confusion"]["predicted"].tolist() == ["cheap", "dear", "cheap", "dear"]


def test_the_calibration_compares_how_sure_the_answers_are_with_how_right(answers: Any) -> None:
    shown = answers["calibration"]
    assert shown["rows"].tolist() == [2, 2]
    assert shown["confidence"] == pytest.approx([0.565, 0.95])
    assert shown["accuracy"] == pytest.approx([0.5, 0.5])


def test_residuals_and_coverage_say_how_far_values_are_off(rent: Any) -> None:
    value = np.arange(100, dtype=np.float32)
    y = value + np.where(value < 20, 5.0, 1.0)
    shown = plots(rent, value[:, None], y, Interval(half_width=2, coverage=0.9, examples=9))
    assert shown["residuals"]["residual"] == pytest.approx(y - value)
    assert shown["coverage"]["inside"].tolist() == [0, 1, 1, 1, 1]
    assert shown["coverage"]["rows"].tolist() == [20] * GROUPS
    assert shown["coverage"]["predicted"] == pytest.approx([9.5, 29.5, 49.5, 69.5, 89.5])


def test_big_data_do_not_make_big_plots(rent: Any, dear: Any) -> None:
    rows = MOST_ROWS + 1
    shown = plots(rent, np.zeros(rows, np.float32), np.zeros(rows), Interval(half_width=1, coverage=0.9, examples=9))
    assert [len(column) for column in shown["residuals"].values()] == [MOST_ROWS] * 2
    assert shown["coverage"]["rows"].sum() == rows
    shown = plots(dear, np.full((rows, 2), 0.5, np.float32), np.zeros(rows, np.int64), None)
    assert [len(column) for column in shown["confusion"].values()] == [MOST_ROWS] * 2


def test_every_plot_can_be_drawn(toy: Any) -> None:
    data = toy.dataset()
    model = toy().train(data)
    drawn = plots(toy, model.compute(data.X), data.y, model.interval)
    for name, plot in drawn.items():
        (axes,) = draw(name, {column: values.tolist() for column, values in plot.items()}, toy.labels).axes
        assert axes.get_xlabel()
        assert axes.get_title()
    assert drawn

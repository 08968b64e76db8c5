from typing import Any

import numpy as np
import pytest

from mlapi.ml.base import Dataset, Interval

INTERVAL = Interval(half_width=2, coverage=0.9, examples=99)
TRUTH = np.array([1.0, 2.0, 3.0, 10.0])
OUTPUT = np.array([[1.0], [2.5], [3.0], [6.0]], dtype=np.float32)


def test_metrics_are_those_of_the_textbook(rent: Any) -> None:
    metrics = rent.evaluate(OUTPUT, TRUTH, INTERVAL)
    assert metrics["r2"] == pytest.approx(1 - (0.25 + 16) / 50)
    assert metrics["mean_absolute_error"] == pytest.approx(4.5 / 4)
    assert metrics["median_absolute_error"] == pytest.approx(0.25)
    assert metrics["root_mean_squared_error"] == pytest.approx((16.25 / 4) ** 0.5)
    assert metrics["interval_coverage"] == pytest.approx(3 / 4)
    assert rent.score in metrics


def test_intervals_contain_new_values_as_often_as_promised(rent: Any) -> None:
    """The guarantee of split conformal prediction, over many data sets: on average at least nine in ten."""
    random = np.random.default_rng(0)

    class Plain(rent):  # type: ignore[misc]
        def build(self) -> Any:
            from sklearn.linear_model import LinearRegression

            return LinearRegression()

    def coverage() -> float:
        X = random.normal(size=(300, 3)).astype(np.float32)
        y = X.sum(axis=1) + random.standard_t(3, 300)
        model = Plain().train(Dataset(X[:200], y[:200], ""))
        answer = model.predict(X[200:])
        return float(np.mean(np.abs(answer.value - y[200:]) <= answer.half_width))

    mean = np.mean([coverage() for _ in range(100)])
    assert 0.89 < mean < 0.94


def test_the_interval_is_measured_on_examples_that_were_not_learned_from(rent: Any) -> None:
    class Spy(rent):  # type: ignore[misc]
        def build(self) -> Any:
            return Memory()

    class Memory:
        def fit(self, X: Any, y: Any) -> Any:
            self.known = {row.tobytes(): value for row, value in zip(X, y, strict=True)}
            return self

        def predict(self, X: Any) -> Any:
            return np.array([self.known.get(row.tobytes(), 1e6) for row in X])

    data = rent.dataset()
    model = Spy().train(data)
    assert model.interval.half_width > 1e5
    assert model.interval.examples + len(model.estimator.known) == len(data.y)


def test_an_answer_has_a_value_between_the_ends_of_its_interval(rent: Any) -> None:
    answer = rent.answer(OUTPUT, INTERVAL).lists()
    assert answer == {"prediction": [1, 2.5, 3, 6], "lower": [-1, 0.5, 1, 4], "upper": [3, 4.5, 5, 8]}


def test_no_interval_goes_below_what_is_possible(rent: Any) -> None:
    class Price(rent):  # type: ignore[misc]
        lowest = 0.0

    answer = Price.answer(OUTPUT, INTERVAL).lists()
    assert (answer["lower"], answer["upper"]) == ([0, 0.5, 1, 4], [3, 4.5, 5, 8])


def test_an_output_of_another_shape_or_without_interval_is_refused(rent: Any) -> None:
    with pytest.raises(ValueError, match="one value a row"):
        rent.answer(np.ones((3, 2), dtype=np.float32), INTERVAL)
    with pytest.raises(ValueError, match="no prediction interval"):
        rent.answer(OUTPUT)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.arange(49.0), "there are 49 examples; 50 are needed"),
        (np.ones(60), "rent is the same in all examples"),
        (np.append(np.arange(60.0), np.nan), r"rent of example 60 \(counted from 0\) is not a finite number"),
    ],
)
def test_targets_that_cannot_be_learned_are_refused(rent: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rent.check_targets(y)


@pytest.mark.parametrize("cell", ["", "many", "nan", "1_000", "inf"])
def test_a_target_that_is_no_number_is_refused(rent: Any, cell: str) -> None:
    with pytest.raises(ValueError, match="must be a number"):
        rent.read_target(cell)


def test_differences_are_shares_of_the_largest_value(rent: Any) -> None:
    ours = np.array([100, -200, 0], dtype=np.float32)
    differences, changed = rent.differences(ours, np.array([[100], [-199], [0]], dtype=np.float32))
    assert differences.tolist() == [0, 1 / 200, 0]
    assert not changed.any()

import numpy as np
import pytest

from package_name.ml.base import Classes
from package_name.ml.evaluation import confusion, evaluate, histograms

TRUTH = np.array([0, 0, 0, 1])
ANSWER = Classes(
    index=np.array([0, 0, 1, 1]),
    probability=np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]], dtype=np.float32),
)


def test_metrics_are_those_of_the_textbook() -> None:
    metrics = evaluate(ANSWER, TRUTH)
    assert metrics["accuracy"] == pytest.approx(3 / 4)
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert metrics["log_loss"] == pytest.approx(-np.log([0.8, 0.6, 0.3, 0.9]).mean(), rel=1e-6)


def test_confusion_counts_truth_by_row_and_answer_by_column() -> None:
    assert confusion(ANSWER, TRUTH) == [[2, 1], [0, 1]]


def test_histograms_count_every_value_once() -> None:
    X = np.column_stack([np.arange(100), np.zeros(100)]).astype(np.float32)
    result = histograms(X, ("spread", "constant"))
    assert result["spread"]["counts"] == [10.0] * 10
    assert sum(result["constant"]["counts"]) == 100
    assert all(len(one["counts"]) == len(one["edges"]) + 1 for one in result.values())

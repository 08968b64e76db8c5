from typing import Any

import numpy as np
import pytest

from mlapi.ml.classification import confusion

TRUTH = np.array([0, 0, 0, 1])
OUTPUT = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9]], dtype=np.float32)


def test_metrics_are_those_of_the_textbook(dear: Any) -> None:
    metrics = dear.evaluate(OUTPUT, TRUTH)
    assert metrics["accuracy"] == pytest.approx(3 / 4)
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert metrics["log_loss"] == pytest.approx(-np.log([0.8, 0.6, 0.3, 0.9]).mean(), rel=1e-6)
    assert dear.score in metrics


def test_confusion_counts_truth_by_row_and_answer_by_column() -> None:
    assert confusion(OUTPUT, TRUTH) == [[2, 1], [0, 1]]


def test_an_answer_names_the_most_probable_class(dear: Any) -> None:
    answer = dear.answer(OUTPUT)
    assert answer.lists()["label"] == ["cheap", "cheap", "dear", "dear"]
    assert answer.columns()["probability_dear"].tolist() == OUTPUT[:, 1].tolist()


def test_an_output_of_another_shape_is_refused(dear: Any) -> None:
    for output in (OUTPUT[:, :1], OUTPUT[:, 0]):
        with pytest.raises(ValueError, match="does not tell 2 classes apart"):
            dear.answer(output)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0] * 9 + [1] * 4, "fewer than 5 examples of dear"),
        ([0] * 9 + [1] * 9 + [2], "indices of the 2 labels"),
        ([-1] + [0] * 9 + [1] * 9, "indices of the 2 labels"),
        ([0] * 9, "fewer than 5 examples of dear"),
    ],
)
def test_targets_that_are_not_the_classes_are_refused(dear: Any, y: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dear.check_targets(np.array(y))


def test_two_outputs_differ_where_the_class_changes_unless_it_is_a_tie(dear: Any) -> None:
    other = OUTPUT.copy()
    other[0] = [0.2, 0.8]
    differences, changed = dear.differences(OUTPUT, other)
    assert changed.tolist() == [True, False, False, False]
    assert differences[0] == pytest.approx(0.6)
    tie = np.array([[0.5, 0.5]], dtype=np.float32)
    assert not dear.differences(tie, np.array([[0.4999999, 0.5000001]], dtype=np.float32))[1].any()

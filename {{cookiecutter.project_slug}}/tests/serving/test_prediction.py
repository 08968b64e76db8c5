from typing import Any

import numpy as np
import pytest

from package_name.errors import BadInput, PredictionOverflow, TooLarge
from package_name.ml import Model
from package_name.ml.base import Classes
from package_name.serving.champion import Served
from package_name.serving.prediction import predict, read_csv

NAMES = Model.Features.names()
EXAMPLE = Model.Features.example().values()
HEADER = ",".join(NAMES)
ROW = ",".join(map(str, EXAMPLE))


class Fixed:
    """A model with one answer."""

    def __init__(self, probability: list[list[float]]) -> None:
        self.probability = np.array(probability, dtype=np.float32)

    def predict(self, _X: Any) -> Classes:
        return Classes(self.probability.argmax(axis=1), self.probability)


def served(probability: list[list[float]]) -> Served:
    model: Any = Fixed(probability)
    return Served("7", model)


def test_a_prediction_names_version_class_label_and_probability() -> None:
    share = [0.25, 0.75] + [0.0] * (len(Model.labels) - 2)
    answer = predict(served([share]), [EXAMPLE])
    assert answer.version == "7"
    assert answer.prediction == [1]
    assert answer.label == [Model.labels[1]]
    assert answer.probability == [share]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_overflows_is_an_error_not_an_answer(value: float) -> None:
    with pytest.raises(PredictionOverflow):
        predict(served([[value] * len(Model.labels)]), [EXAMPLE])


def test_a_table_with_its_columns_in_another_order_gives_the_same_rows() -> None:
    mixed = f"{','.join(NAMES[::-1])}\n{','.join(map(str, EXAMPLE[::-1]))}\n"
    assert read_csv(mixed.encode(), 9) == read_csv(f"{HEADER}\n{ROW}\n".encode(), 9) == [EXAMPLE]


def test_as_many_rows_as_allowed_are_read_and_one_more_is_too_large() -> None:
    assert len(read_csv(f"{HEADER}\n{ROW}\n{ROW}\n".encode(), 2)) == 2
    with pytest.raises(TooLarge):
        read_csv(f"{HEADER}\n{ROW}\n{ROW}\n".encode(), 1)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (f"{HEADER}\n{ROW}\n{ROW},1\n".encode(), "line 3"),
        (f"{HEADER}\n{ROW}\n{ROW.replace(str(EXAMPLE[0]), '1e999', 1)}\n".encode(), f"line 3: {NAMES[0]}"),
        (f"{HEADER}\n{ROW.replace(str(EXAMPLE[0]), '', 1)}\n".encode(), "line 2"),
        (f"{HEADER},{NAMES[0]}\n".encode(), "line 1"),
        (f"{HEADER}\n".encode(), ""),
        (b"", "line 1"),
        (f"{HEADER}\n{ROW}\n".encode("utf-16"), ""),
        (f"{HEADER}\n\0{ROW}\n".encode(), "line 2"),
        (f'{HEADER}\n"{ROW}\n'.encode(), "line 2"),
    ],
)
def test_a_table_that_is_not_acceptable_is_refused_with_the_line(content: bytes, place: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_csv(content, 9)
    assert [fault.location for fault in refused.value.faults] == ([place] if place else [])

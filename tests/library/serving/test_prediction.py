from collections.abc import Callable
from typing import Any

import pytest
from sample.ml import Model

from mlapi.errors import BadInput, PredictionOverflow, TooLarge
from mlapi.serving.champion import Served
from mlapi.serving.prediction import members, predict, prediction_of, read_csv

NAMES = Model.Features.names()
EXAMPLE = Model.Features.example().values()

Table = Callable[..., str]


def test_a_prediction_names_model_and_version_and_answers_each_row(constant: Callable[..., Served]) -> None:
    version = constant()
    answer = members(version, predict(version, Model.Features.matrix([EXAMPLE, EXAMPLE])).lists())
    expected = {name: values * 2 for name, values in Model.example_answer().lists().items()}
    assert answer == {"model": Model.name, "version": "42", **expected}
    assert prediction_of(Model).model_validate(answer, strict=True).model_dump() == answer  # as is documented


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_overflows_is_an_error_not_an_answer(constant: Callable[..., Served], value: float) -> None:
    """Checklist 2."""
    with pytest.raises(PredictionOverflow):
        predict(constant(value), Model.Features.matrix([EXAMPLE]))


def test_a_table_with_its_columns_in_another_order_gives_the_same_rows(table: Table) -> None:
    mixed = table(EXAMPLE[::-1], header=NAMES[::-1])
    for content in (mixed, table(EXAMPLE)):
        assert read_csv(Model.Features, content.encode(), 9) == [EXAMPLE]


def test_as_many_rows_as_allowed_are_read_and_one_more_is_too_large(table: Table) -> None:
    two = table(EXAMPLE, EXAMPLE).encode()
    assert len(read_csv(Model.Features, two, 2)) == 2
    with pytest.raises(TooLarge):
        read_csv(Model.Features, two, 1)


def with_first(value: str) -> list[Any]:
    return [value, *EXAMPLE[1:]]


BAD = {"number": "1e999", "category": "no such word", "text": "x" * (Model.Features.columns()[0].max_length + 1)}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (lambda table: table(EXAMPLE, [*EXAMPLE, 1]).encode(), "line 3"),
        (lambda table: table(EXAMPLE, with_first(BAD[Model.Features.columns()[0].kind])).encode(), "line 3"),
        (lambda table: table(header=[*NAMES, NAMES[0]]).encode(), "line 1"),
        (lambda table: table().encode(), ""),
        (lambda _table: b"", "line 1"),
        (lambda table: table(EXAMPLE).encode("utf-16"), ""),
        (lambda table: table(with_first("\0")).encode(), "line 2"),
        (lambda table: f'{table()}"{table(EXAMPLE)}'.encode(), "line"),
    ],
    ids=["a cell more", "bad value", "column twice", "no rows", "nothing", "UTF-16", "NUL", "open quote"],
)
def test_a_table_that_is_not_acceptable_is_refused_with_the_line(
    table: Table, content: Callable[[Table], bytes], place: str
) -> None:
    """Checklist 15 and 16."""
    with pytest.raises(BadInput) as refused:
        read_csv(Model.Features, content(table), 9)
    assert len(refused.value.faults) == (1 if place else 0)
    assert all(fault.location.startswith(place) for fault in refused.value.faults)

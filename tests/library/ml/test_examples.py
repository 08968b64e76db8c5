from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample.ml import Model

from mlapi.ml.base import Dataset
from mlapi.ml.examples import check, read, read_table, split, write_table


def test_examples_are_held_back_in_proportion_and_not_learned_from() -> None:
    data = Model.dataset()
    numbered = Dataset(np.arange(len(data.y), dtype=np.float32)[:, None], data.y, data.source)
    learned, held = split(Model, numbered)
    assert sorted([*learned.X[:, 0], *held.X[:, 0]]) == numbered.X[:, 0].tolist()
    if Model.strata(data.y) is not None:
        shares = [np.bincount(part.y) / len(part.y) for part in (data, held)]
        assert np.abs(shares[0] - shares[1]).max() < 0.05


def with_value(data: Dataset, row: int, column: int, value: Any) -> Dataset:
    X = data.X.copy()
    X[row, column] = value
    return Dataset(X, data.y, "changed")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, np.nan, r"area of example 17 .* 5 to 500"),
        (0, 1e30, "area of example 17"),
        (1, 3, r"quarter of example 17 .* north, south, old town"),
        (1, np.nan, "quarter of example 17"),
        (2, 999, r"year of example 17 .* 1000 to 2100, or missing"),
    ],
)
def test_a_value_that_features_does_not_promise_is_refused(dear: Any, column: int, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(dear, with_value(dear.dataset(), 17, column, value))
    check(dear, with_value(dear.dataset(), 17, 2, np.nan))


@pytest.mark.parametrize("value", [7, None, np.nan, b"good"])
def test_a_text_that_features_does_not_promise_is_refused(mood: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"words of example 17 .* 3 to 200 characters"):
        check(mood, with_value(mood.dataset(), 17, 0, value))


@pytest.mark.parametrize("cut", [lambda X: X[:, :-1], lambda X: X[:-1], lambda X: X[:, 0]])
def test_data_of_another_shape_are_refused(cut: Any) -> None:
    data = Model.dataset()
    with pytest.raises(ValueError, match="must have"):
        check(Model, Dataset(cut(data.X), data.y, "changed"))


def test_the_bundled_data_are_what_is_promised() -> None:
    check(Model, Model.dataset())


def test_a_table_is_read_back_as_it_was_written(tmp_path: Path, toy: Any) -> None:
    data = toy.dataset()
    write_table(toy, tmp_path / "a.csv", data)
    again = read_table(toy, tmp_path / "a.csv", "the table")
    assert (again.fingerprint, again.source) == (data.fingerprint, "the table")
    write_table(toy, tmp_path / "b.csv", again)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_awkward_texts_survive_the_table(tmp_path: Path, mood: Any) -> None:
    texts = ['say "no", please', "two\nlines", "carriage\rreturn", " ends in blanks  ", "très bien, 很好", "=1+1"]
    data = Dataset(mood.Features.matrix([[text] for text in texts]), np.arange(len(texts)) % 2, "made up")
    write_table(mood, tmp_path / "a.csv", data)
    assert read_table(mood, tmp_path / "a.csv", "").X[:, 0].tolist() == texts


def test_awkward_numbers_survive_the_table(tmp_path: Path, rent: Any) -> None:
    random = np.random.default_rng(0)
    area = np.concatenate([random.uniform(5, 500, 500), [5, 500, np.nextafter(5, 6), 16777217 / 2**17]])
    X = np.column_stack([area, np.arange(len(area)) % 3, np.full(len(area), np.nan)]).astype(np.float32)
    data = Dataset(X, np.concatenate([random.normal(0, 1e9, 500), [1e-310, -0.0, 1e300, 1 / 3]]), "made up")
    write_table(rent, tmp_path / "a.csv", data)
    assert read_table(rent, tmp_path / "a.csv", "").fingerprint == data.fingerprint


def test_the_bundled_examples_are_read_and_checked() -> None:
    assert read(Model, None).fingerprint == Model.dataset().fingerprint


def test_texts_are_kept_as_the_model_sees_them(tmp_path: Path, mood: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's own `matrix`, done twice, need not be the same as done once."""
    whole = mood.Features.matrix
    monkeypatch.setattr(mood.Features, "matrix", lambda rows: whole([[f"{text} seen"] for (text,) in rows]))
    data = Dataset(mood.Features.matrix([["good"], ["bad"]]), np.array([1, 0]), "made up")
    write_table(mood, tmp_path / "a.csv", data)
    assert read_table(mood, tmp_path / "a.csv", "").X.tolist() == [["good seen"], ["bad seen"]]


def test_examples_that_a_table_cannot_keep_are_refused(tmp_path: Path, rent: Any) -> None:
    data = Dataset(np.array([[60, 1.5, 1970]], dtype=np.float32), np.array([400.0]), "made up")
    with pytest.raises(ValueError, match="cannot be kept as a table"):
        write_table(rent, tmp_path / "a.csv", data)

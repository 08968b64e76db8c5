from pathlib import Path
from typing import Any

import numpy as np

from mlapi.ml.base import Dataset


def test_a_saved_model_answers_the_same_when_loaded(tmp_path: Path, toy: Any) -> None:
    data = toy.dataset()
    model = toy(toy.Hyperparameters(seed=3)).train(data)
    model.save(tmp_path / "model.joblib")
    loaded = toy.load(tmp_path / "model.joblib")
    assert loaded.hyperparameters == model.hyperparameters
    assert loaded.interval == model.interval
    assert loaded.predict(data.X).lists() == model.predict(data.X).lists()


def test_equal_data_have_equal_fingerprints_and_others_do_not(toy: Any) -> None:
    data = toy.dataset()
    assert data.fingerprint == toy.dataset().fingerprint
    y = data.y.copy()
    y[0] += 1
    assert data.fingerprint != Dataset(data.X, y, data.source).fingerprint
    assert data.fingerprint != Dataset(data.X[::-1].copy(), data.y, data.source).fingerprint


def test_what_the_api_answers_and_what_a_table_gets_have_an_element_for_each_row(toy: Any) -> None:
    model = toy().train(toy.dataset())
    answer = model.predict(toy.dataset().X[:7])
    assert set(answer.lists()) == set(toy.Predictions.model_fields) == set(toy.example_answer().lists())
    assert toy.Predictions(**answer.lists())
    assert {len(values) for values in [*answer.lists().values(), *answer.columns().values()]} == {7}
    assert answer.finite


def test_a_table_of_examples_is_read_with_its_target(tmp_path: Path, toy: Any) -> None:
    X = {"mood": "very bad", "rent": "60,south,", "dear": "60,south,"}[toy.name]
    y = {"mood": "good", "rent": "410.5", "dear": "dear"}[toy.name]
    path = tmp_path / "table.csv"
    path.write_text(f"{','.join(toy.Features.names())},{toy.target}\n{X},{y}\n", encoding="utf-8")
    data = toy.dataset(path)
    assert data.y.tolist() == [410.5 if toy.name == "rent" else 1]
    if toy.name == "mood":
        assert data.X.tolist() == [["very bad"]]
    else:
        assert np.array_equal(data.X, [[60, 1, np.nan]], equal_nan=True)

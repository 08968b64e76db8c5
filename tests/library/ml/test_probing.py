from typing import Any

import numpy as np

from mlapi.ml.probing import probing_rows


def test_probing_rows_are_acceptable_and_many(dear: Any) -> None:
    data = dear.dataset()
    rows = probing_rows(dear.Features, data.X, 0)
    assert len(rows) > len(data.X) + 20_000
    assert rows.dtype == np.float32
    low, high = dear.Features.bounds()
    made = rows[len(data.X) :]
    assert ((made >= low) & (made <= high) | np.isnan(made)).all()
    assert set(np.unique(made[:, 1])) == {0, 1, 2}
    assert np.isnan(made[:, 2]).any()
    assert not np.isnan(made[:, :2]).any()


def test_probing_texts_are_acceptable_and_odd(mood: Any) -> None:
    data = mood.dataset()
    rows = probing_rows(mood.Features, data.X, 0)
    texts = [str(text) for text in rows[:, 0]]
    assert len(texts) > len(data.X) + 1_000
    assert all(3 <= len(text) <= 200 for text in texts)
    assert any("日本語" in text for text in texts)


def test_the_same_seed_gives_the_same_rows(toy: Any) -> None:
    data = toy.dataset()
    first, again = (probing_rows(toy.Features, data.X, 5) for _ in range(2))
    assert first.tolist() == again.tolist() or np.array_equal(first, again, equal_nan=True)

from typing import Any

import numpy as np

from mlapi.ml.reference import histograms


def test_histograms_count_every_known_value_once(dear: Any) -> None:
    data = dear.dataset()
    result = histograms(dear.Features, data.X)
    assert set(result) == set(dear.Features.names())
    assert sum(result["area"]["counts"]) == len(data.X)
    assert sum(result["year"]["counts"]) == np.isfinite(data.X[:, 2]).sum() < len(data.X)
    assert all(len(one["counts"]) == len(one["edges"]) + 1 for one in result.values())


def test_the_bins_of_a_spread_value_hold_a_tenth_each(dear: Any) -> None:
    X = np.column_stack([np.arange(100), np.zeros(100), np.full(100, np.nan)]).astype(np.float32)
    result = histograms(dear.Features, X)
    assert result["area"]["counts"] == [10.0] * 10
    assert sum(result["quarter"]["counts"]) == 100
    assert result["year"] == {"edges": [], "counts": [0.0], "missing": [100.0]}


def test_texts_are_watched_by_their_length(mood: Any) -> None:
    data = mood.dataset()
    result = histograms(mood.Features, data.X)
    assert set(result) == {"words_length"}
    assert sum(result["words_length"]["counts"]) == len(data.X)
